"""A chain that is larger than the service's memory: answered alike, within bounds, damage told when it is met."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from foreact.blobs import Blob
from foreact.blobs.folder import FolderStore
from foreact.publications.contract import object_name
from serving.publication import DamagedStore, PublicationCache
from serving.publication.kept import KeptFiles
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.publication.counting import Counting

# Of three stores of so many items, two have room in one MiB.
ITEMS = 150
MIB = 1 << 20
Start = Callable[..., Serving]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish three stores, and one of them again."""
    blobs = FolderStore(tmp_path_factory.mktemp("chain"))
    shop.publish(blobs, items=ITEMS)
    shop.publish(blobs, ["S1"], run="run-2", seed=2, items=ITEMS)
    return blobs.root


@pytest.fixture
def chain(store: FolderStore, published: Path) -> FolderStore:
    """A copy of that publication."""
    shutil.copytree(published, store.root, dirs_exist_ok=True)
    return store


def make_cache(store: FolderStore, folder: Path | None = None, memory: int = MIB) -> PublicationCache:
    """Return a cache that has looked."""
    kept = None if folder is None else KeptFiles(folder, 64 * MIB)
    cache = PublicationCache(store, memory_bytes=memory, kept=kept)
    cache.refresh()
    return cache


PATHS = [
    "/v1/stores",
    "/v1/stores/S2/items",
    "/v1/totals",
    "/v1/totals?format=csv",
    "/v1/forecasts?limit=3000",
    "/v1/forecasts?format=csv&quantiles=p50",
    "/v1/forecasts?store=S3&item=item-0002&item=item-0149",
    "/v1/forecasts?item=item-0007&start=2026-03-04",
    "/v1/forecasts?item=nowhere",
    "/v1/history",
    "/v1/history?item=item-0003",
    "/v1/history?item=nowhere",
    "/v1/drivers",
    "/v1/scorecard",
    "/v1/alerts?limit=1000",
    "/v1/alerts?kind=peak",
    "/",
    "/?sort=-change",
    "/export.csv",
    "/stores/S1",
    "/stores/S1/items.json",
    "/stores/S2/items/item-0000",
    "/stores/S2/export.csv?sort=peak",
]


def test_all_answers_are_those_of_a_service_with_room_for_all(chain: FolderStore, start: Start) -> None:
    roomy, first = start(), start(store_memory_mib=1)
    # The outlines are there already, and the alerts in them.
    second = start(store_memory_mib=1)
    query = {"queries": [{"store": name, "item": item} for name in ("S1", "S3", "S9") for item in ("item-0001", "x")]}
    for small in (first, second):
        for path in PATHS:
            expected, found = roomy.get(path), small.get(path)
            assert found.status_code == expected.status_code, path
            if expected.status_code == 200:
                assert found.content == expected.content, path
                assert found.headers.get("etag") == expected.headers.get("etag"), path
        answers = [service.post("/v1/forecasts/query", json=query).json() for service in (roomy, small)]
        assert answers[0] == answers[1]
        shelf = small.app.state.service.publications.shelf
        assert 0 < shelf.byte_count <= MIB
        assert shelf.is_full
    assert not roomy.app.state.service.publications.shelf.is_full


def test_memory_and_disk_stay_within_their_bounds(chain: FolderStore, tmp_path: Path) -> None:
    kept = KeptFiles(tmp_path / "kept", MIB // 4)
    cache = PublicationCache(chain, memory_bytes=MIB, kept=kept)
    cache.refresh()
    assert cache.current is not None
    for _ in range(2):
        for arrays in cache.current.stores.values():
            assert len(arrays.items) == ITEMS
            assert cache.shelf.byte_count <= MIB
            assert 0 < sum(path.stat().st_size for path in kept.folder.iterdir()) <= kept.most_bytes
    assert sum(arrays.open_detail is not None for arrays in cache.current.stores.values()) == 2


def test_who_starts_later_reads_no_store_before_it_is_asked_for(chain: FolderStore) -> None:
    make_cache(chain)
    counting = Counting(chain.root)
    cache = make_cache(counting)
    assert cache.current is not None
    assert list(cache.current.stores) == ["S1", "S2", "S3"]
    assert counting.reads == []
    assert cache.current.stores["S2"].find_row("item-0149") == 149
    assert cache.current.stores["S2"].mean.shape == (ITEMS, 14)
    assert counting.stores == {"S2"}
    # Only what is new is read for a new version.
    counting.reads.clear()
    shop.publish(chain, ["S3"], run="run-3", seed=3, items=ITEMS)
    before = cache.current.stores
    assert cache.refresh()
    assert counting.stores == {"S3"}
    assert cache.current.stores["S1"] is before["S1"]


def test_processes_share_what_one_of_them_has_read(chain: FolderStore, tmp_path: Path) -> None:
    first = make_cache(chain, tmp_path / "kept")
    counting = Counting(chain.root)
    second = make_cache(counting, tmp_path / "kept")
    assert first.current is not None
    assert second.current is not None
    for name, arrays in second.current.stores.items():
        theirs = first.current.stores[name]
        assert arrays.items == theirs.items
        assert list(arrays.detail.quantiles) == list(theirs.detail.quantiles)
        assert all(np.array_equal(arrays.drivers[each], theirs.drivers[each]) for each in theirs.drivers)
        assert np.array_equal(arrays.past, theirs.past, equal_nan=True)
        assert np.array_equal(arrays.p90, theirs.p90)
        # Mapped, and not a copy.
        assert not arrays.mean.flags.owndata
        assert not arrays.mean.flags.writeable
    assert counting.reads == []
    # One that is spoilt on the disk is read from its place again.
    path = tmp_path / "kept" / f"{second.current.stores['S2'].key}.arrow"
    path.write_bytes(path.read_bytes()[:-9])
    third = make_cache(counting, tmp_path / "kept")
    assert third.current is not None
    assert third.current.stores["S2"].items == first.current.stores["S2"].items
    assert counting.stores == {"S2"}
    assert make_cache(Counting(chain.root), tmp_path / "kept").current is not None


@pytest.fixture
def damaged(chain: FolderStore, start: Start) -> tuple[Serving, Callable[[], None]]:
    """A service that has the outlines of all, and whose newest numbers of S1 are damaged since."""
    make_cache(chain)
    serving = start(store_memory_mib=1, store_disk_mib=0)
    path = chain.root / object_name("run-2", "S1", "history")
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[:-1])
    return serving, lambda: (path.write_bytes(whole), None)[1]


