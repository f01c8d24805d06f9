"""The stores of a manifest of many: dealt to groups by a hash of their names, so that one store costs its group.

A group is an immutable object named by the checksum of its bytes. A publisher writes the groups that differ from those
of the manifest before, and then swaps the manifest that names them; a reader reads a group when it is first asked for
one of its stores.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic import TypeAdapter, ValidationError

from foreact.blobs.protocol import BlobNotFound, BlobStore
from foreact.publications.contract import DATA, Manifest, StoreEntry, StoreGroup
from foreact.publications.sealing import BrokenPublication

# A manifest holds so many stores itself.
INLINE_MOST = 64
# Groups that are read or written at once.
THREADS = 16

Entry = TypeVar("Entry")
Given = TypeVar("Given")
Result = TypeVar("Result")
ENTRIES = TypeAdapter(dict[str, StoreEntry])


class Group(dict[str, Entry]):
    """The stores of a group, which may be remembered weakly."""


class GroupedStores(Mapping[str, Entry]):
    """The stores of some groups, by name; a group is read when it is first asked for one of its stores."""

    def __init__(self, groups: Sequence[StoreGroup], read: Callable[[StoreGroup], Group[Entry]]) -> None:
        self.groups = tuple(groups)
        self.read = read
        self._known: list[Group[Entry] | None] = [None] * len(self.groups)
        self._all: dict[str, Entry] | None = None

    def __getitem__(self, store: str) -> Entry:
        if self._all is not None:
            return self._all[store]
        return self.read_group(number_group(store, len(self.groups)))[store]

    def __iter__(self) -> Iterator[str]:
        if self._all is None:
            groups = self.read_groups(range(len(self.groups)))
            self._all = dict(sorted(each for group in groups for each in group.items()))
        return iter(self._all)

    def __len__(self) -> int:
        return sum(group.count for group in self.groups)

    def read_group(self, number: int) -> Group[Entry]:
        """Return the stores of one group."""
        found = self._known[number]
        if found is None:
            found = self._known[number] = self.read(self.groups[number])
        return found

    def read_groups(self, numbers: Iterable[int]) -> list[Group[Entry]]:
        """Return the stores of some groups, which are read side by side."""
        return map_side_by_side(self.read_group, list(numbers))


class GroupFiles(Generic[Entry]):
    """The groups in a blob store; one that several manifests in memory name is read once."""

    def __init__(self, store: BlobStore, entries: TypeAdapter[dict[str, Entry]]) -> None:
        self._store = store
        self._entries = entries
        self._known: WeakValueDictionary[str, Group[Entry]] = WeakValueDictionary()

    def read_group(self, group: StoreGroup) -> Group[Entry]:
        """Read one group; raise BrokenPublication if it is gone or its bytes are not those published."""
        found = self._known.get(group.sha256)
        if found is None:
            found = self._known[group.sha256] = Group(self._read_object(group))
        return found

    def _read_object(self, group: StoreGroup) -> dict[str, Entry]:
        try:
            data = self._store.read(group.name).data
            if not _is_whole(data, group):
                # What was torn on its way is whole the next time.
                data = self._store.read(group.name).data
        except BlobNotFound:
            raise BrokenPublication(f"{group.name}, with {group.count} stores of a manifest, is gone.") from None
        if not _is_whole(data, group):
            raise BrokenPublication(f"{group.name} is damaged: its {len(data):,} bytes do not match their checksum.")
        try:
            return self._entries.validate_json(data)
        except ValidationError as error:
            raise BrokenPublication(f"{group.name} cannot be read: {error.errors()[0]['msg']}.") from None


def _is_whole(data: bytes, group: StoreGroup) -> bool:
    return hashlib.sha256(data).hexdigest() == group.sha256


def number_group(store: str, groups: int) -> int:
    """Return the place of a store's group."""
    return int.from_bytes(hashlib.sha256(store.encode("utf-8", "surrogatepass")).digest()[:8]) % groups


def count_groups(stores: int) -> int:
    """Return into how many groups so many stores are dealt: a power of two, about twice their root.

    Then the list of groups in the manifest is about as long as one of the groups, and both grow with the root.
    """
    return int(2 ** round(math.log2(2 * math.sqrt(stores))))


def pick_stores(stores: Mapping[str, Entry], names: Collection[str]) -> dict[str, Entry]:
    """Return those of the named stores that there are; of groups only theirs are read."""
    if isinstance(stores, GroupedStores):
        stores.read_groups({number_group(name, len(stores.groups)) for name in names})
    return {name: stores[name] for name in names if name in stores}


