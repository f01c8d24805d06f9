"""The record of runs, written by steps that may die at any moment."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.blobs.protocol import BlobUnavailable
from foreact.runs.events import Events
from foreact.runs.ledger import KEPT_RUNS, LONGEST_RUN, RUNS, RunHistory, RunLedger, make_record_sink

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def runs(tmp_path: Path) -> RunLedger:
    return RunLedger(FolderStore(tmp_path), Clock())


def test_a_run_is_known_from_its_first_step_to_its_end(runs: RunLedger) -> None:
    events = Events(sink=make_record_sink(runs, "r1", "retrain-store", "S1"))
    with events.step("ingest"):
        assert runs.read_history().runs[0].steps["ingest"].state == "running"
    events.figures("ingest", {"rows": 120.0, "nothing": float("nan")})
    with pytest.raises(ValueError, match="no such column"), events.step("train"):
        raise ValueError("no such column\nand more")
    ended = runs.note_end("r1", "failed", pipeline="retrain-store", store="S1")
    assert (ended.pipeline, ended.store, ended.state, ended.failed_step) == ("retrain-store", "S1", "failed", "train")
    assert ended.sentence == "no such column"
    assert ended.steps["ingest"].figures == {"rows": 120.0}
    assert runs.read_history().last_success == {}


def test_the_first_to_tell_a_runs_end_is_believed(runs: RunLedger) -> None:
    first = runs.note_end("r1", "succeeded", pipeline="retrain-all")
    second = runs.note_end("r1", "failed", pipeline="retrain-all", sentence="too late")
    assert second == first
    assert runs.read_history().last_success["retrain-all"] == first.ended_at


def test_a_success_mends_what_was_taken_for_a_failure(runs: RunLedger) -> None:
    runs.note_end("r1", "failed", pipeline="retrain-all", sentence="it took too long and was stopped")
    mended = runs.note_end("r1", "succeeded", pipeline="retrain-all")
    assert (mended.state, mended.sentence) == ("succeeded", "")
    assert runs.read_history().last_success["retrain-all"] == mended.ended_at


def test_a_step_that_is_tried_again_after_the_end_starts_the_run_again(runs: RunLedger) -> None:
    events = Events(sink=make_record_sink(runs, "r1", "retrain-store", "S1"))
    with events.step("ingest"):
        pass
    with pytest.raises(ValueError, match="away"), events.step("register"):
        raise ValueError("MLflow is away")
    failed = runs.note_end("r1", "failed", pipeline="retrain-store", store="S1")
    with events.step("register"):
        again = runs.read_history().runs[0]
        assert (again.state, again.ended_at, again.sentence, again.failed_step) == ("running", None, "", "")
        assert failed.ended_at is not None
        assert again.started_at > failed.ended_at, "a run of yesterday must not count as overdue"
        assert again.steps["ingest"] == failed.steps["ingest"]
    ended = runs.note_end("r1", "succeeded", pipeline="retrain-store", store="S1")
    assert (ended.state, ended.sentence, ended.failed_step) == ("succeeded", "", "")


def test_no_run_is_lost_when_many_tell_at_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def tell(number: int) -> None:
        RunLedger(store).note_step_started(f"r{number}", "ingest", "retrain-store", f"S{number}")
        RunLedger(store).note_end(f"r{number}", "succeeded", pipeline="retrain-store")

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {run.id: run.state for run in RunLedger(store).read_history().runs} == {
        f"r{n}": "succeeded" for n in range(12)
    }


def test_the_record_is_bounded_and_a_run_that_fell_silent_outlasts_the_others(tmp_path: Path) -> None:
    store, clock = FolderStore(tmp_path), Clock()
    runs = RunLedger(store, clock)
    runs.note_step_started("silent", "train", "retrain-all")
    clock.now += LONGEST_RUN
    runs.note_step_started("later", "train", "retrain-all")
    assert [run.id for run in runs.read_history().list_overdue(clock())] == ["silent"]
    for number in range(KEPT_RUNS + 5):
        runs.note_end(f"r{number:03d}", "succeeded", pipeline="retrain-all")
    assert len(runs.read_history().runs) == KEPT_RUNS
    assert runs.read_history().list_overdue(clock())[0].id == "silent"
    assert len(store.read(RUNS).data) < 100_000


def test_many_refreshes_hide_no_nightly_run_that_failed(runs: RunLedger) -> None:
    runs.note_end("night", "failed", pipeline="retrain-all", sentence="the source is away")
    for number in range(KEPT_RUNS + 5):
        runs.note_end(f"r{number:03d}", "succeeded", pipeline="retrain-store", store="S1")
    ledger = runs.read_history()
    assert ledger.list_ended("retrain-all")[0].sentence == "the source is away"
    assert len(ledger.runs) == KEPT_RUNS + 1


def test_a_damaged_record_and_a_store_that_is_away_stop_no_step(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write(RUNS, b"{ broken")
    events = Events(sink=make_record_sink(RunLedger(store), "r1"))
    with events.step("ingest"):
        pass
    assert RunLedger(store).read_history().runs[0].id == "r1"

    class Away(RunLedger):
        def _read(self) -> tuple[RunHistory, str | None]:
            raise BlobUnavailable("the store does not answer")

    with Events(sink=make_record_sink(Away(store), "r2")).step("ingest"):
        pass


def test_a_later_try_is_not_judged_by_what_an_earlier_one_did(runs: RunLedger) -> None:
    for step in ("train", "register", "publish"):
        runs.note_step_started("r1", step, "retrain-store")
        runs.note_step_ended("r1", step, "succeeded", 1.0)
    runs.note_step_started("r1", "register")
    record = runs.read_history().find_run("r1")
    assert record is not None
    assert list(record.steps) == ["train", "register"]
    assert not record.has_published
