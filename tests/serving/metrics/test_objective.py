"""What /metrics says of deadlines and of callers that are refused."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from foreact.blobs.folder import FolderStore
from foreact.objective import FOLDER
from serving.auth.local import LocalLogin
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.metrics.test_runs import scrape

DAY = timedelta(days=1)


def count(serving: Serving) -> dict[tuple[str, ...], float]:
    serving.app.state.service.metrics.objective.count_deadlines()
    return {key[1:]: value for key, value in scrape(serving).items() if key[0] == "foreact_store_days"}


def test_deadlines_are_counted_as_they_pass(store: FolderStore, start: Callable[..., Serving]) -> None:
    published = shop.NOW - timedelta(hours=4)
    shop.publish(store, generated_at=published)
    serving = start()
    # Before the deadline there is nothing to count: yesterday nothing was published.
    assert count(serving) == {}
    serving.clock.now = shop.NOW + timedelta(hours=1)
    assert count(serving)["28", "kept"] == count(serving)["1", "due"] == 3
    serving.clock.now += DAY
    shown = count(serving)
    assert [shown["1", state] for state in ("due", "kept", "stale")] == [3, 0, 3]
    assert [shown["28", state] for state in ("due", "kept", "stale")] == [6, 3, 3]


def test_another_replica_counts_the_same(store: FolderStore, start: Callable[..., Serving]) -> None:
    shop.publish(store, generated_at=shop.NOW - timedelta(hours=4))
    replicas = [start(), start()]
    for serving in replicas:
        serving.clock.now = shop.NOW + DAY
    first, second = map(count, replicas)
    assert first == second != {}
    assert len(list(store.list(FOLDER))) == 1


def test_a_store_that_is_away_is_asked_again(store: FolderStore, start: Callable[..., Serving], tmp_path: Path) -> None:
    shop.publish(store, generated_at=shop.NOW - timedelta(hours=4))
    serving = start()
    serving.clock.now = shop.NOW + timedelta(hours=1)
    current = store.root / "forecasts" / "manifest.json"
    good = current.read_bytes()
    current.write_bytes(b"torn")
    archived = store.root / "forecasts" / "manifests"
    archived.rename(tmp_path / "manifests")
    assert count(serving) == {}
    (tmp_path / "manifests").rename(archived)
    current.write_bytes(good)
    assert count(serving)["1", "kept"] == 3


def test_refused_keys_and_logins_are_counted(store: FolderStore, start: Callable[..., Serving]) -> None:
    serving = start(local=LocalLogin(), login_attempts=2)
    serving.get("/v1/stores")
    serving.client.get("/v1/stores")
    for header in ("Bearer no such key", "Basic bm9ib2R5"):
        assert serving.client.get("/v1/stores", headers={"authorization": header}).status_code == 401
    for _ in range(5):
        serving.client.post("/login", data={"account": "x", "password": "y"})
    shown = scrape(serving)
    assert shown["foreact_keys_refused_total",] == 2
    assert shown["foreact_logins_total", "local", "failed"] == 2
    assert shown["foreact_logins_total", "local", "limited"] == 3
