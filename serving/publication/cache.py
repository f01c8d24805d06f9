"""Holds the current publication in memory, and replaces it when the manifest changes.

A store whose newest objects are damaged keeps its last good numbers; the other stores are not affected. Where there is
no room for the items of all stores, outlines of them are held, and items are read when they are asked for.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from foreact.blobs import BlobNotFound, BlobStore, BlobUnavailable
from foreact.blobs.records import NewerRecord
from foreact.clock import utc_now
from foreact.errors import ForeactError
from foreact.outlines.assembling import Assembled
from foreact.outlines.names import ItemNames
from foreact.outlines.outline import Outline, decode_outlines, name_content, outline_store, outline_with_alerts
from foreact.publications.contract import CURRENT, Manifest, StoreEntry
from foreact.publications.groups import pick_stores
from foreact.publications.reader import Reader
from serving.publication.arrays import StoreData
from serving.publication.detail import StoreDetail
from serving.publication.earlier import EarlierForecast, EarlierVersions
from serving.publication.kept import KeptFiles
from serving.publication.outlines import Outlines
from serving.publication.shelf import DamagedStore, Shelf
from serving.publication.snapshot import Snapshot

log = logging.getLogger("foreact.serving")
# How many versions back a damaged store's last good numbers are looked for.
LOOK_BACK = 5
# Stores that are loaded in parallel: enough to hide the blob store's latency, few enough to need little memory.
LOADERS = 3
# Outlines that were published are small.
OUTLINE_READERS = 8
# After so many outlines are made, others may take them.
OUTLINES_AT_ONCE = 200
# For the items of so many bytes there is room, unless a setting says otherwise.
MEMORY_BYTES = 512 << 20
# Damaged objects may be repaired under the same manifest; they are tried again after these pauses, which double.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=10)
Found = TypeVar("Found")
# Why the newest publication is not served as a whole.
UNREADABLE = "the newest publication cannot be read"
NEWER = "the newest publication was written by a later version of this software"
LOST = "the manifest of the newest publication is gone from the blob store"


class PublicationCache:
    """Holds the current snapshot, what of the newest publication is not served, and whether the blob store answers."""

    def __init__(
        self,
        store: BlobStore,
        clock: Callable[[], datetime] = utc_now,
        *,
        memory_bytes: int = MEMORY_BYTES,
        kept: KeptFiles | None = None,
        state: BlobStore | None = None,
    ) -> None:
        """Hold what is in a blob store; outlines of stores are kept in `state`."""
        self.reader = Reader(store)
        self.shelf = Shelf(self.reader, memory_bytes, kept)
        self.earlier = EarlierVersions(self.reader)
        self._names = ItemNames()
        self._outlines = Outlines(state or store, self._names)
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        # What was made since the last time that outlines were written.
        self._unwritten: dict[str, Outline] = {}
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
            manifest = self.reader.unseal_manifest(blob.data, CURRENT)
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
        # Others can wait for them, planners need not.
        self._write_outlines(manifest.stores)

    def _retry_damaged(self) -> bool:
        """Load damaged stores again when it is time, and return whether any was repaired."""
        current = self.current
        if current is None or self._again_at is None or self._clock() < self._again_at:
            return False
        entries = {store: current.manifest.stores[store] for store in current.damaged_stores}
        repaired, damaged = self._load_each(entries, self._load_store)
        if repaired:
            self.current = Snapshot(current.manifest, current.etag, current.stores | repaired)
            log.info("publication %d is repaired, stores: %d", current.version, len(repaired))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._again_at = self._clock() + self._pause if damaged else None
        return bool(repaired)

    def load_earlier_forecasts(self, arrays: StoreData) -> list[EarlierForecast]:
        """Return the store's latest earlier forecasts that were made of older data, the latest first.

        There are none while the blob store is unreachable; the next call tries again.
        """
        if self.unreachable or self.current is None:
            found: list[EarlierForecast] = arrays.detail.derived.get("earlier_forecasts", [])
            return found
        try:
            return self.earlier.load_forecasts(arrays, self.current.version)
        except BlobUnavailable:
            return []

    def set_aside(self, problem: DamagedStore) -> bool:
        """Let a store that turned out to be damaged show its last good numbers; return whether to ask again."""
        if not self._lock.acquire(blocking=False):
            # A new publication is being loaded, which may take minutes.
            return False
        try:
            current, damaged = self.current, problem.arrays
            store = damaged.store
            if current is not None and current.stores.get(store) is damaged:
                log.error("store %r is damaged: %s", store, problem)
                others = {name: arrays for name, arrays in current.stores.items() if name != store}
                try:
                    last_good = self._find_last_good(current.manifest, [store], damaged.entry)
                except BlobUnavailable:
                    return False
                self.current = Snapshot(current.manifest, current.etag, others | last_good)
                self._pause, self._again_at = FIRST_PAUSE, self._clock() + FIRST_PAUSE
            return True
        finally:
            self._lock.release()

    def _load_stores(
        self, entries: Mapping[str, StoreEntry], loaded: dict[str, StoreData]
    ) -> tuple[dict[str, StoreData], list[str]]:
        """Return stores, loading those not loaded yet, and the names of the damaged ones."""
        stores = {
            store: loaded[store] for store, entry in entries.items() if store in loaded and loaded[store].entry == entry
        }
        missing = {store: entry for store, entry in entries.items() if store not in stores}
        if self.shelf.has_room_for(entries.values()):
            found, damaged = self._load_each(missing, self._load_store)
        else:
            found, damaged = self._outline_stores(missing, entries)
        return stores | found, damaged

    def _load_each(
        self,
        entries: Mapping[str, StoreEntry],
        load: Callable[[str, StoreEntry], Found | None],
        threads: int = LOADERS,
    ) -> tuple[dict[str, Found], list[str]]:
        """Return what was loaded of each store, and the names of the damaged ones."""
        if not entries:
            return {}, []
        with ThreadPoolExecutor(min(threads, len(entries)), "publication") as pool:
            results = dict(zip(entries, pool.map(load, entries.keys(), entries.values()), strict=True))
        return (
            {store: found for store, found in results.items() if found is not None},
            [store for store, found in results.items() if found is None],
        )

    def _load_store(self, store: str, entry: StoreEntry) -> StoreData | None:
        assembled = self._assemble_store(store, entry)
        if assembled is None:
            return None
        # What alerts are found from is kept for the store's pages, so it is computed there.
        arrays = StoreData.of(store, entry, outline_store(assembled, self._names), self.shelf)
        self.shelf.put_detail(arrays, StoreDetail.of(assembled))
        return arrays

    def _assemble_store(self, store: str, entry: StoreEntry) -> Assembled | None:
        try:
            return self.shelf.load_store(store, entry)
        except BlobUnavailable:
            raise
        except ForeactError as problem:
            log.error("store %r is damaged and not served: %s", store, problem)
            return None

    def _outline_stores(
        self, missing: dict[str, StoreEntry], entries: Mapping[str, StoreEntry]
    ) -> tuple[dict[str, StoreData], list[str]]:
        """Return stores by their outlines, making those that there are nowhere, and the names of the damaged ones."""
        keys = {store: name_content(store, entry) for store, entry in missing.items()}
        outlines = self._outlines.find_outlines(set(keys.values()))
        beside = {s: entry for s, entry in missing.items() if keys[s] not in outlines and "outline" in entry.objects}
        read, _ = self._load_each(beside, self._read_outline, OUTLINE_READERS)
        new = {keys[store]: outline for store, outline in read.items()}
        outlines |= new
        self._unwritten |= new
        left = [store for store in missing if keys[store] not in outlines]
        # Processes that do so at the same time begin in different places.
        left.sort(key=lambda store: hash((keys[store], os.getpid())))
        damaged: list[str] = []
        for begin in range(0, len(left), OUTLINES_AT_ONCE):
            some = left[begin : begin + OUTLINES_AT_ONCE]
            outlines |= self._outlines.find_outlines({keys[store] for store in some}) if begin else {}
            to_make = {store: missing[store] for store in some if keys[store] not in outlines}
            made, bad = self._load_each(to_make, self._make_outline)
            damaged += bad
            new = {keys[store]: outline for store, outline in made.items()}
            outlines |= new
            self._unwritten |= new
            if len(self._unwritten) >= OUTLINES_AT_ONCE:
                self._write_outlines(entries)
            log.info("outlines of %d of %d stores are made", min(begin + OUTLINES_AT_ONCE, len(left)), len(left))
        found = {
            store: StoreData.of(store, entry, outlines[keys[store]], self.shelf)
            for store, entry in missing.items()
            if keys[store] in outlines
        }
        return found, damaged

    def _write_outlines(self, entries: Mapping[str, StoreEntry]) -> None:
        """Write the outlines that were made here for others, if any were."""
        made, self._unwritten = self._unwritten, {}
        if made:
            self._outlines.write_outlines(made, [name_content(store, entry) for store, entry in entries.items()])

    def _read_outline(self, store: str, entry: StoreEntry) -> Outline | None:
        """Return the outline that was published with a store; None if it cannot be used."""
        key = name_content(store, entry)
        try:
            data = self.shelf.read_object(store, entry.objects["outline"])
            return decode_outlines(data, {key}, self._names)[1].get(key)
        except BlobUnavailable:
            raise
        except ForeactError as problem:
            log.warning("the outline of store %r is made again: %s", store, problem)
            return None

    def _make_outline(self, store: str, entry: StoreEntry) -> Outline | None:
        assembled = self._assemble_store(store, entry)
        if assembled is None:
            return None
        self.shelf.keep_detail(name_content(store, entry), StoreDetail.of(assembled))
        return outline_with_alerts(assembled, self._names)

    def _find_last_good(
        self, manifest: Manifest, lost: Iterable[str], *tried_before: StoreEntry
    ) -> dict[str, StoreData]:
        """Return the last good numbers of stores from earlier versions, for a process that has none in memory."""
        found: dict[str, StoreData] = {}
        wanted = {store: [manifest.stores[store], *tried_before] for store in lost}
        numbers = [number for number in self.reader.list_versions() if number < manifest.version] if wanted else []
        for number in reversed(numbers[-LOOK_BACK:]):
            try:
                older = pick_stores(self.reader.read_version(number).stores, wanted)
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
