"""What /metrics says, held against what is documented, and its size against what is published."""

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from foreact.blobs import Blob
from foreact.blobs.folder import FolderStore
from foreact.runs.events import Events
from foreact.runs.ledger import LONGEST_RUN, RunLedger, make_record_sink
from foreact.telemetry.scorecards import Scorecards, write_scorecards
from serving.metrics.runs import RunMetrics
from serving.metrics.service import METRICS
from tests.observability.receiver import receive
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.waiting import until

README = Path(__file__).parents[3] / "observability" / "README.md"
ROW = re.compile(r"^\| `(foreact_\w+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)


def run(store: FolderStore, name: str, pipeline: str, failing: bool = False) -> None:
    runs = RunLedger(store, lambda: shop.NOW - timedelta(hours=2 if failing else 3))
    events = Events(sink=make_record_sink(runs, name, pipeline))
    for step, figures in (
        ("ingest", {"rows": 1200.0, "rejected_rows": 2.0}),
        ("validate", {"rejected_rows": 3.0}),
        ("train", {"stores": 3.0, "promoted": 1.0, "fallbacks": 1.0, "wape": 0.2, "bias": -0.01, "odd": 1.0}),
    ):
        with events.step(step):
            pass
        events.figures(step, figures)
    runs.note_end(name, "failed" if failing else "succeeded", pipeline=pipeline)


def scrape(serving: Serving) -> dict[tuple[str, ...], float]:
    serving.app.state.service.metrics.runs.read_ledger()
    text = serving.client.get("/metrics").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_name_and_label_is_documented_and_nothing_else() -> None:
    documented = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels, _ in ROW.findall(README.read_text())}
    assert documented == {name: labels for name, (labels, _) in METRICS.items()}


def test_a_scrape_shows_documented_names_and_labels_only(serving: Serving) -> None:
    run(serving.store, "r1", "retrain-all")
    serving.app.state.service.metrics.runs.read_ledger()
    serving.get("/v1/totals?store=S1")
    seen = set()
    for family in text_string_to_metric_families(serving.client.get("/metrics").text):
        for sample in family.samples:
            name = re.sub(r"_(bucket|sum|count|created)$", "", sample.name)
            name = name if name in METRICS else f"{name}_total"
            assert name in METRICS, sample.name
            assert set(sample.labels) - {"le"} == set(METRICS[name][0]), sample.name
            seen.add(name)
    assert {"foreact_http_requests_total", "foreact_run_step_seconds", "foreact_store_stale"} <= seen


def test_runs_are_shown_as_their_steps_told_them(serving: Serving) -> None:
    run(serving.store, "r1", "retrain-all")
    shown = scrape(serving)
    assert shown["foreact_run_rows", "taken", "retrain-all"] == 1200
    assert shown["foreact_run_rows", "rejected", "retrain-all"] == 5
    assert [shown["foreact_run_stores", d, "retrain-all"] for d in ("promoted", "kept", "fallback")] == [1, 1, 1]
    assert shown["foreact_run_accuracy", "bias", "retrain-all"] == -0.01
    assert ("foreact_run_accuracy", "odd", "retrain-all") not in shown
    assert shown["foreact_run_last_failed", "retrain-all"] == 0
    assert shown["foreact_run_last_success_timestamp_seconds", "retrain-all"] == shop.NOW.timestamp() - 3 * 3600
    run(serving.store, "r2", "retrain-all", failing=True)
    shown = scrape(serving)
    assert shown["foreact_run_last_failed", "retrain-all"] == 1
    assert shown["foreact_run_kept", "retrain-all", "succeeded"] == 1


def test_a_run_that_does_not_end_shows_its_age(serving: Serving) -> None:
    RunLedger(serving.store, lambda: shop.NOW - timedelta(minutes=40)).note_step_started(
        "r1", "train", "retrain-store", "S1"
    )
    assert scrape(serving)["foreact_run_running_seconds", "retrain-store"] == 2400


def test_sustained_drift_marks_a_store(serving: Serving) -> None:
    for day in range(3):
        figures = {"wape": 0.3, "bias": 0.4, "coverage": 0.8, "promised": 0.25}
        stores = {"S1": figures, "S2": {**figures, "bias": 0.0}}
        write_scorecards(
            serving.store, Scorecards(run=f"r{day}", as_of=shop.AS_OF + timedelta(days=day), stores=stores)
        )
    shown = scrape(serving)
    assert shown["foreact_store_drift_days", "bias", "S1"] == 3
    assert (shown["foreact_store_marked", "S1"], shown["foreact_store_marked", "S2"]) == (1, 0)


def test_the_number_of_series_does_not_grow_with_items_runs_or_callers(
    store: FolderStore, start: Callable[..., Serving]
) -> None:
    shop.publish(store, items=3)
    serving = start()
    few = len(scrape(serving))
    for number in range(30):
        run(store, f"r{number}", "retrain-all")
    run(store, "odd", "a pipeline nobody knows")
    shop.publish(store, items=40, run="run-2")
    serving.refresh()
    for number in range(20):
        serving.client.get(f"/nothing/{number}", headers={"authorization": f"Bearer {number}"})
    assert len(scrape(serving)) - few < 60


class Slow(FolderStore):
    """A store whose first answer is long on its way."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.arrives = threading.Event(), threading.Event()

    def read(self, name: str) -> Blob:
        first = not self.asked.is_set()
        blob = super().read(name)
        if first:
            self.asked.set()
            self.arrives.wait()
        return blob


class Door:
    """A lock that counts who came to it."""

    def __init__(self) -> None:
        self.lock, self.comers = threading.Lock(), 0

    def __enter__(self) -> None:
        self.comers += 1
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_a_look_that_takes_long_puts_nothing_old_back(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, "r1", "retrain-all")
    slow = Slow(store.root)
    metrics, door = RunMetrics(slow, lambda: shop.NOW), Door()
    monkeypatch.setattr(metrics, "_reading", door)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(metrics.read_ledger)
        slow.asked.wait()
        run(store, "r2", "retrain-all", failing=True)
        second = pool.submit(metrics.read_ledger)
        # It overtakes the first, or has to wait for it.
        until(lambda: second.done() or door.comers == 2)
        slow.arrives.set()
        first.result()
        second.result()
    failed = next(family for family in metrics.collect() if family.name == "foreact_run_last_failed")
    assert [sample.value for sample in failed.samples if sample.labels == {"pipeline": "retrain-all"}] == [1.0]


def test_a_store_that_is_away_leaves_what_was_known(serving: Serving) -> None:
    run(serving.store, "r1", "retrain-all")
    before = scrape(serving)
    moved = serving.store.root.rename(serving.store.root.with_name("away"))
    after = scrape(serving)
    moved.rename(serving.store.root)
    key = ("foreact_run_rows", "taken", "retrain-all")
    assert key not in after or after[key] == before[key]
    assert serving.client.get("/metrics").status_code == 200


def test_replicas_tell_of_a_killed_run_once_between_them(store: FolderStore, start: Callable[..., Serving]) -> None:
    RunLedger(store, lambda: shop.NOW - LONGEST_RUN - timedelta(minutes=1)).note_step_started(
        "r1", "train", "retrain-all"
    )
    with receive() as receiver:
        for _ in range(2):
            start(webhook_url=receiver.url)
        assert receiver.wait(lambda: bool(receiver.received))
        assert until(lambda: RunLedger(store).read_history().runs[0].state == "failed")
        [notice] = [json.loads(data) for _, _, data in receiver.received]
    assert (notice["event"], notice["run"], notice["step"]) == ("failed", "r1", "train")
