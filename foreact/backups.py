"""Backups of what is not in object storage: a workspace, and MLflow's database, in one file whose bytes are checked.

It is a tar, so that any tool can look into it. What there is, and the checksum of each, is written last: a file without
that was not written to its end.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, ClassVar

from foreact import __version__
from foreact.blobs.connecting import FOLDER
from foreact.blobs.folder import FolderStore
from foreact.blobs.records import StoredRecord, parse_record
from foreact.data.dataset.parts import FOLDER as DATASETS
from foreact.errors import ForeactError, count_noun, name_examples
from foreact.publications import CURRENT, BrokenPublication, Manifest, Reader
from foreact.publications.contract import MANIFESTS, PublishedObject, StoreGroup, manifest_name
from foreact.publications.groups import list_entries

RECORD, FILES, DUMP = "backup.json", "workspace/", "mlflow.dump"
DATABASE = "mlflow.db"
LAST_REQUEST = "runs/last.json"
# What SQLite and locks keep beside the database, which its copy does without.
LEFT_OUT = {f"{DATABASE}-journal", f"{DATABASE}-wal", f"{DATABASE}-shm", "mlflow.lock"}
# Where MLflow keeps the addresses of files.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
IN_MEMORY = 16 << 20


class BackupRecord(StoredRecord):
    """What a backup holds."""

    kind: ClassVar[str] = "backup"

    created_at: datetime
    software: str
    # Where the workspace was; empty: there is none in it.
    workspace: str = ""
    # The version that was published in it; None: publications are elsewhere, or there are none.
    publication: int | None = None
    # The checksum of each file.
    files: dict[str, str]
    # Objects of the publication that were not whole.
    damaged: tuple[str, ...] = ()


def write_backup(out: Path, workspace: Path | None, database: str = "") -> BackupRecord:
    """Write a workspace, which may be in use, and the PostgreSQL database of an address into a new file."""
    if out.exists():
        raise ForeactError(f"{str(out)!r} exists: name another file, for a backup is never written over.")
    if workspace is not None and out.resolve().is_relative_to(workspace.resolve()):
        raise ForeactError(f"{str(out)!r} would be lost with the workspace {str(workspace)!r}: name a file elsewhere.")
    draft = out.with_name(f".{out.name}.part")
    try:
        # Only its owner may read it: the records of keys and logins are in it.
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                record = _write_files(archive, workspace, database)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return record


def restore_backup(backup: Path, workspace: Path, database: str = "", *, replace: bool = False) -> BackupRecord:
    """Put the database of a backup into an empty one, then its workspace into its place, whole or not at all.

    With `replace` a workspace that is there already is kept beside it.
    """
    occupied = workspace.exists() and any(workspace.iterdir())
    try:
        with tarfile.open(backup, "r:") as archive:
            record = _read_record(archive, backup)
            if record.workspace and occupied and not replace:
                raise ForeactError(
                    f"{str(workspace)!r} is not empty: name another folder by --workspace, or stop what uses it and "
                    "give --replace, which keeps what is there beside it."
                )
            if DUMP in record.files and not record.workspace and not database:
                raise ForeactError(f"{str(backup)!r} holds a database alone: say by --database where it goes.")
            if record.workspace:
                # The database between unpacking and moving: damage of either is found before anything is in place.
                with _unpack_workspace(archive, record, backup, workspace.absolute()) as draft:
                    if database:
                        _restore_database(archive, record, backup, database)
                    _move_into_place(draft, workspace.absolute(), occupied)
            elif database:
                _restore_database(archive, record, backup, database)
    except tarfile.ReadError:
        raise ForeactError(f"{str(backup)!r} is no backup of Foreact, or was cut short.") from None
    return record


def _write_files(archive: tarfile.TarFile, workspace: Path | None, database: str) -> BackupRecord:
    files: dict[str, str] = {}
    manifest, damaged = None, list[str]()
    if database:
        with tempfile.TemporaryDirectory() as scratch:
            dump = Path(scratch, DUMP)
            _run_postgres(["pg_dump", "--format=custom", f"--file={dump}", f"--dbname={database}"], "saved")
            with dump.open("rb") as source:
                files[DUMP] = _add_file(archive, DUMP, source)
    if workspace is not None:
        manifest = _write_workspace(archive, workspace, files)
        damaged = _find_damaged(manifest, files) if manifest else []
    if not files:
        raise ForeactError(f"There is nothing to back up in {str(workspace)!r}: name the folder by --workspace.")
    record = BackupRecord(
        created_at=datetime.now(UTC),
        software=__version__,
        workspace=str(workspace.absolute()) if workspace else "",
        publication=manifest.version if manifest else None,
        files=files,
        damaged=tuple(damaged),
    )
    with tempfile.TemporaryFile() as source:
        source.write(record.model_dump_json(indent=1).encode())
        source.seek(0)
        _add_file(archive, RECORD, source)
    return record


def _write_workspace(archive: tarfile.TarFile, workspace: Path, files: dict[str, str]) -> Manifest | None:
    """Write the manifest, then MLflow's database, then the rest: what the first two name is there by then."""
    current = f"{FOLDER}/{CURRENT}"
    manifest = None
    with suppress(FileNotFoundError), (workspace / current).open("rb") as source:
        files[FILES + current] = _add_file(archive, FILES + current, source)
        source.seek(0)
        with suppress(BrokenPublication):
            manifest = _open_publications(workspace).unseal_manifest(source.read(), CURRENT)
    if (workspace / DATABASE).is_file():
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch, DATABASE)
            _copy_database(workspace / DATABASE, copy)
            with copy.open("rb") as source:
                files[FILES + DATABASE] = _add_file(archive, FILES + DATABASE, source)
    for path in _list_files(workspace):
        name = path.relative_to(workspace).as_posix()
        if name in {current, DATABASE} or (manifest and _is_later(name, manifest)):
            continue
        # A file that is deleted meanwhile is no longer needed.
        with suppress(FileNotFoundError), path.open("rb") as source:
            files[FILES + name] = _add_file(archive, FILES + name, source)
    return manifest


