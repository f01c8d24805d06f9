"""Sessions that were logged out before their time, known to every replica within seconds through one object."""

import logging
import threading
from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field

from foreact.blobs import Blob, BlobStore, BlobUnavailable
from foreact.blobs.records import EACH_ALONE, StoredRecord, parse_or_skip
from foreact.blobs.swap import read_if_present, swap_object
from foreact.errors import ForeactError

log = logging.getLogger("foreact.serving")

OBJECT = "serving/sessions/ended.json"
# How often others are told, and asked.
SHARE_SECONDS = 3.0
# Some 600 kB. Of more, those go first that expire first.
MOST_ENDED = 10_000


class _Ended(StoredRecord):
    kind: ClassVar[str] = "ended session"

    # When the cookie of each would have expired.
    ended: dict[str, Annotated[float, EACH_ALONE]] = Field(default_factory=dict)


class EndedSessions:
    """The sessions that a cookie no longer opens, each until its cookie would have expired."""

    def __init__(self, store: BlobStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._etag = ""
        self._ended: dict[str, float] = {}
        self._untold: dict[str, float] = {}

    def __contains__(self, session: str) -> bool:
        return session in self._ended or session in self._untold

    def end_session(self, session: str, expires: float) -> None:
        """End a session, here at once and elsewhere soon."""
        with self._lock:
            self._untold[session] = expires
        self.share()

    def share(self) -> None:
        """Write what ended here, and read what ended elsewhere; what fails is tried again next time."""
        with self._lock:
            try:
                if self._untold:
                    swap_object(self._store, OBJECT, self._merge)
                    self._untold = {}
                elif blob := self._read_changed():
                    self._ended, self._etag = self._add_ended(blob), blob.etag
            except BlobUnavailable as problem:
                log.warning("ended sessions cannot be shared: %s", problem)
            except ForeactError as problem:
                log.error("ended sessions cannot be shared: %s", problem)

    def _read_changed(self) -> Blob | None:
        if not self._etag:
            return read_if_present(self._store, OBJECT)
        return self._store.read_if_changed(OBJECT, self._etag)

    def _merge(self, blob: Blob | None) -> bytes:
        """Return all that are known to have ended and have not expired."""
        self._ended = self._add_ended(blob)
        return _Ended(ended=self._ended).model_dump_json().encode()

    def _add_ended(self, blob: Blob | None) -> dict[str, float]:
        """Return what has ended here or by an object, and has not expired; raise NewerRecord for a newer schema.

        A damaged object has none, and opens no session again.
        """
        stored = parse_or_skip(_Ended, blob.data, OBJECT) if blob else None
        known = {**self._ended, **(stored.ended if stored else {}), **self._untold}
        now = self._clock()
        lasting = sorted((until, session) for session, until in known.items() if until > now)
        return {session: until for until, session in lasting[-MOST_ENDED:]}
