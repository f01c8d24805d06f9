"""What the model registry has yet to be told: the runs that it did not answer."""

from collections.abc import Callable, Set
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from foreact.blobs.ageing import delete_all, list_old
from foreact.blobs.protocol import BlobNotFound, BlobStore
from foreact.blobs.records import BadRecord, StoredRecord, parse_record
from foreact.clock import utc_now
from foreact.naming import encode_id
from foreact.publications.contract import CURRENT, OWED
from foreact.runs.trained import Trained

SUFFIX, PROBLEM = ".json", ".problem"


class RunOrigin(BaseModel):
    """The run that trained, as the registry shows it."""

    model_config = ConfigDict(extra="forbid")

    run: str
    pipeline: str = ""
    # The one store of the run; empty: all.
    store: str = ""
    code_version: str = ""
    # The MLflow run within which it was begun.
    parent_run: str = ""


class OwedRun(StoredRecord):
    """A run that the registry has yet to be told of, and what it left; its models stay until then."""

    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "owed run"

    origin: RunOrigin
    trained: Trained


def owe_run(blobs: BlobStore, owed: OwedRun) -> None:
    """Keep what the registry is to be told until it can be."""
    blobs.write(owed_name(owed.origin.run), owed.model_dump_json().encode())


def owed_name(run: str) -> str:
    """Name what is owed of a run."""
    return f"{OWED}{encode_id(run)}{SUFFIX}"


def read_owed(blobs: BlobStore, name: str) -> OwedRun:
    """Read what is owed of a run."""
    return parse_record(OwedRun, blobs.read(name).data, name)


def list_owed_models(blobs: BlobStore) -> set[str]:
    """Return the names of the models that the registry has yet to be told of."""
    names: set[str] = set()
    for name in list_owed(blobs):
        with suppress(BadRecord, BlobNotFound):
            names |= {model.name for model in read_owed(blobs, name).trained.list_models()}
    return names


def list_owed(blobs: BlobStore) -> list[str]:
    """Return the names of what is owed, the oldest first."""
    records = (info for info in blobs.list(OWED) if info.name.endswith(SUFFIX))
    return [info.name for info in sorted(records, key=lambda info: (info.modified, info.name))]


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
    # Age is measured from the last publication too: what is owed may be one run alone.
    old = set(list_old([*blobs.list(OWED), *blobs.list(CURRENT)], age, utc_now())) & set(list_owed(blobs))
    if not old:
        return []
    kept = {owed_name(run) for _, run in find_named()}
    gone = sorted(old - kept)
    delete_all(blobs, [each for name in gone for each in (name, name + PROBLEM)])
    return gone
