"""Replacing an object by compare-and-swap, however often others change it meanwhile."""

import random
import time
from collections.abc import Callable

from foreact.blobs.protocol import Blob, BlobConflict, BlobNotFound, BlobStore, BlobUnavailable

# How long to go on while others change the same object; each of them needs a fraction of a second.
PATIENCE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 2.0


def swap_object(
    store: BlobStore,
    name: str,
    make_successor: Callable[[Blob | None], bytes | None],
    *,
    was_written: Callable[[bytes], bool] = lambda data: False,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Replace an object by its successor, or leave it if there is none; raise BlobUnavailable after five minutes.

    `make_successor` gets the current object, or None, and is called again whenever another writer was faster.
    `was_written` returns whether a write that met a conflict had succeeded after all and only its answer was lost. A
    caller can know that only if nobody else could have written the same bytes.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    tries = 0
    while True:
        blob = read_if_present(store, name)
        data = make_successor(blob)
        if data is None:
            return
        try:
            store.write(name, data, if_match=blob.etag if blob else None, if_absent=blob is None)
            return
        except BlobConflict:
            if was_written(data):
                return
        tries += 1
        if time.monotonic() > deadline:
            raise BlobUnavailable(f"{name} in {store} changed {tries} times while it was being replaced: try again.")
        pause(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.02 * 2 ** min(tries, 7))))  # noqa: S311


def read_if_present(store: BlobStore, name: str) -> Blob | None:
    """Return an object, or None if it does not exist."""
    try:
        return store.read(name)
    except BlobNotFound:
        return None
