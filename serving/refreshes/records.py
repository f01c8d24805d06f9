"""What is known of a refresh, and the one object that holds all that are under way.

serving/refreshes/active.json      those that wait or run; changed by compare-and-swap, so that two requests for one
                                   store meet, whichever replica they reach
serving/refreshes/done/<id>.json   those that ended, never changed
"""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs import Blob, BlobConflict, BlobNotFound, BlobStore
from foreact.blobs.swap import read_if_present, swap_object

ACTIVE = "serving/refreshes/active.json"
DONE = "serving/refreshes/done/"
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}")
KEPT = 500

State = Literal["queued", "running", "succeeded", "failed"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Step(_Record):
    """One step of a run, as far as it is."""

    name: str
    state: Literal["running", "succeeded", "failed", "skipped"]
    seconds: float | None = None
    done: int | None = None
    total: int | None = None
    detail: str = ""


class Process(_Record):
    """A process of this machine that cannot be mistaken for a later one with its number."""

    host: str
    pid: int
    started: str


class Refresh(_Record):
    """One refresh of a store."""

    id: str
    store: str
    state: State
    requested_at: datetime
    requested_by: str
    request_id: str = ""
    traceparent: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    # Where it runs: a run's id with Kubeflow, a process of a machine.
    run: str = ""
    process: Process | None = None
    steps: tuple[Step, ...] = ()
    failed_step: str | None = None
    sentence: str | None = None
    # The publication in which the new numbers can be seen.
    version: int | None = None


class _Active(BaseModel):
    refreshes: list[Refresh] = Field(default_factory=list)


def new_id(now: datetime) -> str:
    """Make a refresh's id; ids sort by time."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"


class RefreshRecords:
    """Keeps refreshes in the blob store."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def list_active(self) -> list[Refresh]:
        """Return those that wait or run, the oldest first."""
        return _parse_active(read_if_present(self._store, ACTIVE))

    def change_active(self, change: Callable[[list[Refresh]], list[Refresh]]) -> list[Refresh]:
        """Change those that wait or run; `change` may be called again when others were faster."""
        changed: list[Refresh] = []

        def succeed(blob: Blob | None) -> bytes | None:
            nonlocal changed
            active = _parse_active(blob)
            changed = change(active)
            return None if changed == active else _Active(refreshes=changed).model_dump_json().encode()

        swap_object(self._store, ACTIVE, succeed)
        return changed

    def update_active(self, refresh_id: str, change: Callable[[Refresh], Refresh]) -> Refresh | None:
        """Change one that waits or runs; nothing if it is no longer there."""
        found: list[Refresh] = []

        def one(held: list[Refresh]) -> list[Refresh]:
            found.clear()
            changed = [change(refresh) if refresh.id == refresh_id else refresh for refresh in held]
            found.extend(refresh for refresh in changed if refresh.id == refresh_id)
            return changed

        self.change_active(one)
        return found[0] if found else None

    def finish_refresh(self, refresh: Refresh) -> bool:
        """Keep how one ended, and tell whether this call was the one that did."""
        try:
            self._store.write(f"{DONE}{refresh.id}.json", refresh.model_dump_json().encode(), if_absent=True)
            first = True
        except BlobConflict:
            first = False
        self.change_active(lambda held: [other for other in held if other.id != refresh.id])
        return first

    def find_refresh(self, refresh_id: str) -> Refresh | None:
        """Find one by its id, under way or ended."""
        if not ID.fullmatch(refresh_id):
            return None
        for refresh in self.list_active():
            if refresh.id == refresh_id:
                return refresh
        return self.find_ended(refresh_id)

    def find_ended(self, refresh_id: str) -> Refresh | None:
        """Find one that ended."""
        try:
            return Refresh.model_validate_json(self._store.read(f"{DONE}{refresh_id}.json").data)
        except BlobNotFound:
            return None

    def ended_ids(self) -> list[str]:
        """Return the ids of those that ended, the oldest first."""
        return [info.name.removeprefix(DONE).removesuffix(".json") for info in self._store.list(DONE)]

    def delete_old(self) -> None:
        """Forget all but the latest that ended."""
        for info in list(self._store.list(DONE))[:-KEPT]:
            self._store.delete(info.name)


def _parse_active(blob: Blob | None) -> list[Refresh]:
    return _Active.model_validate_json(blob.data).refreshes if blob else []
