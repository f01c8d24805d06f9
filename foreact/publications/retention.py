"""What may be deleted: objects that no retained version names and no publisher can be about to name; old manifests."""

import logging
from collections.abc import Callable, Iterable, Iterator, Set
from datetime import UTC, datetime, timedelta

from foreact.blobs.ageing import delete_all, list_old
from foreact.blobs.protocol import BlobInfo, BlobStore
from foreact.errors import ForeactError
from foreact.publications.contract import (
    CURRENT,
    DATA,
    GROUPS,
    MANIFESTS,
    Manifest,
    StoreEntry,
    StoreGroup,
    manifest_name,
)
from foreact.publications.groups import find_runs, list_entries
from foreact.publications.reader import Reader
from foreact.publications.sealing import BrokenPublication

log = logging.getLogger(__name__)

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
    named: set[tuple[str, str]] = set()
    found = False
    for entries in _read_entries(_read_retained(store)):
        found = True
        models = [model for entry in entries for model in (entry.model, entry.chain) if model is not None]
        named |= {(model.name, each) for model in models for each in (model.version, model.run) if each}
    if not found:
        kind = ForeactError if Reader(store).list_versions() else NothingPublished
        raise kind(f"Nothing that could be read is published in {store}: nothing was deleted from the registry.")
    return named


def _read_entries(
    manifests: Iterable[Manifest], wanted: Callable[[StoreGroup], bool] = lambda group: True
) -> Iterator[Iterable[StoreEntry]]:
    """Return the entries of each version, of groups those that are wanted and that no version before them named."""
    seen: set[str] = set()
    for manifest in manifests:
        yield list_entries(manifest, lambda group: group.name not in seen and wanted(group))
        seen.update(group.name for group in manifest.groups)


def _read_retained(store: BlobStore) -> Iterator[Manifest]:
    """Return the retained versions, the newest first; none where that is in doubt.

    If any other cannot be read, raise: what it names must not be deleted.
    """
    reader = Reader(store, mends=False)
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
    versions = list(_read_retained(store))
    if not versions:
        return []
    named = [list_runs(manifest) for manifest in versions]
    runs, oldest = set().union(*named), named[-1]
    needed = {
        each.name
        for entries in _read_entries(versions, lambda group: not oldest.isdisjoint(group.runs))
        for entry in entries
        for each in entry.list_objects()
    }
    # A clock that jumped ahead must not make objects old: then age is measured from the last publication.
    swapped = [info.modified for info in store.list(CURRENT)]
    before = min([now(), *swapped]) - grace
    listed = [run for run in store.list_folders(DATA) if run in oldest or run not in runs]
    needed |= also_needed
    objects = (info for run in listed for info in store.list(run))
    return delete_all(store, [info.name for info in objects if info.name not in needed and info.modified < before])


def list_runs(manifest: Manifest) -> set[str]:
    """Return the folders of the runs whose objects a version needs."""
    if manifest.groups:
        return {run for group in manifest.groups for run in group.runs}
    return find_runs(manifest.stores.values())


def prune_archive(
    store: BlobStore,
    *,
    keep: timedelta,
    grace: timedelta = GRACE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[str]:
    """Delete old manifests of versions that are not retained, and groups that none names any more; return the names."""
    publication = Reader(store).find_current()
    if publication is None or publication.problem:
        return []
    retained = set(map(manifest_name, publication.manifest.list_retained()))
    archived = list(store.list(MANIFESTS))
    old = set(list_old(archived, keep, now()))
    groups = _find_unnamed_groups(store, [info for info in archived if info.name not in old], grace)
    return delete_all(store, [*groups, *(name for name in sorted(old) if name not in retained)])


def _find_unnamed_groups(store: BlobStore, staying: list[BlobInfo], grace: timedelta) -> list[str]:
    """Return the groups of stores that neither a retained version names nor one whose manifest stays.

    A version that names a group which the version before did not name has written it, even if it was there. So a group
    that is older than the first manifest that stays, and that this one does not name, no later one names.
    """
    groups = list(store.list(GROUPS))
    if not groups:
        return []
    reader = Reader(store)
    named = {group.name for manifest in _read_retained(store) for group in manifest.groups}
    for info in staying:
        try:
            first = reader.unseal_manifest(store.read(info.name).data, info.name)
        except BrokenPublication as error:
            log.warning("%s", error)
            continue
        named |= {group.name for group in first.groups}
        return [each.name for each in groups if each.name not in named and each.modified < info.modified - grace]
    return []
