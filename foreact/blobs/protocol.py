"""What a blob store promises."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from foreact.errors import ForeactError


class BlobNotFound(ForeactError):
    """No object has that name."""


class BlobConflict(ForeactError):
    """The object is not in the state that a conditional write asked for; nothing was written."""


class BlobUnavailable(ForeactError):
    """The store did not answer, or refused, after all retries."""


@dataclass(frozen=True)
class Blob:
    """An object's bytes and the tag of the state they were read in."""

    data: bytes
    etag: str


@dataclass(frozen=True)
class BlobInfo:
    """An object as a listing shows it."""

    name: str
    size: int
    # Changes whenever the object does; for a conditional write take the tag of a read instead.
    etag: str
    modified: datetime


class BlobStore(Protocol):
    """Objects under slash-separated names; every write is whole or absent, and visible to all once it returns."""

    def read(self, name: str) -> Blob:
        """Read one object, or raise BlobNotFound."""
        ...

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        """Read one object unless it still has that tag; what a poll costs then does not depend on its size."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open one object for streaming, for those too large to hold."""
        ...

    def write(self, name: str, data: bytes | Path, *, if_match: str | None = None, if_absent: bool = False) -> str:
        """Write one object and give its new tag.

        With `if_match` only over the state with that tag, with `if_absent` only where nothing has the name; else
        BlobConflict. A Path is streamed.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Return the objects whose names begin with the prefix, by name."""
        ...

    def delete(self, name: str) -> None:
        """Delete one object; deleting nothing is no error."""
        ...
