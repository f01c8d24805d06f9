"""The publication in memory: swapped whole, refused when bad, kept when the store is away."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from foreact.blobs import Blob, BlobUnavailable
from foreact.blobs.folder import FolderStore
from foreact.publications import Publisher, groups
from foreact.publications.contract import GROUPS, object_name
from serving.publication import PublicationCache
from tests.serving import shop
from tests.serving.conftest import Clock, Serving
from tests.serving.refreshes.runs import embedded


def test_nothing_published_is_told(start: Callable[..., Serving]) -> None:
    serving = start()
    answer = serving.get("/v1/stores")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_publication")
    # Ready to say so: else the first rollout of all could never end.
    ready = serving.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "empty")
    assert serving.client.get("/healthz").json()["status"] == "ok"
    assert serving.client.get("/startupz").status_code == 200


def test_only_changed_stores_are_loaded(store: FolderStore) -> None:
    shop.publish(store)
    cache = PublicationCache(store)
    assert cache.refresh()
    before = cache.current
    assert not cache.refresh()
    shop.publish(store, ["S2"], run="run-2", seed=2)
    assert cache.refresh()
    assert before is not None
    assert cache.current is not None
    assert cache.current.version == 2
    assert cache.current.stores["S1"] is before.stores["S1"]
    assert cache.current.stores["S2"] is not before.stores["S2"]
    assert before.version == 1


def spoil(what: str) -> dict[Any, pa.Table]:
    tables = shop.make_tables("S1")
    rows = tables["forecasts"]
    if what == "negative":
        rows = rows.set_column(3, "mean", pc.negate(rows["mean"]))
    elif what == "crossed":
        rows = rows.set_column(4, "p10", pc.add(rows["p90"], 1.0))
    elif what == "gap":
        rows = rows.filter(pc.not_equal(rows["date"], pa.scalar(shop.AS_OF.replace(day=4), pa.date32())))
    elif what == "twice":
        rows = pa.concat_tables([rows, rows.slice(0, 1)])
    elif what == "column":
        rows = rows.drop_columns(["p50"])
    elif what == "others":
        rows = rows.set_column(0, "store", pa.array(["S2"] * rows.num_rows))
    elif what == "lacking":
        rows = rows.slice(1)
    elif what == "text":
        rows = rows.set_column(3, "mean", pa.array(["many"] * rows.num_rows))
    tables["forecasts"] = rows
    return tables


@pytest.mark.parametrize("what", ["negative", "crossed", "gap", "twice", "column", "others", "lacking", "text"])
def test_a_bad_publication_is_refused_and_the_last_good_one_serves(
    serving: Serving, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    good = serving.get("/v1/totals").json()["rows"]
    shop.publish(serving.store, ["S1"], run="run-2", seed=2, tables={"S1": spoil(what)})
    serving.refresh()
    answer = serving.get("/v1/totals").json()
    assert answer["publication"]["version"] == 2
    assert answer["rows"] == good
    assert "forecasts/data/run-2/S1" in caplog.text
    # Everybody is told that it is so, nobody of a store that may not be theirs.
    told = "publication 2 is damaged in 1 store, whose last good numbers stand in"
    assert answer["publication"]["refused"] == told
    assert answer["stores"]["S1"]["run"] == "run-1"
    assert answer["stores"]["S1"]["held"].startswith("publication 2 is damaged in this store")
    assert answer["stores"]["S2"]["held"] is None
    assert serving.get("/v1/totals?format=csv").headers["foreact-held"] == "1"
    export = serving.get("/export.csv").content.decode().splitlines()
    assert [row.endswith('"fresh, held"') for row in export[1:]] == [True, False, False]
    assert "foreact-held" not in serving.get("/v1/totals?store=S2&format=csv").headers
    ready = serving.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "S1" not in ready.text
    assert f"Not everything that is published is shown:</strong> {told}." in serving.get("/").text
    assert "Not the newest numbers:</strong>" in serving.get("/stores/S1").text
    assert "Not the newest numbers" not in serving.get("/stores/S2").text
    metrics = serving.client.get("/metrics").text
    assert "foreact_publication_refused 1.0" in metrics
    assert 'foreact_store_damaged{store="S1"} 1.0' in metrics
    assert 'foreact_store_damaged{store="S2"} 0.0' in metrics
    shop.publish(serving.store, ["S1"], run="run-3", seed=3)
    serving.refresh()
    assert serving.get("/v1/totals").json()["publication"] | {"created_at": ""} == {
        "version": 3,
        "created_at": "",
        "action": "publish",
        "timezone": "UTC",
        "refused": None,
    }


def served(cache: PublicationCache) -> dict[str, str]:
    """Return the run behind each store that is served."""
    assert cache.current is not None
    return {store: arrays.entry.run for store, arrays in cache.current.stores.items()}


def test_one_damaged_store_keeps_no_news_from_the_others(store: FolderStore) -> None:
    shop.publish(store)
    running = PublicationCache(store)
    running.refresh()
    shop.publish(store, ["S1"], run="run-2", tables={"S1": spoil("gap")})
    running.refresh()
    shop.publish(store, ["S2"], run="run-3")
    running.refresh()
    # Whoever starts now finds the same.
    started = PublicationCache(store)
    started.refresh()
    for cache in (running, started):
        assert served(cache) == {"S1": "run-1", "S2": "run-3", "S3": "run-1"}
        assert cache.refused == "publication 3 is damaged in 1 store, whose last good numbers stand in"
        assert cache.explain_gap("S1") == "publication 3 is damaged in this store"
        assert cache.explain_gap("S2") is None
    assert running.current is not None
    assert started.current is not None
    assert running.current.fingerprint == started.current.fingerprint
    shop.publish(store, ["S1"], run="run-4")
    running.refresh()
    assert (served(running)["S1"], running.refused) == ("run-4", None)


def damage(store: FolderStore, run: str, name: str) -> Callable[[], None]:
    """Spoil an object in its place; what is given puts it right."""
    path = store.root / object_name(run, name, "totals")
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[:-1])
    return lambda: (path.write_bytes(whole), None)[1]


def test_a_process_that_finds_nothing_good_of_a_store_serves_the_others(
    store: FolderStore, start: Callable[..., Serving]
) -> None:
    shop.publish(store)
    shop.publish(store, ["S2"], run="run-2")
    damage(store, "run-1", "S1")
    serving = start(runner=embedded(store.root, lambda refresh: ["true"]))
    assert [each["store"] for each in serving.get("/v1/stores").json()["stores"]] == ["S2", "S3"]
    told = "publication 2 is damaged in 1 store, of which nothing can be shown"
    for role in ("viewer", "planner", "admin"):
        for path in ("/v1/stores/S1", "/v1/totals?store=S1", "/stores/S1"):
            answer = serving.get(path, role)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_damaged"), (role, path)
        page = serving.get("/", role).text
        assert f"{told}." in page
        assert "S1 is not shown:</strong>" in page
        # Only those who may change a store are offered to.
        assert ('data-refresh="S1"' in page) == (role != "viewer")
    assert 'foreact_store_stale{store="S1"} 1.0' in serving.client.get("/metrics").text
    queries = {"queries": [{"store": name, "item": "item-0001"} for name in ("S1", "S2")]}
    results = serving.post("/v1/forecasts/query", json=queries).json()["results"]
    assert [result["error"] and result["error"]["code"] for result in results] == ["store_damaged", None]
    assert "None of your stores can be shown" in serving.get("/", "viewer").text
    assert serving.post("/v1/stores/S1/refreshes", "planner").status_code == 202


def test_of_a_damaged_store_strangers_learn_nothing(store: FolderStore, start: Callable[..., Serving]) -> None:
    shop.publish(store)
    damage(store, "run-1", "S3")
    serving = start()
    for path in ("/v1/stores/{}", "/v1/totals?store={}", "/v1/forecasts?store={}&item=item-0001"):
        hidden, absent = (serving.get(path.format(name), "planner") for name in ("S3", "S9"))
        assert hidden.status_code == absent.status_code == 404
        assert hidden.json()["error"]["message"].replace("S3", "S9") == absent.json()["error"]["message"]
    answer = serving.get("/v1/forecasts?limit=20", "planner")
    assert "S3" not in answer.text
    assert "S3" not in base64.urlsafe_b64decode(answer.json()["next"] + "==").decode()
    assert "S3" not in serving.get("/", "planner").text
    assert serving.post("/v1/stores/S3/refreshes", "planner").status_code == 404


def test_objects_put_right_in_their_place_are_found(store: FolderStore) -> None:
    shop.publish(store)
    mend = damage(store, "run-1", "S1")
    clock = Clock(shop.NOW)
    reads: list[str] = []

    class Counting(FolderStore):
        def read(self, name: str) -> Blob:
            reads.append(name)
            return super().read(name)

    cache = PublicationCache(Counting(store.root), clock)
    cache.refresh()
    assert served(cache).keys() == {"S2", "S3"}
    # An hour of looks, one every two seconds: the damaged objects are read but a few times.
    reads.clear()
    for _ in range(1_800):
        clock.now += timedelta(seconds=2)
        assert not cache.refresh()
    data = [name for name in reads if "/data/" in name]
    assert 5 <= data.count(object_name("run-1", "S1", "totals")) <= 12
    assert all("/S1." in name for name in data)
    mend()
    before = cache.current
    assert before is not None
    clock.now += timedelta(minutes=10)
    assert cache.refresh()
    assert cache.current is not None
    assert (cache.refused, cache.current.version) == (None, 1)
    assert cache.current.stores["S2"] is before.stores["S2"]
    assert cache.current.fingerprint != before.fingerprint
    assert not cache.refresh()


def test_a_page_of_rows_ends_with_what_is_mended(store: FolderStore, start: Callable[..., Serving]) -> None:
    """The version is the same, but its rows are others."""
    shop.publish(store)
    mend = damage(store, "run-1", "S1")
    serving = start()
    first = serving.get("/v1/forecasts?limit=20")
    mend()
    serving.clock.now += timedelta(minutes=1)
    serving.refresh()
    assert serving.get(f"/v1/forecasts?limit=20&cursor={first.json()['next']}").status_code == 409
    assert serving.get("/v1/forecasts?limit=20", headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_without_a_good_store_there_is_nothing_to_serve(store: FolderStore, start: Callable[..., Serving]) -> None:
    shop.publish(store, ["S1"])
    damage(store, "run-1", "S1")
    serving = start()
    answer = serving.get("/v1/stores")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_publication")
    assert "publication 1 is damaged in 1 store" in answer.json()["error"]["message"]
    assert serving.client.get("/readyz").status_code == 503


def test_a_store_is_seen_by_the_region_that_it_is_in_now(serving: Serving) -> None:
    regions = {"S1": "North", "S2": "South", "S3": "South"}
    shop.publish(serving.store, ["S2"], run="run-2", regions=regions, tables={"S2": spoil("others")})
    serving.refresh()
    assert serving.app.state.service.publications.current.held_stores == {"S2"}
    assert serving.get("/v1/stores/S2", "planner").status_code == 404


class Leaving(FolderStore):
    """A store that can be out of reach."""

    away = False

    def read(self, name: str) -> Blob:
        if self.away:
            raise BlobUnavailable("the store does not answer")
        return super().read(name)

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        if self.away:
            raise BlobUnavailable("the store does not answer")
        return super().read_if_changed(name, etag)


def test_what_is_loaded_outlives_the_store(store: FolderStore) -> None:
    shop.publish(store)
    leaving = Leaving(store.root)
    cache = PublicationCache(leaving)
    cache.refresh()
    leaving.away = True
    assert not cache.refresh()
    assert cache.unreachable == "the store does not answer"
    assert cache.current is not None
    leaving.away = False
    cache.refresh()
    assert cache.unreachable is None


def test_a_change_is_seen_whole_by_whoever_is_reading(store: FolderStore) -> None:
    """An answer begun on one version ends on it."""
    shop.publish(store)
    cache = PublicationCache(store)
    cache.refresh()
    held = cache.current
    assert held is not None
    rows = held.stores["S1"].list_records(0, 0, 14)
    shop.publish(store, run="run-2", seed=9)
    cache.refresh()
    assert cache.current is not held
    assert held.stores["S1"].list_records(0, 0, 14) == rows
    assert replace(held).version == 1


def test_a_store_whose_newer_numbers_are_held_back_says_so_everywhere(serving: Serving) -> None:
    why = "the newest numbers are held back: they expect 800 units a day where the last publication expects 2"
    before = serving.get("/v1/forecasts?store=S1").json()["rows"]
    Publisher(serving.store).publish({}, by="run r", held={"S1": why, "unknown": why})
    serving.refresh()
    told = serving.get("/v1/forecasts?store=S1&store=S2")
    assert {name: source["held"] for name, source in told.json()["stores"].items()} == {"S1": why, "S2": None}
    assert told.headers["foreact-held"] == "1"
    assert serving.get("/v1/forecasts?store=S1").json()["rows"] == before
    metrics = serving.client.get("/metrics").text
    assert 'foreact_store_held{store="S1"} 1.0' in metrics
    assert 'foreact_store_held{store="S2"} 0.0' in metrics
    assert 'foreact_store_damaged{store="S1"} 0.0' in metrics


def test_of_many_stores_only_the_groups_that_changed_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    class Counting(FolderStore):
        def read(self, name: str) -> Blob:
            reads.append(name)
            return super().read(name)

    monkeypatch.setattr(groups, "INLINE_MOST", 2)
    store = Counting(tmp_path)
    for run, stores in (("run-1", ["S1", "S2", "S3"]), ("run-2", ["S2"])):
        shop.publish(store, stores, run=run, as_of=shop.AS_OF - timedelta(days=run == "run-1"))
    cache = PublicationCache(store)
    assert cache.refresh()
    reads.clear()
    shop.publish(store, ["S2"], run="run-3", seed=3)
    published = len(reads)
    assert cache.refresh()
    assert cache.current is not None
    assert [name for name in reads[published:] if name.startswith(GROUPS)] == [
        group.name for group in cache.current.manifest.groups if any("run-3" in run for run in group.runs)
    ]
    assert {name: arrays.entry.run for name, arrays in cache.current.stores.items()} == {
        "S1": "run-1",
        "S2": "run-3",
        "S3": "run-1",
    }
    # And of earlier versions those of the store that is asked for.
    reads.clear()
    earlier = cache.load_earlier_forecasts(cache.current.stores["S2"])
    assert [as_of for as_of, _ in earlier] == [str(shop.AS_OF - timedelta(days=1))]
    assert len([name for name in reads if name.startswith(GROUPS)]) == 2
    # One that is damaged holds back its stores.
    [broken] = [group for group in cache.current.manifest.groups if any("run-3" in run for run in group.runs)]
    store.write(broken.name, b"torn")
    started = PublicationCache(store)
    started.refresh()
    assert started.current is not None
    assert {name: (each.entry.run, bool(each.entry.held)) for name, each in started.current.stores.items()} == {
        "S1": ("run-1", False),
        "S2": ("run-2", True),
        "S3": ("run-1", False),
    }
