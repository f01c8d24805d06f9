"""Earlier forecasts of a store, read from their publications."""

from datetime import timedelta

from foreact.blobs import Blob
from foreact.blobs.folder import FolderStore
from foreact.publications.contract import MANIFESTS, manifest_name
from serving.publication import PublicationCache, StoreData
from tests.serving import shop


def publish_as_of(store: FolderStore, *days_ago: int) -> tuple[PublicationCache, StoreData]:
    """Publish S1 once for each age of its data; return the service's cache, and the store's current arrays."""
    for run, days in enumerate(days_ago):
        shop.publish(store, ["S1"], run=f"run-{run}", as_of=shop.AS_OF - timedelta(days=days))
    cache = PublicationCache(store)
    cache.refresh()
    assert cache.current is not None
    return cache, cache.current.stores["S1"]


def test_earlier_forecasts_are_those_of_older_data_the_latest_first(store: FolderStore) -> None:
    cache, arrays = publish_as_of(store, 21, 14, 14, 7, 0)
    found = cache.load_earlier_forecasts(arrays)
    assert [as_of for as_of, _ in found] == ["2026-02-22", "2026-02-15", "2026-02-08"]
    assert all(forecast.labels == arrays.items for _, forecast in found)
    assert cache.load_earlier_forecasts(arrays) is found


def test_while_the_store_is_away_there_are_none_until_it_is_back(store: FolderStore) -> None:
    cache, arrays = publish_as_of(store, 7, 0)
    cache.unreachable = "the store does not answer"
    assert cache.load_earlier_forecasts(arrays) == []
    cache.unreachable = None
    assert len(cache.load_earlier_forecasts(arrays)) == 1


def test_each_manifest_is_read_once_and_a_damaged_one_passed_over(store: FolderStore) -> None:
    reads: list[str] = []

    class Counting(FolderStore):
        def read(self, name: str) -> Blob:
            reads.append(name)
            return super().read(name)

    publish_as_of(store, 21, 14, 7, 0)
    cache = PublicationCache(Counting(store.root))
    cache.refresh()
    store.write(manifest_name(2), b"{}")
    assert cache.current is not None
    arrays = cache.current.stores["S1"]
    assert [as_of for as_of, _ in cache.load_earlier_forecasts(arrays)] == ["2026-02-22", "2026-02-08"]
    arrays.detail.derived.clear()
    cache.load_earlier_forecasts(arrays)
    assert [name for name in reads if name.startswith(MANIFESTS)] == [manifest_name(number) for number in (1, 2, 3)]
