"""Which objects may be deleted: those that no retained version names and that no publisher can be about to name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from foreact.blobs.protocol import BlobStore
from foreact.publications.contract import DATA, Manifest
from foreact.publications.reader import Reader

# No publication takes this long from its first object to its swap.
GRACE = timedelta(days=1)


def list_object_names(manifest: Manifest) -> set[str]:
    """Return the names of all objects that a version needs."""
    return {each.name for entry in manifest.stores.values() for each in entry.list_objects()}


def prune_objects(
    store: BlobStore, *, grace: timedelta = GRACE, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[str]:
    """Delete what no retained version names and what is older than the grace period; return the names.

    The current manifest says which versions are retained. If any of them cannot be read, nothing is deleted.
    """
    reader = Reader(store)
    publication = reader.find_current()
    if publication is None or publication.problem:
        return []
    current = publication.manifest
    needed = list_object_names(current)
    for number in range(current.retained_from, current.version):
        needed |= list_object_names(reader.read_version(number))
    objects = list(store.list(DATA))
    if not objects:
        return []
    # Age is measured from the newest object if the clock is later: one that jumped ahead must not make objects old.
    before = min(now(), max(info.modified for info in objects)) - grace
    waste = [info.name for info in objects if info.name not in needed and info.modified < before]
    for name in waste:
        store.delete(name)
    return waste
