"""The stores whose items were asked for last, up to a size; others are read again when they are asked for."""

import logging
import threading
from collections.abc import Iterable

from cachetools import LRUCache

from foreact.blobs import BlobUnavailable
from foreact.errors import ForeactError
from foreact.outlines.assembling import Assembled, assemble_store
from foreact.outlines.tables import BadObject
from foreact.publications.contract import PublishedObject, StoreEntry
from foreact.publications.reader import Reader
from serving.publication.arrays import StoreData
from serving.publication.detail import BYTES_AN_ITEM, StoreDetail
from serving.publication.kept import KeptFiles

log = logging.getLogger("foreact.serving")
# Stores share this many locks, by which one that several ask for at once is read once.
LOCKS = 64


class DamagedStore(Exception):
    """What is published for a store turned out to be damaged, or to be gone, when its items were asked for."""

    def __init__(self, arrays: StoreData, reason: str) -> None:
        super().__init__(reason)
        self.arrays = arrays


class Shelf:
    """The items' arrays of some stores: those asked for last, in no more than so many bytes."""

    def __init__(self, reader: Reader, most_bytes: int, kept: KeptFiles | None = None) -> None:
        self.most_bytes = most_bytes
        # Whether something had to make room, so that it counts which were asked for last.
        self.is_full = False
        self._reader = reader
        self._kept = kept
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._details: LRUCache[str, StoreDetail] = LRUCache(most_bytes, getsizeof=lambda detail: detail.byte_count)

    @property
    def byte_count(self) -> int:
        """Return about how many bytes the arrays take."""
        return int(self._details.currsize)

    def has_room_for(self, entries: Iterable[StoreEntry]) -> bool:
        """Return whether all of these stores fit at once."""
        return sum(map(_estimate_bytes, entries)) <= self.most_bytes

    def put_detail(self, arrays: StoreData, detail: StoreDetail) -> None:
        """Hold a store's arrays for as long as there is room."""
        arrays.refer_to(detail)
        with self._lock:
            if detail.byte_count <= self.most_bytes:
                self.is_full |= self._details.currsize + detail.byte_count > self.most_bytes
                self._details[arrays.key] = detail

    def touch(self, key: str) -> None:
        """Note that a store was asked for."""
        with self._lock:
            self._details.get(key)

    def open_detail(self, arrays: StoreData) -> StoreDetail:
        """Return a store's arrays, from the disk or the blob store; raise DamagedStore if they cannot be."""
        with self._locks[int(arrays.key[:8], 16) % LOCKS]:
            found = arrays.open_detail
            if found is None:
                found = self._read_kept(arrays.key) or self._fetch_detail(arrays)
                self.put_detail(arrays, found)
            return found

    def load_store(self, store: str, entry: StoreEntry) -> Assembled:
        """Return all that is published for a store; raise ForeactError if it is damaged."""
        objects = {kind: self.read_object(store, published) for kind, published in entry.tables.items()}
        return assemble_store(store, entry, objects)

    def read_object(self, store: str, published: PublishedObject) -> bytes:
        """Return an object of a store; raise ForeactError if it is damaged or gone."""
        try:
            return self._reader.read_object(published)
        except BlobUnavailable as problem:
            log.warning("store %r cannot be loaded: %s", store, problem)
            # Everybody is told this sentence, and the names of objects are those of stores.
            raise BlobUnavailable(str(problem).replace(published.name, "an object of the publication")) from None

    def keep_detail(self, key: str, detail: StoreDetail) -> None:
        """Keep a store's arrays on the disk, where every process of this machine finds them."""
        if self._kept is not None:
            self._kept.write(key, detail)

    def _read_kept(self, key: str) -> StoreDetail | None:
        return None if self._kept is None else self._kept.read(key)

    def _fetch_detail(self, arrays: StoreData) -> StoreDetail:
        try:
            detail = StoreDetail.of(self.load_store(arrays.store, arrays.entry))
            if len(detail.items) != arrays.item_count:
                raise BadObject(f"{arrays.entry.objects['forecasts'].name} has other items than it had")
        except BlobUnavailable:
            raise
        except ForeactError as problem:
            raise DamagedStore(arrays, str(problem)) from None
        self.keep_detail(arrays.key, detail)
        # As the other processes have them: the memory is shared then.
        return self._read_kept(arrays.key) or detail


def _estimate_bytes(entry: StoreEntry) -> int:
    """Return about how many bytes a store's arrays will take."""
    forecasts, history = entry.objects.get("forecasts"), entry.objects.get("history")
    numbers = (forecasts.rows if forecasts else 0) * (1 + len(entry.list_quantiles("forecasts")))
    return 4 * (numbers + (history.rows if history else 0)) + BYTES_AN_ITEM * entry.items