def _list_files(workspace: Path) -> Iterator[Path]:
    """Return the files of a workspace but for drafts, locks, datasets and what runs only hand from step to step."""
    for folder, folders, names in os.walk(workspace, followlinks=True):
        place = Path(folder).relative_to(workspace)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if len(place.parts) == 2 and place.parts[0] == "runs":
            folders[:] = [each for each in folders if each != "artifacts"]
        if place.as_posix() == FOLDER:
            folders[:] = [each for each in folders if f"{each}/" != DATASETS]
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and place / name not in map(Path, LEFT_OUT) and path.is_file():
                yield path


def _is_later(name: str, manifest: Manifest) -> bool:
    """Return whether a file is the archived manifest of a later version, published while the backup was written."""
    archived = f"{FOLDER}/{MANIFESTS}"
    return name.startswith(archived) and name > f"{FOLDER}/{manifest_name(manifest.version)}"


def _find_damaged(manifest: Manifest, files: dict[str, str]) -> list[str]:
    """Return the objects that the publication names and that are not in the backup as they were published."""

    def is_damaged(each: StoreGroup | PublishedObject) -> bool:
        return files.get(f"{FILES}{FOLDER}/{each.name}") != each.sha256

    whole = list_entries(manifest, lambda group: not is_damaged(group))
    objects: list[StoreGroup | PublishedObject] = [
        *manifest.groups,
        *(each for entry in whole for each in entry.list_objects()),
    ]
    return sorted(each.name for each in objects if is_damaged(each))


def _open_publications(workspace: Path) -> Reader:
    return Reader(FolderStore(workspace / FOLDER))


def _add_file(archive: tarfile.TarFile, name: str, source: IO[bytes]) -> str:
    """Add a file as it is now, however it grows meanwhile, and return its checksum."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        info = tarfile.TarInfo(name)
        info.size = copy.tell()
        info.mtime, info.mode = os.fstat(source.fileno()).st_mtime, 0o600
        copy.seek(0)
        checksum = hashlib.sha256()
        while part := copy.read(1 << 20):
            checksum.update(part)
        copy.seek(0)
        archive.addfile(info, copy)
    return checksum.hexdigest()


def _copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as of one moment, while others write to it."""
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=60)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
    except sqlite3.Error as error:
        raise ForeactError(
            f"MLflow's database {source} cannot be copied ({error}): back up again, or mend it."
        ) from None


def _read_record(archive: tarfile.TarFile, backup: Path) -> BackupRecord:
    try:
        source = archive.extractfile(RECORD)
    except KeyError:
        source = None
    if source is None:
        raise ForeactError(f"{str(backup)!r} has no {RECORD}, which is written last: it is no whole backup.")
    return parse_record(BackupRecord, source.read(), f"{RECORD} of {backup}")


