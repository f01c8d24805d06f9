"""Backups: whole while others write, refused where they are not what was written, and at home in another folder."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from foreact import backups
from foreact.backups import restore_backup, write_backup
from foreact.blobs import connect
from foreact.blobs.records import NewerRecord
from foreact.errors import ForeactError
from foreact.publications import CURRENT, Publisher, Reader
from foreact.publications.groups import INLINE_MOST
from foreact.registry import Registry
from foreact.runs.workspace import Request, WorkspaceRuns
from foreact.settings import PipelineSettings, PlaceSettings
from tests.foreact.publications.stores import put
from tests.foreact.registry.conftest import candidate


def publish(workspace: Path, run: str, value: float) -> int:
    store = connect(PlaceSettings(workspace=workspace))
    return Publisher(store).publish({"1": put(store, "1", run, value)}, by=run).manifest.version


def reader(workspace: Path) -> Reader:
    return Reader(connect(PlaceSettings(workspace=workspace)))


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Return the backup of a workspace in which something is published."""
    publish(tmp_path / "old", "r1", 1)
    write_backup(tmp_path / "backup.tar", tmp_path / "old")
    return tmp_path / "backup.tar"


def rewrite(backup: Path, change: dict[str, bytes]) -> None:
    """Replace members of a backup, or leave out those that are changed to nothing."""
    with tarfile.open(backup) as archive:
        members = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    with tarfile.open(backup, "w") as archive:
        for name, data in {**members, **change}.items():
            if data:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def record_of(backup: Path) -> dict[str, object]:
    with tarfile.open(backup) as archive:
        record: dict[str, object] = json.load(archive.extractfile("backup.json"))  # type: ignore[arg-type]
    return record


def test_groups_of_stores_are_in_it_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    store = connect(PlaceSettings(workspace=tmp_path / "old"))
    many = {str(number): put(store, str(number), "r1", 1) for number in range(INLINE_MOST + 1)}
    group = Publisher(store).publish(many, by="r1").manifest.groups[0]
    assert write_backup(tmp_path / "whole.tar", tmp_path / "old").damaged == ()
    restore_backup(tmp_path / "whole.tar", tmp_path / "new")
    assert reader(tmp_path / "new").read_current().manifest.stores == many
    store.write(group.name, b"torn")
    assert write_backup(tmp_path / "damaged.tar", tmp_path / "old").damaged == (group.name,)


def test_a_publication_meanwhile_is_in_it_whole_or_not_at_all(tmp_path, monkeypatch):
    publish(tmp_path / "old", "r1", 1)
    walk = backups._list_files

    def publish_and_walk(workspace: Path) -> Iterator[Path]:
        assert publish(workspace, "r2", 2) == 2
        yield from walk(workspace)

    monkeypatch.setattr(backups, "_list_files", publish_and_walk)
    record = write_backup(tmp_path / "backup.tar", tmp_path / "old")
    assert (record.publication, record.damaged) == (1, ())
    restore_backup(tmp_path / "backup.tar", tmp_path / "new")
    publication = reader(tmp_path / "new").read_current()
    assert publication.manifest.version == 1
    reader(tmp_path / "new").read_object(publication.manifest.stores["1"].objects["forecasts"])
    # A later version in the archive would stand in the way of the next publication.
    assert publish(tmp_path / "new", "r3", 3) == 2
    assert reader(tmp_path / "new").read_version(2).stores["1"].run == "r3"


def test_what_was_not_whole_is_told(tmp_path):
    publish(tmp_path / "old", "r1", 1)
    entry = reader(tmp_path / "old").read_current().manifest.stores["1"]
    name = entry.objects["forecasts"].name
    (tmp_path / "old" / "blobs" / name).write_bytes(b"torn")
    assert write_backup(tmp_path / "backup.tar", tmp_path / "old").damaged == (name,)


def test_in_another_folder_models_and_data_are_found(workspace, tmp_path):
    Registry.connect(PipelineSettings(workspace=workspace)).register_models("r1", [candidate("Kiel")])
    (workspace / "demo").mkdir()
    (workspace / "demo" / "sales.csv").write_text("date,store,units\n")
    parameters = {"history": str(workspace / "demo" / "sales.csv"), "known": ["/elsewhere/calendar.csv"]}
    WorkspaceRuns(workspace).create_run(Request(pipeline="retrain-all"), "r1")
    WorkspaceRuns(workspace).remember_request(Request(pipeline="retrain-all", parameters=parameters))
    write_backup(tmp_path / "backup.tar", workspace)
    shutil.rmtree(workspace)
    other = tmp_path / "another place"
    restore_backup(tmp_path / "backup.tar", other)
    loaded = Registry.connect(PipelineSettings(workspace=other)).load_champions(["Kiel"])
    assert (loaded["Kiel"].version, loaded["Kiel"].problem) == ("1", "")
    request = WorkspaceRuns(other).read_last_request()
    assert request is not None
    assert Path(request.parameters["history"]).read_text() == "date,store,units\n"
    assert request.parameters["known"] == ["/elsewhere/calendar.csv"]


