"""Outlines of stores: all that is known of one but its items' numbers, kept for who starts or follows.

Each is published beside its store, or is made by reading all of that. Whichever process does so first writes what it
has read and made where the service keeps its own records, many as one object; nothing is lost with one of these.

serving/outlines/<SHA-256 of its bytes>.arrow   outlines of some stores
"""

import hashlib
import logging
from collections.abc import Collection, Mapping, Set

from foreact.blobs import BlobInfo, BlobStore
from foreact.errors import ForeactError
from foreact.outlines.names import ItemNames
from foreact.outlines.outline import Outline, decode_outlines, encode_outlines
from foreact.outlines.tables import BadObject

log = logging.getLogger("foreact.serving")
FOLDER = "serving/outlines/"
SUFFIX = ".arrow"
# So many objects are put together as one.
MOST_OBJECTS = 8


class Outlines:
    """The outlines in a blob store, by the content that they were made from."""

    def __init__(self, store: BlobStore, names: ItemNames) -> None:
        self.names = names
        self._store = store
        # The content that each object is of which was read once.
        self._keys: dict[str, frozenset[str]] = {}

    def find_outlines(self, keys: Set[str]) -> dict[str, Outline]:
        """Return the outlines of some contents, as far as there are any."""
        found: dict[str, Outline] = {}
        try:
            for info in self._list_newest_first():
                wanted = keys - found.keys()
                if not wanted:
                    break
                if info.name not in self._keys or wanted & self._keys[info.name]:
                    found |= self._read_object(info.name, wanted)
        except ForeactError as problem:
            log.warning("outlines of stores cannot be read, and are made again: %s", problem)
        return found

    def write_outlines(self, made: Mapping[str, Outline], current: Collection[str]) -> None:
        """Write outlines for others; where there are many objects, put those of the current contents together."""
        try:
            before = list(self._list_newest_first())
            together = len(before) >= MOST_OBJECTS
            outlines = {**(self.find_outlines(set(current) - made.keys()) if together else {}), **made}
            data = encode_outlines(outlines)
            name = f"{FOLDER}{hashlib.sha256(data).hexdigest()}{SUFFIX}"
            self._store.write(name, data)
            self._keys[name] = frozenset(outlines)
            for info in before if together else ():
                if info.name != name:
                    self._store.delete(info.name)
        except ForeactError as problem:
            log.warning("outlines of stores cannot be written; others make them again: %s", problem)

    def _list_newest_first(self) -> list[BlobInfo]:
        listed = sorted(self._store.list(FOLDER), key=lambda info: info.modified, reverse=True)
        self._keys = {info.name: self._keys[info.name] for info in listed if info.name in self._keys}
        return listed

    def _read_object(self, name: str, wanted: Set[str]) -> dict[str, Outline]:
        try:
            data = self._store.read(name).data
            if name != f"{FOLDER}{hashlib.sha256(data).hexdigest()}{SUFFIX}":
                raise BadObject("its bytes do not match their checksum")
            keys, outlines = decode_outlines(data, wanted, self.names)
        except ForeactError as problem:
            log.warning("%s is passed over: %s", name, problem)
            keys, outlines = [], {}
        self._keys[name] = frozenset(keys)
        return outlines