@contextmanager
def _unpack_workspace(archive: tarfile.TarFile, record: BackupRecord, backup: Path, workspace: Path) -> Iterator[Path]:
    """Return a workspace beside its place, checked and with addresses of the place; it goes unless it is moved."""
    workspace.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{workspace.name}.", dir=workspace.parent))
    try:
        for name in record.files:
            if name.startswith(FILES):
                _extract_file(archive, record, name, draft / name.removeprefix(FILES), backup)
        with suppress(FileNotFoundError, BrokenPublication):
            # A publication that is newer than this software is refused before anything is replaced.
            _open_publications(draft).unseal_manifest((draft / FOLDER / CURRENT).read_bytes(), CURRENT)
        if record.workspace != str(workspace):
            _rename_addresses(draft, Path(record.workspace), workspace)
        yield draft
    except OSError as error:
        raise ForeactError(f"The workspace {str(workspace)!r} cannot be restored: {error.strerror}.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _move_into_place(draft: Path, workspace: Path, occupied: bool) -> None:
    before = workspace.with_name(f"{workspace.name}.before-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if occupied:
        workspace.rename(before)
    try:
        draft.rename(workspace)
    except OSError:
        if occupied:
            before.rename(workspace)
        raise


def _extract_file(archive: tarfile.TarFile, record: BackupRecord, name: str, target: Path, backup: Path) -> None:
    """Write one file of a backup, if it is what was backed up and its name leads nowhere else."""
    if ".." in Path(name).parts:
        raise ForeactError(f"{name!r} of {str(backup)!r} leads out of the workspace: this is no backup of Foreact.")
    try:
        member = archive.getmember(name)
        source = archive.extractfile(member)
    except KeyError:
        source = None
    if source is None:
        raise ForeactError(f"{name} is missing in {str(backup)!r}: take another backup.")
    target.parent.mkdir(parents=True, exist_ok=True)
    checksum = hashlib.sha256()
    with target.open("xb") as file:
        while part := source.read(1 << 20):
            checksum.update(part)
            file.write(part)
    if checksum.hexdigest() != record.files[name]:
        raise ForeactError(f"{name} in {str(backup)!r} is damaged: its bytes are not those backed up.")
    # As archived, for its owner alone: keys are among them.
    target.chmod(member.mode & 0o700)
    os.utime(target, (member.mtime, member.mtime))


def _rename_addresses(folder: Path, old: Path, new: Path) -> None:
    """Let what names files of the workspace by where it was name them by where it is now."""
    database, request = folder / DATABASE, folder / LAST_REQUEST
    if database.is_file():
        with closing(sqlite3.connect(database)) as connection, connection:
            for table, column in ADDRESSES:
                # Tables and columns are those above; what differs from backup to backup is bound.
                before, after = old.as_uri(), new.as_uri()
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?",  # noqa: S608
                    (after, len(before) + 1, len(before) + 1, f"{before}/"),
                )
    if request.is_file():
        text = request.read_text(encoding="utf-8")
        request.write_text(text.replace(json.dumps(f"{old}/")[:-1], json.dumps(f"{new}/")[:-1]), encoding="utf-8")


def _restore_database(archive: tarfile.TarFile, record: BackupRecord, backup: Path, database: str) -> None:
    if DUMP not in record.files:
        raise ForeactError(f"{str(backup)!r} holds no database: it was made without --database.")
    with tempfile.TemporaryDirectory() as scratch:
        dump = Path(scratch, DUMP)
        _extract_file(archive, record, DUMP, dump, backup)
        # Of a database that is not empty the first table is refused, and with it everything.
        options = ["--no-owner", "--exit-on-error", "--single-transaction"]
        _run_postgres(["pg_restore", *options, f"--dbname={database}", str(dump)], "restored")


def _run_postgres(command: list[str], done: str) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ForeactError(f"{command[0]} is not here: install PostgreSQL's client, as new as the server.") from None
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ForeactError(f"The database was not {done}: {said[0].rstrip('.')}.")


def describe_backup(record: BackupRecord) -> str:
    """Say what is in a backup."""
    published = "" if record.publication is None else f", publication {record.publication}"
    return f"{count_noun(len(record.files), 'file')}{published}, as of {record.created_at:%Y-%m-%d %H:%M} UTC"


def explain_damage(record: BackupRecord) -> str:
    """Say what was not whole when it was backed up; empty if all was."""
    if not record.damaged:
        return ""
    return f"Of publication {record.publication} these objects were not whole: {name_examples(list(record.damaged))}."
