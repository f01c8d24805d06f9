"""What a version costs as the chain grows: python -m tests.benchmarks.manifests [STORES]...

Prints one row a case: how the manifest holds its stores (itself, or in groups), stores, what, seconds, requests, and
the kilobytes of manifests and groups that were read and written. Entries are made up, of the size that real ones have;
of their objects nothing is measured: workers write them, a request lists 5,000 and deletes 256. Starts its own Azurite.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from foreact.blobs import BlobStore, connect
from foreact.publications import (
    Kind,
    PublishedModel,
    PublishedObject,
    Publisher,
    Reader,
    StoreEntry,
    groups,
    prune_archive,
    prune_objects,
)
from foreact.publications.contract import DATA, object_name, packed_chain_name, packed_model_name
from foreact.settings import PipelineSettings
from tests.foreact.publications.stores import MemoryStore
from tests.services import serve_azurite

SIZES = (10, 1_000, 10_000)
BEGIN = datetime(2026, 1, 1, 5, tzinfo=UTC)
FIGURES = ("above_p90", "below_p10", "bias", "coverage", "large_coverage", "pinball", "scaled_error", "total_coverage")
moved: Counter[str] = Counter()


class Metered:
    """Counts the bytes of manifests and groups; the objects of stores are in memory, for their number is no matter."""

    def __init__(self, store: BlobStore) -> None:
        self.store, self.objects = store, MemoryStore()

    def __getattr__(self, name: str) -> Any:
        def metered(*arguments: Any, **options: Any) -> Any:
            store = self.objects if str(arguments[0]).startswith(DATA) else self.store
            result = getattr(store, name)(*arguments, **options)
            if store is self.store:
                moved["read"] += len(getattr(result, "data", b""))
                moved["written"] += len(arguments[1]) if name == "write" else 0
            return result

        return metered

    def delete(self, *names: str) -> None:
        self.objects.delete(*names)
        self.store.delete(*(name for name in names if not name.startswith(DATA)))


def count_requests(event: str, arguments: tuple[Any, ...]) -> None:
    """Count what leaves this process for a server."""
    if event == "http.client.send" and isinstance(arguments[1], bytes):
        moved["requests"] += arguments[1].split(b" ")[0] in (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE")


@contextmanager
def measured(held: str, stores: int, what: str) -> Iterator[None]:
    """Print what the block took."""
    moved.clear()
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    read, written = moved["read"] / 1000, moved["written"] / 1000
    sys.stdout.write(
        f"{held:7} {stores:6,} {what:44} {seconds:8.2f} s {moved['requests']:6,} requests "
        f"{read:10,.0f} kB read {written:10,.0f} kB written\n"
    )
    sys.stdout.flush()


def make_entry(store: str, night: int) -> StoreEntry:
    """Make an entry up, as long as those of real chains."""
    run = f"202601{night:02d}-050000-abcdef"

    def make(name: str) -> PublishedObject:
        return PublishedObject(name=name, sha256=f"{hash((name, night)) & (2**64 - 1):016x}" * 4, size=1, rows=85_372)

    def share(place: int) -> float:
        return (hash((store, night, place)) % 10**9 + 1) / (10**9 + 7)

    kinds = [kind for kind in get_args(Kind) if kind != "scorecard"]
    return StoreEntry(
        run=run,
        as_of=date(2026, 1, 1) + timedelta(days=night),
        generated_at=BEGIN + timedelta(days=night, microseconds=1),
        horizon=28,
        items=3049,
        model=PublishedModel(
            name=f"foreact-{store}", version=str(night), run=run, packed=make(packed_model_name(run, store))
        ),
        chain=PublishedModel(name="foreact.chain", version=str(night), run=run, packed=make(packed_chain_name(run))),
        data_hash=f"{hash(store) & (2**64 - 1):016x}" * 4,
        code_version="a8c8585f27f9",
        objects={kind: make(object_name(run, store, kind)) for kind in kinds},
        accuracy={name: share(place) for place, name in enumerate((*FIGURES, "total_wape", "wape", "naive_wape"))},
        experts={name: share(place) for place, name in enumerate(("store", "chain", "weekday_mean", "smoothing"), 20)},
        attributes={"region": "West"},
        quantiles=("p5", "p10", "p25", "p50", "p75", "p90", "p95", "p98"),
    )


def run_case(store: BlobStore, held: str, count: int) -> None:
    """Publish two nights, refresh a store, go back to the first night, and delete it after it is no longer retained."""

    def make_publisher(night: int) -> Publisher:
        return Publisher(store, keep_versions=2, now=lambda: BEGIN + timedelta(days=night))

    names = [f"Store {number:05d}" for number in range(count)]
    nights = {night: {name: make_entry(name, night) for name in names} for night in (1, 2, 4, 5)}
    with measured(held, count, "publish all, the first time"):
        make_publisher(1).publish(nights[1], by="run 1")
    with measured(held, count, "publish all, the next night"):
        make_publisher(2).publish(nights[2], by="run 2")
    with measured(held, count, "publish one store"):
        make_publisher(2).publish({names[7]: make_entry(names[7], 3)}, by="run 3")
    with measured(held, count, "read one store"):
        Reader(store).read_current().manifest.stores[names[7]]
    reader = Reader(store)
    with measured(held, count, "read all stores"):
        publication = reader.read_current()
        list(publication.manifest.stores)
    make_publisher(2).publish({names[8]: make_entry(names[8], 3)}, by="run 3")
    with measured(held, count, "read all stores after another's refresh"):
        list(reader.read_current().manifest.stores)
    for entry in nights[1].values():
        for each in entry.list_objects():
            store.write(each.name, b"0")
    with measured(held, count, "restore the first night"):
        make_publisher(2).restore(1, by="me", reason="to see")
    with measured(held, count, "prune: nothing to delete"):
        prune_objects(store, grace=timedelta(0))
        prune_archive(store, keep=timedelta(0), grace=timedelta(0))
    for night in (4, 5):
        make_publisher(night).publish(nights[night], by=f"run {night}")
        make_publisher(night).publish({names[7]: make_entry(names[7], night + 1)}, by=f"run {night}")
    with measured(held, count, "prune: delete the first night"):
        prune_objects(store, grace=timedelta(0))
        prune_archive(store, keep=timedelta(0), grace=timedelta(0))


def main() -> None:
    """Run every case."""
    sys.addaudithook(count_requests)
    most = groups.INLINE_MOST
    with tempfile.TemporaryDirectory() as scratch:
        for count in [int(size) for size in sys.argv[1:]] or SIZES:
            for held in ("itself", "groups"):
                if held == "groups" and count <= most:
                    continue
                groups.INLINE_MOST = most if held == "groups" else sys.maxsize
                place = Path(scratch) / f"{held}-{count}"
                place.mkdir()
                with serve_azurite(place) as azurite:
                    settings = PipelineSettings(workspace=place, **azurite.settings())
                    run_case(Metered(connect(settings)), held, count)


if __name__ == "__main__":
    main()