def test_damage_that_is_met_is_told_and_the_last_good_numbers_stand_in(
    damaged: tuple[Serving, Callable[[], None]],
) -> None:
    serving, mend = damaged
    assert serving.get("/v1/totals").json()["publication"]["refused"] is None
    answer = serving.get("/v1/forecasts?store=S1&item=item-0001")
    assert answer.status_code == 200
    body = answer.json()
    assert body["stores"]["S1"]["run"] == "run-1"
    assert body["stores"]["S1"]["held"].startswith("publication 2 is damaged in this store")
    told = "publication 2 is damaged in 1 store, whose last good numbers stand in"
    assert body["publication"]["refused"] == told
    assert body == serving.get("/v1/forecasts?store=S1&item=item-0001").json()
    assert 'foreact_store_damaged{store="S1"} 1.0' in serving.client.get("/metrics").text
    assert serving.get("/v1/forecasts?store=S2&item=item-0001").json()["stores"]["S2"]["held"] is None
    mend()
    serving.clock.now += timedelta(minutes=1)
    assert serving.refresh()
    body = serving.get("/v1/forecasts?store=S1&item=item-0001").json()
    assert (body["stores"]["S1"]["run"], body["publication"]["refused"]) == ("run-2", None)


def test_a_page_of_a_store_that_is_damaged_since_shows_its_last_good_numbers(
    damaged: tuple[Serving, Callable[[], None]],
) -> None:
    serving, _ = damaged
    page = serving.get("/stores/S1")
    assert page.status_code == 200
    assert "Not the newest numbers:</strong>" in page.text


def test_a_question_with_a_body_is_to_be_asked_again(damaged: tuple[Serving, Callable[[], None]]) -> None:
    serving, _ = damaged
    query = {"queries": [{"store": "S1", "item": "item-0001"}]}
    answer = serving.post("/v1/forecasts/query", json=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_damaged")
    again = serving.post("/v1/forecasts/query", json=query)
    assert (again.status_code, again.json()["stores"]["S1"]["run"]) == (200, "run-1")


def test_an_old_version_whose_objects_are_deleted_since_is_no_damage(chain: FolderStore) -> None:
    make_cache(chain)
    cache = make_cache(chain)
    before = cache.current
    assert before is not None
    shop.publish(chain, run="run-3", seed=3, items=ITEMS)
    cache.refresh()
    (chain.root / object_name("run-2", "S1", "forecasts")).unlink()
    with pytest.raises(DamagedStore) as caught:
        _ = before.stores["S1"].detail
    now = cache.current
    # Whoever was still reading it asks again, and reads the current one.
    assert cache.set_aside(caught.value)
    assert cache.current is now
    assert cache.refused is None


def test_while_the_blob_store_is_away_what_was_read_is_answered(chain: FolderStore, start: Start) -> None:
    make_cache(chain)
    serving = start(store_memory_mib=1)
    counting = Counting(chain.root)
    serving.app.state.service.publications.reader.store = counting
    assert serving.get("/v1/forecasts?store=S1&item=item-0001").status_code == 200
    counting.away = True
    assert serving.get("/v1/forecasts?store=S1&item=item-0002").status_code == 200
    assert serving.get("/v1/totals").status_code == 200
    answer = serving.get("/v1/forecasts?store=S2&item=item-0002")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")


def test_nobody_waits_for_a_store_that_another_asked_for(chain: FolderStore, start: Start) -> None:
    make_cache(chain)
    serving = start(store_memory_mib=1)
    asked, go_on = threading.Event(), threading.Event()

    class Slow(FolderStore):
        def read(self, name: str) -> Blob:
            asked.set()
            assert go_on.wait(30)
            return super().read(name)

    serving.app.state.service.publications.reader.store = Slow(chain.root)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(serving.get, "/v1/forecasts?store=S2&item=item-0001")
        assert asked.wait(30)
        assert serving.get("/v1/totals?store=S1").status_code == 200
        assert not slow.done()
        go_on.set()
        assert slow.result().status_code == 200
