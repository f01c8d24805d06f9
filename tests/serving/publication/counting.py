"""A folder that counts what is read of stores."""

from pathlib import Path

from foreact.blobs import Blob, BlobUnavailable
from foreact.blobs.folder import FolderStore


class Counting(FolderStore):
    """A store that notes which objects of a publication are read, and can be away."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []
        self.away = False

    def read(self, name: str) -> Blob:
        if "/data/" in name:
            if self.away:
                raise BlobUnavailable(f"{name} cannot be read: the store does not answer")
            self.reads.append(name.rpartition("/")[2])
        return super().read(name)

    @property
    def stores(self) -> set[str]:
        """Return the stores whose objects were read."""
        return {name.partition(".")[0] for name in self.reads}
