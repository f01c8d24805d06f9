"""Which objects may go: those that no retained version names and that no publisher can be about to name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from foreact.blobs.protocol import BlobStore
from foreact.publications.contract import DATA, Manifest
from foreact.publications.reader import Reader

# No publication takes this long from its first object to its swap.
GRACE = timedelta(days=1)


def list_object_names(manifest: Manifest) -> set[str]:
    """Name all objects that a version needs."""
    return {each.name for entry in manifest.stores.values() for each in entry.objects.values()}


def prune_objects(
    store: BlobStore, *, grace: timedelta = GRACE, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[str]:
    """Delete what no retained version names and what is older than the grace period; give the names.

    Which versions are retained stands in the current manifest. If any of them cannot be read, nothing is deleted.
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
    # A clock that has jumped ahead must not make young objects old: none is older than against the newest of them.
    before = min(now(), max(info.modified for info in objects)) - grace
    waste = [info.name for info in objects if info.name not in needed and info.modified < before]
    for name in waste:
        store.delete(name)
    return waste
