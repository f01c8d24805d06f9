"""One version of everything published, as every answer sees it."""

from dataclasses import dataclass, field

from foreact.naming import encode
from foreact.publications.contract import Manifest
from serving.cache.arrays import StoreArrays


@dataclass(frozen=True)
class Snapshot:
    """A manifest and the arrays of its stores; never changed once made."""

    manifest: Manifest
    etag: str
    stores: dict[str, StoreArrays]
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", {encode(store): store for store in self.stores})

    @property
    def version(self) -> int:
        """Give the publication's version."""
        return self.manifest.version

    def find(self, segment: str) -> StoreArrays | None:
        """Find the store that a URL's segment means: its name, or the id itself."""
        return self.stores.get(self.names.get(segment, segment))
