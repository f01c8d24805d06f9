"""Finding files, and knowing when they changed."""

import os
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foreact.blobs import BlobStore
from foreact.blobs.folder import FolderStore
from foreact.data import intake
from foreact.data.reading.sources import Source, fingerprint_sources
from foreact.errors import ForeactError
from tests.shops import days, take_in, write_rows

ROWS = [(day, "A", "x", 1) for day in days(40)]
URL = "https://shop.blob.core.windows.net/data"


def open_folder(url: str, store: BlobStore) -> tuple[BlobStore, str]:
    return store, url.removeprefix(URL).strip("/")


def test_a_version_changes_with_every_file_and_only_then(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_rows(folder / "a.csv", ROWS)
    known = write_rows(tmp_path / "known.csv", ROWS, "date,store,item,price")

    def version() -> str:
        return fingerprint_sources([str(folder), str(known)])

    before = version()
    assert version() == before
    (folder / "notes.md").write_text("no table")
    assert version() == before
    os.utime(path, ns=(1, 1))
    touched = version()
    write_rows(known, ROWS[1:], "date,store,item,price")
    changed = version()
    write_rows(folder / "b.csv", ROWS)
    more = version()
    assert len({before, touched, changed, more}) == 4
    assert fingerprint_sources([str(known), str(folder)]) != more


def test_a_blob_prefix_is_read_like_a_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "blobs")
    write_rows(tmp_path / "part.csv", ROWS[:20])
    store.write("sales/2025/a.csv", (tmp_path / "part.csv").read_bytes())
    write_rows(tmp_path / "part.csv", ROWS[20:])
    store.write("sales/2025/b.csv", tmp_path / "part.csv")
    store.write("sales/2025/_SUCCESS", b"")
    store.write("sales/20250/c.csv", b"another folder")
    open_url = partial(open_folder, store=store)
    for uri in (f"{URL}/sales/2025", f"{URL}/sales/2025/"):
        assert take_in(tmp_path / uri[-5:].strip("/"), uri, open_url=open_url).info.rows == 40
    assert take_in(tmp_path / "one", f"{URL}/sales/2025/b.csv", open_url=open_url).info.rows == 20
    before = fingerprint_sources([f"{URL}/sales/2025"], open_url)
    store.write("sales/2025/b.csv", b"changed")
    assert fingerprint_sources([f"{URL}/sales/2025"], open_url) != before


def test_an_empty_prefix_is_told(tmp_path: Path) -> None:
    open_url = partial(open_folder, store=FolderStore(tmp_path / "blobs"))
    with pytest.raises(ForeactError, match="has no files that end in"):
        take_in(tmp_path, f"{URL}/nothing", open_url=open_url)
    with pytest.raises(ForeactError, match="no blob store is set up here"):
        take_in(tmp_path, f"{URL}/nothing")


def test_a_file_name_is_a_name_and_no_pattern(tmp_path: Path) -> None:
    """A neighbour that the pattern would match, and a parent folder with brackets of its own."""
    folder = tmp_path / "export [1]"
    folder.mkdir()
    write_rows(folder / "sales1.csv", [(day, "wrong", "x", 1) for day in days(40)])
    path = write_rows(folder / "sales[1].csv", ROWS)
    assert take_in(folder / "out", path).stores == ["A"]


@pytest.mark.parametrize("pattern", ["hive", "hive/*/*"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_folders_name_columns(tmp_path: Path, pattern: str, ending: str) -> None:
    """Ids stay texts, whatever characters they have and how many zeros they begin with."""
    for store in ("007", "Köln%2FSüd"):
        folder = tmp_path / "hive" / f"store={store}"
        folder.mkdir(parents=True)
        rows = [(str(day), "x", 5) for day in days(40)]
        if ending == "csv":
            write_rows(folder / "part.csv", rows, "date,item,units")
        else:
            columns = dict(zip(("date", "item", "units"), map(list, zip(*rows, strict=True)), strict=True))
            pq.write_table(pa.table(columns), folder / "part.parquet")
    assert take_in(tmp_path / "out", tmp_path / pattern).stores == ["007", "Köln/Süd"]
    assert take_in(tmp_path / "one", tmp_path / "hive/store=007").stores == ["007"]


def test_a_source_that_changes_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = write_rows(tmp_path / "sales.csv", ROWS)
    assert take_in(tmp_path / "same", history).info.source_version == fingerprint_sources([str(history)])
    fetch = intake.fetch_files

    def fetch_while_it_grows(sources: list[Source], scratch: Path) -> list[tuple[str, Path]]:
        found = fetch(sources, scratch)
        with history.open("a") as file:
            file.write(f"{days(40)[0]},A,y,1\n")
        return found

    monkeypatch.setattr(intake, "fetch_files", fetch_while_it_grows)
    with pytest.raises(ForeactError, match=r"sales\.csv' changed while the tables were read, as in an upload"):
        take_in(tmp_path / "grown", history)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3://bucket/sales.csv", "s3://bucket/sales.csv cannot be read: give a path on this machine, or one in Azure"),
        ("/dev/zero", "/dev/zero is no file but a pipe or a device"),
    ],
)
def test_what_is_no_file_here_is_told(tmp_path: Path, uri: str, says: str) -> None:
    with pytest.raises(ForeactError, match=says):
        take_in(tmp_path, uri)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sales.csv")
    with pytest.raises(ForeactError, match=r"sales\.csv is no file but a pipe or a device"):
        take_in(tmp_path / "out", tmp_path / "sales.csv")