def test_what_is_there_is_kept(backup, tmp_path):
    publish(tmp_path / "new", "other", 7)
    with pytest.raises(ForeactError, match=r"is not empty: .*--replace"):
        restore_backup(backup, tmp_path / "new")
    assert reader(tmp_path / "new").read_current().manifest.stores["1"].run == "other"
    restore_backup(backup, tmp_path / "new", replace=True)
    assert reader(tmp_path / "new").read_current().manifest.stores["1"].run == "r1"
    [kept] = tmp_path.glob("new.before-*")
    assert reader(kept).read_current().manifest.stores["1"].run == "other"


def test_a_backup_is_not_written_over_nor_into_what_it_saves(backup, tmp_path):
    with pytest.raises(ForeactError, match="exists"):
        write_backup(backup, tmp_path / "old")
    with pytest.raises(ForeactError, match="would be lost with"):
        write_backup(tmp_path / "old" / "backup.tar", tmp_path / "old")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ForeactError, match="nothing to back up"):
        write_backup(tmp_path / "none.tar", tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.glob("*.tar*")) == ["backup.tar"]


def refusal(backup: Path, place: Path) -> str:
    """Return why a backup is refused; nothing of it may be left in its place."""
    with pytest.raises(ForeactError) as refused:
        restore_backup(backup, place / "new")
    assert not (place / "new").exists()
    assert list(place.glob(".new*")) == []
    return str(refused.value)


def test_damage_is_refused(backup, tmp_path):
    name = f"workspace/blobs/{CURRENT}"
    rewrite(backup, {name: b"torn"})
    assert "damaged" in refusal(backup, tmp_path)
    rewrite(backup, {name: b""})
    assert "missing" in refusal(backup, tmp_path)
    rewrite(backup, {"backup.json": b""})
    assert "written last" in refusal(backup, tmp_path)
    backup.write_bytes(b"no tar")
    assert "no backup of Foreact" in refusal(backup, tmp_path)


def test_names_that_lead_elsewhere_are_refused(backup, tmp_path):
    record = record_of(backup) | {"files": {"workspace/../../stolen": "0"}}
    rewrite(backup, {"backup.json": json.dumps(record).encode(), "workspace/../../stolen": b"x"})
    assert "leads out" in refusal(backup, tmp_path / "within")


def test_a_newer_schema_is_refused(backup, tmp_path):
    rewrite(backup, {"backup.json": json.dumps(record_of(backup) | {"schema_version": 99}).encode()})
    with pytest.raises(NewerRecord, match=r"schema version 99 .* update it"):
        restore_backup(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.postgres
def test_a_database_goes_into_an_empty_one_only(postgres, backup, tmp_path):
    address = postgres.replace("+psycopg2", "")
    names = [f"b{uuid4().hex[:8]}" for _ in range(2)]
    with pytest.raises(ForeactError, match="holds no database"):
        restore_backup(backup, tmp_path / "new", address)
    connection = psycopg2.connect(address)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    old, new = (address.removesuffix("postgres") + name for name in names)
    with psycopg2.connect(old) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE versions AS SELECT 7 AS number")
    connection.close()
    write_backup(tmp_path / "both.tar", tmp_path / "old", old)
    rewrite(tmp_path / "both.tar", {f"workspace/blobs/{CURRENT}": b"torn"})
    with pytest.raises(ForeactError, match="damaged"):
        restore_backup(tmp_path / "both.tar", tmp_path / "new", new)
    write_backup(tmp_path / "database.tar", None, old)
    with pytest.raises(ForeactError, match="database alone"):
        restore_backup(tmp_path / "database.tar", tmp_path / "new")
    # Nothing came into it before: a database that is not empty is refused.
    restore_backup(tmp_path / "database.tar", tmp_path / "new", new)
    with psycopg2.connect(new) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM versions")
        assert cursor.fetchall() == [(7,)]
        cursor.execute("UPDATE versions SET number = 8")
    connection.close()
    with pytest.raises(ForeactError, match=r"^The database was not restored: .*already exists"):
        restore_backup(tmp_path / "database.tar", tmp_path / "new", new)
    with psycopg2.connect(new) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM versions")
        assert cursor.fetchall() == [(8,)]
    connection.close()
    assert not (tmp_path / "new").exists()
