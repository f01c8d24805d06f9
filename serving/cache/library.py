"""Keeps the current publication at hand and swaps it whole when the manifest changes."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from foreact.blobs import BlobNotFound, BlobStore, BlobUnavailable
from foreact.errors import ForeactError
from foreact.publications.contract import CURRENT, Kind, Manifest, StoreEntry
from foreact.publications.reader import Reader
from foreact.publications.sealing import unseal
from serving.cache.arrays import StoreArrays, assemble
from serving.cache.snapshot import Snapshot

log = logging.getLogger("foreact.serving")
WANTED: tuple[Kind, ...] = ("forecasts", "totals", "history", "drivers", "scorecard")
# How far back to look for a good version when a process starts on a bad one.
LOOK_BACK = 5
# Stores that are loaded at once: enough to hide a store's distance, few enough to stay small.
LOADERS = 3


class Library:
    """Holds the last good snapshot; tells what was refused and whether the store answers."""

    def __init__(self, store: BlobStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.reader = Reader(store)
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: str | None = None
        self.current: Snapshot | None = None
        # One sentence each, or nothing.
        self.refused: str | None = None
        self.unreachable: str | None = None
        self.checked_at: datetime | None = None

    def refresh(self) -> bool:
        """Look at the manifest, take over what changed, and tell whether it was anything; never raises."""
        with self._lock:
            try:
                changed = self._refresh()
            except BlobUnavailable as problem:
                if self.unreachable is None:
                    log.warning("publications cannot be reached: %s", problem)
                self.unreachable = str(problem)
                return False
            self.unreachable = None
            self.checked_at = self._clock()
            return changed

    def _refresh(self) -> bool:
        try:
            blob = self._store.read_if_changed(CURRENT, self._seen) if self._seen else self._store.read(CURRENT)
        except BlobNotFound:
            return False
        if blob is None:
            return False
        told = "the newest publication cannot be read"
        try:
            manifest = unseal(blob.data, CURRENT)
            told = f"publication {manifest.version} is damaged"
            taken = self._load(manifest, blob.etag)
        except BlobUnavailable:
            raise
        except ForeactError as problem:
            # Only the log names the object, and with it a store: whoever is told may not know of that store.
            self._seen, self.refused = blob.etag, told
            log.error("%s and not served: %s", told, problem)
            if self.current is None:
                self.current = self._last_good()
            return True
        self._seen, self.current, self.refused = blob.etag, taken, None
        log.info("publication %d is served, %d stores", taken.version, len(taken.stores))
        return True

    def _last_good(self) -> Snapshot | None:
        """Find the newest version in the archive that can be served, for a process that starts on a bad one."""
        for number in reversed(self.reader.versions()[-LOOK_BACK:]):
            try:
                return self._load(self.reader.version(number), f"version-{number}")
            except BlobUnavailable:
                raise
            except ForeactError as problem:
                log.error("version %d is no use either: %s", number, problem)
        return None

    def _load(self, manifest: Manifest, etag: str) -> Snapshot:
        held = self.current.stores if self.current else {}
        stores: dict[str, StoreArrays] = {}
        missing: list[tuple[str, StoreEntry]] = []
        for store, entry in sorted(manifest.stores.items()):
            arrays = held.get(store)
            if arrays is not None and arrays.entry == entry:
                stores[store] = arrays
            else:
                missing.append((store, entry))
        if missing:
            with ThreadPoolExecutor(min(LOADERS, len(missing)), "publication") as pool:
                for arrays in pool.map(lambda pair: self._load_store(*pair), missing):
                    stores[arrays.store] = arrays
        return Snapshot(manifest, etag, dict(sorted(stores.items())))

    def _load_store(self, store: str, entry: StoreEntry) -> StoreArrays:
        objects = {kind: self.reader.read(entry.objects[kind]) for kind in WANTED if kind in entry.objects}
        return assemble(store, entry, objects)
