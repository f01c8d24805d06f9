"""The records of refreshes in the blob store.

serving/refreshes/active.json      those that wait or run; changed by compare-and-swap, so that two requests for one
                                   store join, whichever replica they reach
serving/refreshes/done/<id>.json   those that ended, never changed
"""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs import Blob, BlobConflict, BlobNotFound, BlobStore
from foreact.blobs.records import EACH_ALONE, StoredRecord, parse_or_skip
from foreact.blobs.swap import read_if_present, swap_object

ACTIVE = "serving/refreshes/active.json"
DONE = "serving/refreshes/done/"
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}")
MOST_ENDED = 500

State = Literal["queued", "running", "succeeded", "failed"]


class Step(BaseModel):
    """One step of a run, and its progress."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: Literal["running", "succeeded", "failed", "skipped"]
    # Since the step before it ended, so that the wait for it counts.
    seconds: float | None = None
    done: int | None = None
    total: int | None = None
    detail: str = ""


class Process(StoredRecord):
    """A process on one machine; its start tells it apart from a later process with the same pid."""

    kind: ClassVar[str] = "process"

    host: str
    pid: int
    started: str


class Refresh(StoredRecord):
    """One refresh of a store."""

    kind: ClassVar[str] = "refresh"

    id: str
    store: str
    state: State
    requested_at: datetime
    requested_by: str
    request_id: str = ""
    traceparent: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    # Where it runs: the run's id, and the process if it runs on this machine.
    run: str = ""
    process: Process | None = None
    steps: tuple[Step, ...] = ()
    failed_step: str | None = None
    sentence: str | None = None
    # The publication in which the new numbers can be seen.
    version: int | None = None


class _Active(StoredRecord):
    kind: ClassVar[str] = "refresh"

    refreshes: list[Annotated[Refresh, EACH_ALONE]] = Field(default_factory=list)


def new_id(now: datetime) -> str:
    """Return a new refresh's id; ids sort by time."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"


class RefreshRecords:
    """Reads and changes the records."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def list_active(self) -> list[Refresh]:
        """Return the refreshes that wait or run, the oldest first."""
        return _parse_active(read_if_present(self._store, ACTIVE))

    def change_active(self, change: Callable[[list[Refresh]], list[Refresh]]) -> list[Refresh]:
        """Change the refreshes that wait or run, and return them; `change` may run again if another was faster."""
        changed: list[Refresh] = []

        def change_object(blob: Blob | None) -> bytes | None:
            nonlocal changed
            active = _parse_active(blob)
            changed = change(active)
            return None if changed == active else _Active(refreshes=changed).model_dump_json().encode()

        swap_object(self._store, ACTIVE, change_object)
        return changed

    def update_active(self, refresh_id: str, change: Callable[[Refresh], Refresh]) -> Refresh | None:
        """Change one refresh that waits or runs, and return it; None if it no longer does."""
        found: list[Refresh] = []

        def change_one(active: list[Refresh]) -> list[Refresh]:
            found.clear()
            changed = [change(refresh) if refresh.id == refresh_id else refresh for refresh in active]
            found.extend(refresh for refresh in changed if refresh.id == refresh_id)
            return changed

        self.change_active(change_one)
        return found[0] if found else None

    def finish_refresh(self, refresh: Refresh) -> bool:
        """Record how a refresh ended, and return whether this call was the first to do so."""
        try:
            self._store.write(f"{DONE}{refresh.id}.json", refresh.model_dump_json().encode(), if_absent=True)
            first = True
        except BlobConflict:
            first = False
        self.change_active(lambda active: [other for other in active if other.id != refresh.id])
        return first

    def find_refresh(self, refresh_id: str) -> Refresh | None:
        """Return a refresh by its id, active or ended; None if there is none."""
        if not ID.fullmatch(refresh_id):
            return None
        for refresh in self.list_active():
            if refresh.id == refresh_id:
                return refresh
        return self.find_ended(refresh_id)

    def find_ended(self, refresh_id: str) -> Refresh | None:
        """Return a refresh that ended; None if there is none of this id, or it cannot be read."""
        name = f"{DONE}{refresh_id}.json"
        try:
            return parse_or_skip(Refresh, self._store.read(name).data, name, skip_newer=True)
        except BlobNotFound:
            return None

    def ended_ids(self) -> list[str]:
        """Return the ids of the refreshes that ended, the oldest first."""
        return [info.name.removeprefix(DONE).removesuffix(".json") for info in self._store.list(DONE)]

    def delete_old(self) -> None:
        """Delete all but the latest refreshes that ended."""
        self._store.delete(*(info.name for info in list(self._store.list(DONE))[:-MOST_ENDED]))


def _parse_active(blob: Blob | None) -> list[Refresh]:
    active = parse_or_skip(_Active, blob.data, ACTIVE) if blob else None
    return active.refreshes if active else []
