"""What may be deleted: objects that no retained version names and no publisher can be about to name; old manifests."""

from collections.abc import Callable, Iterator, Set
from datetime import UTC, datetime, timedelta

from foreact.blobs.ageing import delete_all, list_old
from foreact.blobs.protocol import BlobStore
from foreact.errors import ForeactError
from foreact.publications.contract import CURRENT, DATA, MANIFESTS, Manifest, manifest_name
from foreact.publications.reader import Reader

# No publication takes this long from its first object to its swap.
GRACE = timedelta(days=1)


class NothingPublished(ForeactError):
    """No version was ever published here."""


def list_object_names(manifest: Manifest) -> set[str]:
    """Return the names of all objects that a version needs."""
    return {each.name for entry in manifest.stores.values() for each in entry.list_objects()}


def list_named_models(store: BlobStore) -> set[tuple[str, str]]:
    """Return the models that retained versions name, each by its number in the registry and by its run.

    Raise if that is in doubt.
    """
    retained = list(_read_retained(store))
    if not retained:
        kind = ForeactError if Reader(store).list_versions() else NothingPublished
        raise kind(f"Nothing that could be read is published in {store}: nothing was deleted from the registry.")
    entries = [entry for manifest in retained for entry in manifest.stores.values()]
    models = [model for entry in entries for model in (entry.model, entry.chain) if model is not None]
    return {(model.name, each) for model in models for each in (model.version, model.run) if each}


def _read_retained(store: BlobStore) -> Iterator[Manifest]:
    """Return the retained versions, the newest first; none where that is in doubt.

    If any other cannot be read, raise: what it names must not be deleted.
    """
    reader = Reader(store)
    publication = reader.find_current()
    if publication is None or publication.problem:
        return
    current = publication.manifest
    yield current
    for number in current.list_retained()[1:]:
        yield reader.read_version(number)


def prune_objects(
    store: BlobStore,
    *,
    also_needed: Set[str] = frozenset(),
    grace: timedelta = GRACE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[str]:
    """Delete what no retained version names, nobody else needs, and is older than the grace period; return the names.

    Only runs that may have something to delete are listed, so that the cost is that of a night: those that no retained
    version names, and those that the oldest one does. What a later one was first to name, it mostly still names whole;
    what it does not goes when that one is the oldest.
    """
    named = [list_object_names(manifest) for manifest in _read_retained(store)]
    if not named:
        return []
    needed: set[str] = set().union(*named)
    runs = set(map(_folder_of, needed))
    oldest = set(map(_folder_of, named[-1]))
    # A clock that jumped ahead must not make objects old: then age is measured from the last publication.
    swapped = [info.modified for info in store.list(CURRENT)]
    before = min([now(), *swapped]) - grace
    listed = [run for run in store.list_folders(DATA) if run in oldest or run not in runs]
    needed |= also_needed
    objects = (info for run in listed for info in store.list(run))
    return delete_all(store, [info.name for info in objects if info.name not in needed and info.modified < before])


def _folder_of(name: str) -> str:
    """Return the folder of an object's run."""
    return DATA + name.removeprefix(DATA).partition("/")[0] + "/"


def prune_archive(
    store: BlobStore, *, keep: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[str]:
    """Delete the manifests of versions that are no longer retained and older than that; return their names."""
    publication = Reader(store).find_current()
    if publication is None or publication.problem:
        return []
    retained = set(map(manifest_name, publication.manifest.list_retained()))
    return delete_all(store, [name for name in list_old(store.list(MANIFESTS), keep, now()) if name not in retained])
