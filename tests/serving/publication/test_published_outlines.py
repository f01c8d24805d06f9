"""Outlines that were published beside their stores: read in the place of those, and made anew where they cannot be."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.outlines.names import ItemNames
from foreact.outlines.outline import decode_outlines, encode_outline, encode_outlines
from foreact.publications import Publisher, Reader, put_object
from foreact.publications.contract import StoreEntry, object_name
from serving.publication import PublicationCache
from serving.publication.outlines import FOLDER
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.publication.counting import Counting

# Of three stores of so many items, two have room in one MiB.
ITEMS = 150
MIB = 1 << 20
OUTLINES = ["S1.outline.arrow", "S2.outline.arrow", "S3.outline.arrow"]


def make_outline(blobs: FolderStore, store: str, entry: StoreEntry) -> bytes:
    """Return the outline that a run would have written."""
    objects = {kind: Reader(blobs).read_object(each) for kind, each in entry.tables.items()}
    return encode_outline(store, entry, objects)


def publish_with_outlines(blobs: FolderStore, make: Callable[[FolderStore, str, StoreEntry], bytes]) -> None:
    """Publish all stores again, with outlines beside their objects."""
    entries = {}
    for store, entry in Reader(blobs).read_current().manifest.stores.items():
        outline = put_object(blobs, object_name(entry.run, store, "outline"), make(blobs, store, entry))
        entries[store] = entry.model_copy(update={"objects": {**entry.objects, "outline": outline}})
    Publisher(blobs, now=lambda: shop.NOW).publish(entries, by="test", reason="with outlines")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish three stores with their outlines."""
    blobs = FolderStore(tmp_path_factory.mktemp("chain"))
    shop.publish(blobs, items=ITEMS)
    publish_with_outlines(blobs, make_outline)
    return blobs.root


@pytest.fixture
def chain(store: FolderStore, published: Path) -> FolderStore:
    """A copy of that publication."""
    shutil.copytree(published, store.root, dirs_exist_ok=True)
    return store


def read(store: FolderStore, memory: int = MIB) -> PublicationCache:
    """Return a cache that has looked, and found all stores whole."""
    cache = PublicationCache(store, memory_bytes=memory)
    cache.refresh()
    assert cache.current is not None
    assert list(cache.current.stores) == ["S1", "S2", "S3"]
    assert cache.refused is None
    return cache


def list_kept(store: FolderStore) -> list[str]:
    """Return the objects that the service keeps outlines in, named by what is in them."""
    return [info.name for info in store.list(FOLDER)]


def test_the_first_service_reads_outlines_alone_and_has_the_same(chain: FolderStore, tmp_path: Path) -> None:
    counting = Counting(chain.root)
    cache = read(counting)
    assert sorted(counting.reads) == OUTLINES
    # The next one reads what the first has written for it.
    counting.reads.clear()
    read(counting)
    assert counting.reads == []
    without = FolderStore(tmp_path / "without")
    shop.publish(without, items=ITEMS)
    made = read(without)
    assert list_kept(chain) == list_kept(without) != []
    assert cache.current is not None
    assert made.current is not None
    for name, arrays in made.current.stores.items():
        assert cache.current.stores[name].alert_records == arrays.alert_records != b""
        assert cache.current.stores[name].items == arrays.items


def test_where_all_stores_have_room_no_outline_is_read(chain: FolderStore) -> None:
    counting = Counting(chain.root)
    read(counting, memory=64 * MIB)
    assert counting.stores == {"S1", "S2", "S3"}
    assert not set(OUTLINES) & set(counting.reads)


def test_a_newly_published_store_is_followed_by_its_outline(chain: FolderStore) -> None:
    counting = Counting(chain.root)
    cache = read(counting)
    shop.publish(chain, ["S2"], run="run-2", seed=2, items=ITEMS)
    publish_with_outlines(chain, make_outline)
    counting.reads.clear()
    assert cache.refresh()
    assert counting.reads == ["S2.outline.arrow"]


@pytest.mark.parametrize("harm", ["gone", "torn"])
def test_an_outline_that_is_lost_is_made_from_its_store(chain: FolderStore, harm: str) -> None:
    path = chain.root / object_name("run-1", "S2", "outline")
    path.chmod(0o600)
    path.unlink() if harm == "gone" else path.write_bytes(path.read_bytes()[:-1])
    counting = Counting(chain.root)
    read(counting)
    assert {name for name in counting.reads if not name.endswith("outline.arrow")} == {
        "S2.parquet",
        "S2.totals.parquet",
        "S2.history.parquet",
        "S2.drivers.parquet",
    }


def test_outlines_of_another_format_are_made_anew(store: FolderStore) -> None:
    def make_older(blobs: FolderStore, name: str, entry: StoreEntry) -> bytes:
        [key], _ = decode_outlines(data := make_outline(blobs, name, entry), set(), ItemNames())
        return encode_outlines({f"older {key}": decode_outlines(data, {key}, ItemNames())[1][key]})

    shop.publish(store, items=ITEMS)
    publish_with_outlines(store, make_older)
    counting = Counting(store.root)
    read(counting)
    assert {name.partition(".")[2] for name in counting.reads} >= {"parquet", "outline.arrow"}
    assert counting.stores == {"S1", "S2", "S3"}


def test_a_store_that_is_damaged_under_its_outline_is_told_when_its_items_are_asked_for(
    chain: FolderStore, start: Callable[..., Serving]
) -> None:
    """An older version has good numbers of S1, and none of S3."""
    shop.publish(chain, ["S1"], run="run-2", seed=2, items=ITEMS)
    publish_with_outlines(chain, make_outline)
    for run, store in (("run-2", "S1"), ("run-1", "S3")):
        path = chain.root / object_name(run, store, "history")
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1])
    serving = start(store_memory_mib=1, store_disk_mib=0)
    totals = serving.get("/v1/totals?store=S1").json()
    assert (totals["publication"]["refused"], totals["stores"]["S1"]["run"]) == (None, "run-2")
    answer = serving.get("/v1/forecasts?store=S1&item=item-0001").json()
    assert answer["stores"]["S1"]["run"] == "run-1"
    assert answer["stores"]["S1"]["held"].endswith("is damaged in this store; these are its last good numbers")
    answer = serving.get("/v1/forecasts?store=S3&item=item-0001")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_damaged")
    assert serving.get("/v1/forecasts?store=S2&item=item-0001").status_code == 200


def test_an_outline_that_cannot_be_reached_names_no_store(chain: FolderStore) -> None:
    counting = Counting(chain.root)
    counting.away = True
    cache = PublicationCache(counting, memory_bytes=MIB)
    assert not cache.refresh()
    assert cache.unreachable == "an object of the publication cannot be read: the store does not answer"
    counting.away = False
    assert cache.refresh()
