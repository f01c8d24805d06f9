"""The protocol of a blob store."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from foreact.errors import ForeactError, ServiceUnavailable


class BlobNotFound(ForeactError):
    """No object has that name."""


class BlobConflict(ForeactError):
    """The object is not in the state that a conditional write requires; nothing was written."""


class BlobUnavailable(ServiceUnavailable):
    """The store did not answer, or refused, after all retries."""


class DiskFull(BlobUnavailable):
    """The disk, or the quota, that the store is on is used up."""


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
    """Objects under slash-separated names; a write happens whole or not at all, and all see it once it returns."""

    def read(self, name: str) -> Blob:
        """Read one object, or raise BlobNotFound."""
        ...

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        """Read one object unless it still has that tag; a poll then costs the same whatever its size."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open one object for streaming, if it is too large for memory."""
        ...

    def write(self, name: str, data: bytes | Path, *, if_match: str | None = None, if_absent: bool = False) -> str:
        """Write one object and return its new tag.

        Raise BlobConflict if, with `if_match`, the object does not have that tag, or if, with `if_absent`, it exists.
        A Path is streamed.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Return the objects whose names begin with the prefix, by name."""
        ...

    def list_folders(self, prefix: str) -> Iterator[str]:
        """Return the folders directly within one, each with its closing slash; the prefix has one too."""
        ...

    def delete(self, *names: str) -> None:
        """Delete objects; one that does not exist is not an error."""
        ...
