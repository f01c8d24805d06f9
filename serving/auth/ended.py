"""Sessions that were logged out before their time, known to every replica within seconds through one object."""

import json
import logging
import threading
from collections.abc import Callable

from foreact.blobs import Blob, BlobStore, BlobUnavailable
from foreact.blobs.swap import read_if_present, swap_object
from foreact.errors import ForeactError

log = logging.getLogger("foreact.serving")

OBJECT = "serving/sessions/ended.json"
SCHEMA_VERSION = 1
# How often others are told, and asked.
SHARE_SECONDS = 3.0
# Some 600 kB. Of more, those go first that expire first.
MOST_ENDED = 10_000


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
                    self._ended, self._etag = _parse_ended(blob), blob.etag
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
        now = self._clock()
        known = {**(_parse_ended(blob) if blob else self._ended), **self._untold}
        lasting = sorted((until, session) for session, until in known.items() if until > now)
        self._ended = {session: until for until, session in lasting[-MOST_ENDED:]}
        return json.dumps({"schema_version": SCHEMA_VERSION, "ended": self._ended}).encode()


def _parse_ended(blob: Blob) -> dict[str, float]:
    """Return the ended sessions of an object, none of a damaged one; raise ForeactError for one of a newer schema."""
    try:
        stored = json.loads(blob.data)
        schema = int(stored["schema_version"])
        if schema > SCHEMA_VERSION:
            message = f"{OBJECT} has schema version {schema} and this software knows {SCHEMA_VERSION}: update it."
            raise ForeactError(message)
        return {str(session): float(until) for session, until in stored["ended"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        log.error("%s is damaged and will be written anew: %s", OBJECT, problem)
        return {}
