"""What the model registry has yet to be told: the models and figures of runs that it did not answer."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Set
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from foreact.blobs.ageing import delete_all, list_old
from foreact.blobs.protocol import BlobStore
from foreact.blobs.records import BadRecord, StoredRecord, parse_record
from foreact.clock import utc_now
from foreact.naming import encode_id
from foreact.packing import unpack_file
from foreact.publications.contract import CURRENT, OWED
from foreact.runs.trained import TrainedFolder

RECORD = "owed.json"
ARCHIVE, PROBLEM = ".zip", ".problem"


class RunOrigin(StoredRecord):
    """The run that trained, as the registry shows it."""

    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "owed run"

    run: str
    pipeline: str = ""
    # The one store of the run; empty: all.
    store: str = ""
    code_version: str = ""
    # The MLflow run within which it was begun.
    parent_run: str = ""


def owe_run(blobs: BlobStore, trained: TrainedFolder, origin: RunOrigin) -> None:
    """Keep what a training has for the registry until it can be told."""
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch, "owed.zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(RECORD, origin.model_dump_json())
            for path in trained.list_registered():
                archive.write(path, path.relative_to(trained.root).as_posix())
        blobs.write(owed_name(origin.run), packed)


def owed_name(run: str) -> str:
    """Name what is owed of a run."""
    return f"{OWED}{encode_id(run)}{ARCHIVE}"


def list_owed(blobs: BlobStore) -> list[str]:
    """Return the names of what is owed, the oldest first."""
    archives = (info for info in blobs.list(OWED) if info.name.endswith(ARCHIVE))
    return [info.name for info in sorted(archives, key=lambda info: (info.modified, info.name))]


def note_unreadable(blobs: BlobStore, name: str, problem: str) -> None:
    """Keep beside it why what is owed could not be read, for who asks without reading it."""
    blobs.write(name + PROBLEM, problem.encode())


def list_unreadable(blobs: BlobStore) -> list[str]:
    """Return why what is owed could not be read, a sentence each."""
    names = {info.name for info in blobs.list(OWED)}
    noted = sorted(name for name in names if name.endswith(PROBLEM) and name.removesuffix(PROBLEM) in names)
    return [blobs.read(name).data.decode() for name in noted]


def settle_owed(blobs: BlobStore, name: str) -> None:
    """Delete what is owed no longer."""
    blobs.delete(name, name + PROBLEM)


def forget_owed(blobs: BlobStore, find_named: Callable[[], Set[tuple[str, str]]], age: timedelta) -> list[str]:
    """Delete what is owed for so long that the registry would forget it at once, but for runs that are named."""
    # Age is measured from the last publication too: what is owed may be one archive alone.
    old = set(list_old([*blobs.list(OWED), *blobs.list(CURRENT)], age, utc_now())) & set(list_owed(blobs))
    if not old:
        return []
    kept = {owed_name(run) for _, run in find_named()}
    gone = sorted(old - kept)
    delete_all(blobs, [each for name in gone for each in (name, name + PROBLEM)])
    return gone


def fetch_owed(blobs: BlobStore, name: str, folder: Path) -> RunOrigin:
    """Write what is owed of a run into a folder, and return the run."""
    with tempfile.TemporaryFile() as packed:
        with blobs.open(name) as source:
            shutil.copyfileobj(source, packed)
        try:
            unpack_file(packed, folder)
            record = (folder / RECORD).read_bytes()
        except (zipfile.BadZipFile, FileNotFoundError) as error:
            raise BadRecord(f"{name} is no whole archive: {error}.") from None
    return parse_record(RunOrigin, record, f"{RECORD} of {name}")