def find_group(stores: Mapping[str, Entry], number: int, count: int) -> Mapping[str, Entry]:
    """Return the stores that belong to one of so many groups."""
    if isinstance(stores, GroupedStores) and len(stores.groups) == count:
        return stores.read_group(number)
    return {name: entry for name, entry in stores.items() if number_group(name, count) == number}


def list_entries(manifest: Manifest, wanted: Callable[[StoreGroup], bool] = lambda group: True) -> Iterable[StoreEntry]:
    """Return the entries of the groups that are wanted; of a manifest without groups all."""
    stores = manifest.stores
    if not isinstance(stores, GroupedStores):
        return stores.values()
    numbers = [number for number, group in enumerate(stores.groups) if wanted(group)]
    return [entry for group in stores.read_groups(numbers) for entry in group.values()]


def change_stores(
    stores: Mapping[str, StoreEntry], changes: Mapping[str, StoreEntry | None]
) -> Mapping[str, StoreEntry]:
    """Return stores with some of them replaced, or left out where there is None; in groups if they are many.

    A group that nothing changes in stays as it is, and is not read.
    """
    if isinstance(stores, GroupedStores):
        changed = _change_groups(stores, changes)
        if len(changed) > INLINE_MOST and len(changed.groups) == count_groups(len(changed)):
            return changed
    entries = {name: entry for name, entry in {**stores, **changes}.items() if entry is not None}
    return entries if len(entries) <= INLINE_MOST else deal_stores(entries)


def _change_groups(
    stores: GroupedStores[StoreEntry], changes: Mapping[str, StoreEntry | None]
) -> GroupedStores[StoreEntry]:
    by_group: dict[int, dict[str, StoreEntry | None]] = {}
    for name, entry in changes.items():
        by_group.setdefault(number_group(name, len(stores.groups)), {})[name] = entry
    groups, new = list(stores.groups), dict[StoreGroup, Group[StoreEntry]]()
    for number, before in zip(by_group, stores.read_groups(by_group), strict=True):
        merged = {**before, **by_group[number]}
        group = Group({name: entry for name, entry in merged.items() if entry is not None})
        groups[number] = describe_group(group)
        new[groups[number]] = group
    return GroupedStores(groups, lambda group: new[group] if group in new else stores.read(group))


def deal_stores(entries: Mapping[str, StoreEntry]) -> GroupedStores[StoreEntry]:
    """Deal stores to as many groups as become their number."""
    dealt = [Group[StoreEntry]() for _ in range(count_groups(len(entries)))]
    for name, entry in entries.items():
        dealt[number_group(name, len(dealt))][name] = entry
    groups = [describe_group(group) for group in dealt]
    return GroupedStores(groups, dict(zip(groups, dealt, strict=True)).__getitem__)


def describe_group(entries: Mapping[str, StoreEntry]) -> StoreGroup:
    """Return what a manifest says of a group."""
    checksum = hashlib.sha256(encode_group(entries)).hexdigest()
    return StoreGroup(sha256=checksum, count=len(entries), runs=tuple(sorted(find_runs(entries.values()))))


def find_runs(entries: Iterable[StoreEntry]) -> set[str]:
    """Return the folders of the runs whose objects some stores name."""
    names = (each.name for entry in entries for each in entry.list_objects())
    return {DATA + name.removeprefix(DATA).partition("/")[0] + "/" for name in names}


def encode_group(entries: Mapping[str, StoreEntry]) -> bytes:
    """Return a group's bytes, which are the same for the same stores."""
    return ENTRIES.dump_json(dict(sorted(entries.items())))


def write_groups(store: BlobStore, stores: GroupedStores[StoreEntry], but: Collection[str]) -> set[str]:
    """Write the groups but for some, and return their names.

    One that is there already is written again: what may go is told by how old it is.
    """
    numbers = {group.name: number for number, group in enumerate(stores.groups) if group.name not in but}

    def write(name: str) -> None:
        store.write(name, encode_group(stores.read_group(numbers[name])))

    map_side_by_side(write, list(numbers))
    return set(numbers)


def map_side_by_side(work: Callable[[Given], Result], given: Sequence[Given]) -> list[Result]:
    """Return the results of work that mostly waits for the blob store."""
    if len(given) < 2:
        return list(map(work, given))
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, given))
