"""Objects that are deleted because they are old."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from foreact.blobs.protocol import BlobInfo, BlobStore


def list_old(objects: Iterable[BlobInfo], age: timedelta, now: datetime) -> list[str]:
    """Return the names of the objects that are older than that.

    Age is measured from the newest object if the clock is later: one that jumped ahead must not make objects old.
    """
    found = list(objects)
    newest = max((info.modified for info in found), default=now)
    return [info.name for info in found if info.modified < min(now, newest) - age]


def delete_all(store: BlobStore, names: Iterable[str]) -> list[str]:
    """Delete objects, and return their names."""
    names = list(names)
    store.delete(*names)
    return names
