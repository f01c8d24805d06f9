"""Objects of a run, written before any manifest names them."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foreact.blobs.protocol import BlobConflict, BlobInfo, BlobStore
from foreact.errors import ForeactError
from foreact.publications.contract import PublishedObject, run_prefix
from foreact.publications.retention import GRACE

# A store answers many at once, and each waits mostly.
THREADS = 16


def put_objects(
    store: BlobStore,
    run: str,
    files: Mapping[str, Path],
    *,
    on_progress: Callable[[int], None] = lambda done: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, PublishedObject]:
    """Write a run's files under their names, leaving those that exist, and return each one's record."""
    existing = {info.name: info for info in store.list(run_prefix(run))}
    done: list[PublishedObject] = []
    lock = threading.Lock()

    def put_and_count(name: str, path: Path) -> None:
        record = _put_object(store, name, path, existing.get(name), now())
        with lock:
            done.append(record)
            on_progress(len(done))

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(put_and_count, name, path) for name, path in files.items()]
        _, unfinished = wait(futures, return_when=FIRST_EXCEPTION)
        for future in unfinished:
            future.cancel()
    for future in futures:
        if not future.cancelled():
            future.result()
    return {record.name: record for record in done}


def _put_object(store: BlobStore, name: str, path: Path, existing: BlobInfo | None, now: datetime) -> PublishedObject:
    data = path.read_bytes()
    record = PublishedObject(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        rows=_count_rows(path),
    )
    if existing is None:
        try:
            store.write(name, data, if_absent=True)
        except BlobConflict:
            _check_same_content(store, record)
        return record
    _check_same_content(store, record)
    if not timedelta(0) <= now - existing.modified < GRACE / 4:
        # An earlier try left it long ago, or the clock is wrong: written again, so that retention does not delete it.
        store.write(name, data)
    return record


def _count_rows(path: Path) -> int:
    if path.suffix != ".parquet":
        return 0
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(path).num_rows)


def _check_same_content(store: BlobStore, record: PublishedObject) -> None:
    if hashlib.sha256(store.read(record.name).data).hexdigest() != record.sha256:
        raise ForeactError(
            f"{record.name} in {store} has other content: a run's objects never change; publish under a new run id."
        )
