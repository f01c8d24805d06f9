"""Objects of a run, written by who makes them, before any manifest names them."""

import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from foreact.blobs.protocol import BlobConflict, BlobStore
from foreact.blobs.swap import read_if_present
from foreact.errors import ForeactError, name_examples
from foreact.publications.contract import PublishedObject, run_prefix
from foreact.publications.reader import Reader
from foreact.publications.retention import GRACE, list_object_names

# Of one store; each waits mostly.
THREADS = 8


def put_objects(store: BlobStore, contents: Mapping[str, bytes]) -> dict[str, PublishedObject]:
    """Write objects under their names, and return their records by name."""
    with ThreadPoolExecutor(THREADS) as pool:
        records = pool.map(lambda name: put_object(store, name, contents[name]), contents)
        return dict(zip(contents, records, strict=True))


def put_object(store: BlobStore, name: str, data: bytes) -> PublishedObject:
    """Write an object and return its record; what an earlier try of the run left is replaced unless it is published."""
    record = PublishedObject(
        name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data), rows=_count_rows(name, data)
    )
    try:
        store.write(name, data, if_absent=True)
    except BlobConflict:
        existing = read_if_present(store, name)
        if existing is not None and existing.data != data:
            _refuse_published(store, name)
        # Written again even if it is the same: it may be so old that retention is about to delete it.
        store.write(name, data)
    return record


def confirm_objects(
    store: BlobStore,
    run: str,
    objects: Iterable[PublishedObject],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Raise if one of a run's objects is gone; write anew what is so old that retention may be about to delete it."""
    existing = {info.name: info for info in store.list(run_prefix(run))}
    objects = list(objects)
    _refuse_missing(store, [each.name for each in objects if each.name not in existing])
    for each in objects:
        # Or the clock is wrong.
        if not timedelta(0) <= now() - existing[each.name].modified < GRACE / 4:
            store.write(each.name, Reader(store).read_object(each))


def _refuse_missing(store: BlobStore, names: Collection[str]) -> None:
    if names:
        raise ForeactError(f"{name_examples(sorted(names))} of the training are gone from {store}: run train again.")


def _refuse_published(store: BlobStore, name: str) -> None:
    if any(name in list_object_names(manifest) for manifest in Reader(store).read_history(retained=True)):
        raise ForeactError(
            f"{name} in {store} has other content: what is published never changes; publish under a new run id."
        )


def _count_rows(name: str, data: bytes) -> int:
    if not name.endswith(".parquet"):
        return 0
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(io.BytesIO(data)).num_rows)
