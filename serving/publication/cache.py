"""Holds the current publication in memory, and replaces it when the manifest changes.

A store whose newest objects are damaged keeps its last good numbers; the other stores are not affected.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from foreact.blobs import BlobNotFound, BlobStore, BlobUnavailable
from foreact.blobs.records import NewerRecord
from foreact.clock import utc_now
from foreact.errors import ForeactError
from foreact.publications.contract import CURRENT, Manifest, StoreEntry
from foreact.publications.reader import Reader
from foreact.publications.sealing import unseal_manifest
from serving.publication.arrays import StoreData, assemble_store
from serving.publication.snapshot import Snapshot

log = logging.getLogger("foreact.serving")
# How many versions back a damaged store's last good numbers are looked for.
LOOK_BACK = 5
# Stores that are loaded in parallel: enough to hide the blob store's latency, few enough to need little memory.
LOADERS = 3
# Damaged objects may be repaired under the same manifest; they are tried again after these pauses, which double.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=10)
# Why the newest publication is not served as a whole.
UNREADABLE = "the newest publication cannot be read"
NEWER = "the newest publication was written by a later version of this software"
LOST = "the manifest of the newest publication is gone from the blob store"


class PublicationCache:
    """Holds the current snapshot, what of the newest publication is not served, and whether the blob store answers."""

    def __init__(self, store: BlobStore, clock: Callable[[], datetime] = utc_now) -> None:
        self.reader = Reader(store)
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: str | None = None
        self._unread: str | None = None
        self._pause = FIRST_PAUSE
        self._again_at: datetime | None = None
        self.current: Snapshot | None = None
        # Why the blob store does not answer, in one sentence; None while it does.
        self.unreachable: str | None = None
        self.checked_at: datetime | None = None

    @property
    def refused(self) -> str | None:
        """Return in one sentence what of the newest publication is not served; None if all of it is.

        Only the log names stores, because callers may not be allowed to see them.
        """
        return self._unread or (self.current.damage_sentence if self.current else None)

    def explain_gap(self, store: str) -> str | None:
        """Return why a store's newest numbers are not served; None if they are."""
        if self._unread or self.current is None or store not in self.current.damaged_stores:
            return self._unread
        return f"publication {self.current.version} is damaged in this store"

    def refresh(self) -> bool:
        """Read the manifest, load what changed, and return whether anything did; never raises BlobUnavailable."""
        with self._lock:
            try:
                changed = self._swap_if_changed()
            except BlobUnavailable as problem:
                if self.unreachable is None:
                    log.warning("the store of publications does not answer: %s", problem)
                self.unreachable = str(problem)
                return False
            self.unreachable = None
            self.checked_at = self._clock()
            return changed

    def _swap_if_changed(self) -> bool:
        try:
            blob = self._store.read_if_changed(CURRENT, self._seen) if self._seen else self._store.read(CURRENT)
        except BlobNotFound:
            return self._keep_without_manifest()
        if blob is None:
            return self._retry_damaged()
        try:
            manifest = unseal_manifest(blob.data, CURRENT)
        except ForeactError as problem:
            log.error("the newest publication cannot be read: %s", problem)
            self._serve_archived()
            self._seen, self._unread = blob.etag, NEWER if isinstance(problem, NewerRecord) else UNREADABLE
            return True
        self._serve_manifest(manifest, blob.etag)
        self._seen, self._unread = blob.etag, None
        return True

    def _keep_without_manifest(self) -> bool:
        """Go on without the current manifest, which is gone unless nothing was ever published."""
        if self._unread == LOST or (self.current is None and not self.reader.list_versions()):
            return False
        log.error("%s", self.reader.explain_loss())
        self._serve_archived()
        self._seen, self._unread = None, LOST
        return True

    def _serve_archived(self) -> None:
        """Serve the newest version of the archive that can be read, unless one is served already."""
        archived = None if self.current else self.reader.read_newest_archived(skip_newer=True)
        if archived is not None:
            self._serve_manifest(archived, f"version-{archived.version}")

    def _serve_manifest(self, manifest: Manifest, etag: str) -> None:
        """Serve a version, with the last good numbers of the stores that are damaged in it."""
        before = self.current.stores if self.current else {}
        stores, damaged = self._load_stores(manifest.stores, before)
        last_good = {store: before[store] for store in damaged if store in before}
        lost = [store for store in damaged if store not in before]
        self.current = Snapshot(manifest, etag, stores | last_good | self._find_last_good(manifest, lost))
        self._pause, self._again_at = FIRST_PAUSE, self._clock() + FIRST_PAUSE if damaged else None
        log.info("publication %d is served, %d stores", manifest.version, len(self.current.stores))

    def _retry_damaged(self) -> bool:
        """Load damaged stores again when it is time, and return whether any was repaired."""
        current = self.current
        if current is None or self._again_at is None or self._clock() < self._again_at:
            return False
        entries = {store: current.manifest.stores[store] for store in current.damaged_stores}
        repaired, damaged = self._load_stores(entries, {})
        if repaired:
            self.current = Snapshot(current.manifest, current.etag, current.stores | repaired)
            log.info("publication %d is repaired, stores: %d", current.version, len(repaired))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._again_at = self._clock() + self._pause if damaged else None
        return bool(repaired)

    def _load_stores(
        self, entries: dict[str, StoreEntry], loaded: dict[str, StoreData]
    ) -> tuple[dict[str, StoreData], list[str]]:
        """Return the arrays of stores, loading those not loaded yet, and the names of the damaged ones."""
        stores = {
            store: loaded[store] for store, entry in entries.items() if store in loaded and loaded[store].entry == entry
        }
        missing = [store for store in entries if store not in stores]
        if missing:
            with ThreadPoolExecutor(min(LOADERS, len(missing)), "publication") as pool:
                results = pool.map(lambda store: self._load_store(store, entries[store]), missing)
                stores |= {arrays.store: arrays for arrays in results if arrays is not None}
        return stores, [store for store in missing if store not in stores]

    def _load_store(self, store: str, entry: StoreEntry) -> StoreData | None:
        try:
            objects = {kind: self.reader.read_object(published) for kind, published in entry.objects.items()}
            return assemble_store(store, entry, objects)
        except BlobUnavailable as problem:
            log.warning("store %r cannot be loaded: %s", store, problem)
            # Everybody is told this sentence, and the names of objects are those of stores.
            names = "|".join(re.escape(published.name) for published in entry.objects.values())
            raise BlobUnavailable(re.sub(names, "an object of the publication", str(problem))) from None
        except ForeactError as problem:
            log.error("store %r is damaged and not served: %s", store, problem)
            return None

    def _find_last_good(self, manifest: Manifest, lost: Iterable[str]) -> dict[str, StoreData]:
        """Return the last good numbers of stores from earlier versions, for a process that has none in memory."""
        found: dict[str, StoreData] = {}
        wanted = {store: [manifest.stores[store]] for store in lost}
        numbers = [number for number in self.reader.list_versions() if number < manifest.version] if wanted else []
        for number in reversed(numbers[-LOOK_BACK:]):
            try:
                older = self.reader.read_version(number).stores
            except BlobUnavailable:
                raise
            except ForeactError as problem:
                log.error("version %d is skipped: %s", number, problem)
                continue
            for store, tried in wanted.items():
                entry = older.get(store)
                if store in found or entry is None or entry in tried:
                    continue
                tried.append(entry)
                arrays = self._load_store(store, entry)
                if arrays is not None:
                    found[store] = arrays
        return found
