"""Who did what and when: one object per event, never changed, and deleted after the retention period."""

import json
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Literal

from foreact.blobs import BlobStore, BlobUnavailable
from foreact.blobs.records import StoredRecord, parse_or_skip
from foreact.clock import utc_now
from foreact.settings import KEEP_DAYS

log = logging.getLogger("foreact.audit")

FOLDER = "serving/audit/"
# More than a morning's logins; a bound, so that password guessing while the store is unreachable cannot fill memory.
MOST_QUEUED = 10_000

Action = Literal[
    "login", "login_failed", "logout", "refresh", "restore", "withdraw", "promote", "key_created", "key_revoked"
]


class Event(StoredRecord):
    """One action of one account."""

    kind: ClassVar[str] = "audit event"

    at: datetime
    action: Action
    account: str
    # A store, a version, a key's id ...
    subject: str = ""
    request_id: str = ""


class AuditLog:
    """Appends events, and reads them by day."""

    def __init__(
        self, store: BlobStore, clock: Callable[[], datetime] = utc_now, *, keep_days: int = KEEP_DAYS
    ) -> None:
        self._store = store
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._queued: deque[Event] = deque(maxlen=MOST_QUEUED)

    def record_event(self, action: Action, account: str, subject: str) -> None:
        """Append one event."""
        self._write_event(self._make_event(action, account, subject))

    def record_or_queue(self, action: Action, account: str, subject: str, request_id: str) -> None:
        """Append one event; while the store is unreachable, log and queue it, so that no login has to wait."""
        event = self._make_event(action, account, subject, request_id)
        try:
            self._write_event(event)
        except BlobUnavailable:
            self._queued.append(event)
            log.warning("the blob store is unreachable, an event is queued: %s", event.model_dump_json())

    def write_queued(self) -> None:
        """Append the queued events, the oldest first, until the store stops answering."""
        while self._queued:
            event = self._queued.popleft()
            try:
                self._write_event(event)
            except BlobUnavailable:
                self._queued.appendleft(event)
                return

    def _make_event(self, action: Action, account: str, subject: str, request_id: str = "") -> Event:
        at = self._clock().astimezone(UTC)
        return Event(at=at, action=action, account=account, subject=subject, request_id=request_id)

    def _write_event(self, event: Event) -> None:
        # An existing event is never overwritten.
        name = f"{FOLDER}{event.at:%Y-%m-%d}/{event.at:%H%M%S.%f}-{secrets.token_hex(4)}.json"
        self._store.write(name, event.model_dump_json().encode(), if_absent=True)

    def read_events(self, first: date, last: date) -> Iterator[Event]:
        """Return the events of some days that can be read, the oldest first."""
        day = first
        while day <= last:
            for info in self._store.list(f"{FOLDER}{day:%Y-%m-%d}/"):
                event = parse_or_skip(Event, self._store.read(info.name).data, info.name, skip_newer=True)
                if event is not None:
                    yield event
            day += timedelta(days=1)

    def export_lines(self, first: date, last: date) -> Iterator[bytes]:
        """Return the events of some days as JSON lines."""
        for event in self.read_events(first, last):
            yield json.dumps(event.model_dump(mode="json")).encode() + b"\n"

    def prune(self) -> int:
        """Delete events older than the retention, and return how many."""
        oldest = self._clock().date() - self._keep
        names = [info.name for info in self._store.list(FOLDER)]
        old = [name for name in names if name[len(FOLDER) :][:10] < f"{oldest:%Y-%m-%d}"]
        self._store.delete(*old)
        return len(old)
