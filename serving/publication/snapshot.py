"""One version of everything published, as every answer sees it."""

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

from foreact.naming import encode_store
from foreact.publications.contract import Manifest
from serving.publication.arrays import StoreData


@dataclass(frozen=True)
class Snapshot:
    """A manifest and the arrays of its stores; never changed once made.

    A store that is damaged in this version has the arrays of an earlier one, its last good numbers, or none.
    """

    manifest: Manifest
    etag: str
    stores: dict[str, StoreData]
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stores", dict(sorted(self.stores.items())))
        object.__setattr__(self, "names", {encode_store(store): store for store in self.manifest.stores})

    @property
    def version(self) -> int:
        """Return the publication's version."""
        return self.manifest.version

    @cached_property
    def held_stores(self) -> frozenset[str]:
        """Name the stores that show their last good numbers."""
        entries = self.manifest.stores
        return frozenset(store for store, arrays in self.stores.items() if arrays.entry != entries[store])

    @cached_property
    def lost_stores(self) -> frozenset[str]:
        """Name the stores that cannot be shown."""
        return frozenset(self.manifest.stores.keys() - self.stores.keys())

    @cached_property
    def damaged_stores(self) -> frozenset[str]:
        """Name the stores of which this version holds nothing good."""
        return self.held_stores | self.lost_stores

    @cached_property
    def damage_sentence(self) -> str | None:
        """Say in one sentence how many stores are damaged, and what is shown of them."""
        held, lost = len(self.held_stores), len(self.lost_stores)
        if not held + lost:
            return None
        told = f"publication {self.version} is damaged in {held + lost} store{'s' if held + lost > 1 else ''}"
        if held and lost:
            return f"{told}: {held} with the last good numbers in their place, {lost} without any"
        return f"{told}, {'whose last good numbers stand in' if held else 'of which nothing can be shown'}"

    @cached_property
    def fingerprint(self) -> str:
        """Name what is held: another mark is other numbers. It goes to callers, so that it says nothing of stores."""
        held = sorted((store, self.stores[store].entry.run) for store in self.held_stores)
        text = repr((self.version, self.etag, held, sorted(self.lost_stores)))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()

    def store_of(self, segment: str) -> str:
        """Return the id of the store that a URL's segment means: by its name, or the id itself."""
        return self.names.get(segment, segment)
