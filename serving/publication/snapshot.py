"""One version of everything published, which every answer is made from."""

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

from foreact.naming import encode_id
from foreact.publications.contract import Manifest
from serving.publication.arrays import StoreData


@dataclass(frozen=True)
class Snapshot:
    """A manifest and the arrays of its stores, never changed.

    A store that is damaged in this version has the arrays of an earlier one, its last good numbers, or none.
    """

    manifest: Manifest
    etag: str
    stores: dict[str, StoreData]
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stores", dict(sorted(self.stores.items())))
        object.__setattr__(self, "names", {encode_id(store): store for store in self.manifest.stores})

    @property
    def version(self) -> int:
        """Return the publication's version."""
        return self.manifest.version

    @cached_property
    def held_stores(self) -> frozenset[str]:
        """Return the stores that show their last good numbers."""
        entries = self.manifest.stores
        return frozenset(store for store, arrays in self.stores.items() if arrays.entry != entries[store])

    @cached_property
    def lost_stores(self) -> frozenset[str]:
        """Return the stores that cannot be shown."""
        return frozenset(self.manifest.stores.keys() - self.stores.keys())

    @cached_property
    def damaged_stores(self) -> frozenset[str]:
        """Return the stores whose numbers in this version are damaged."""
        return self.held_stores | self.lost_stores

    @cached_property
    def damage_sentence(self) -> str | None:
        """Return in one sentence how many stores are damaged, and what is shown of them; None without damage."""
        last_good, lost = len(self.held_stores), len(self.lost_stores)
        if not last_good + lost:
            return None
        damage = (
            f"publication {self.version} is damaged in {last_good + lost} store{'s' if last_good + lost > 1 else ''}"
        )
        if last_good and lost:
            return f"{damage}: {last_good} with the last good numbers in their place, {lost} without any"
        return f"{damage}, {'whose last good numbers stand in' if last_good else 'of which nothing can be shown'}"

    @cached_property
    def fingerprint(self) -> str:
        """Return a text that changes with the numbers; callers see it, so it is a hash that reveals no store."""
        last_good_runs = sorted((store, self.stores[store].entry.run) for store in self.held_stores)
        text = repr((self.version, self.etag, last_good_runs, sorted(self.lost_stores)))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()

    def store_of(self, segment: str) -> str:
        """Return the store that a URL's segment names, by its encoded name or by its id."""
        return self.names.get(segment, segment)
