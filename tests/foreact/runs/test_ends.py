"""Runs that were killed with all that would have told, and who tells then."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.kubeflow.states import CANCELED
from foreact.kubeflow.verdict import Outcome
from foreact.runs.ends import END_UNKNOWN, report_end, report_missed_ends, report_stuck_runs
from foreact.runs.ledger import LONGEST_RUN, RunLedger, RunRecord
from foreact.settings import PlaceSettings
from tests.observability.receiver import Receiver, receive

NIGHT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
MORNING = NIGHT + LONGEST_RUN + timedelta(minutes=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as receiver:
        yield receiver


@pytest.fixture
def settings(receiver: Receiver, tmp_path: Path) -> PlaceSettings:
    url = "https://kfp.example/#/runs/details/{run}"
    return PlaceSettings(workspace=tmp_path, webhook_url=SecretStr(receiver.url), run_url=url)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderStore:
    """Return a store in whose record a run was killed amid its training."""
    blobs = FolderStore(tmp_path / "blobs")
    RunLedger(blobs, lambda: NIGHT).note_step_started("r1", "train", "retrain-all")
    return blobs


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(one["event"], one["run"]) for one in (json.loads(data) for _, _, data in receiver.received)]


def test_a_killed_run_is_told_once_by_however_many_look(
    settings: PlaceSettings, blobs: FolderStore, receiver: Receiver
) -> None:
    report_stuck_runs(settings, blobs, now=NIGHT + LONGEST_RUN)
    assert told(receiver) == [], "it may still be at work"
    replicas = [
        threading.Thread(target=report_stuck_runs, args=(settings, blobs), kwargs={"now": MORNING}) for _ in range(5)
    ]
    for replica in replicas:
        replica.start()
    for replica in replicas:
        replica.join()
    report_stuck_runs(settings, blobs, now=MORNING)
    [notice] = [json.loads(data) for _, _, data in receiver.received]
    assert notice == {
        "event": "failed",
        "pipeline": "retrain-all",
        "run": "r1",
        "step": "train",
        "sentence": END_UNKNOWN,
        "link": "https://kfp.example/#/runs/details/r1",
        "title": "retrain-all of all stores failed",
    }
    [record] = RunLedger(blobs).read_history().runs
    assert (record.state, record.ended_at, record.sentence) == ("failed", NIGHT, END_UNKNOWN)


def test_the_recovery_from_it_is_told(settings: PlaceSettings, blobs: FolderStore, receiver: Receiver) -> None:
    report_stuck_runs(settings, blobs, now=MORNING)
    for _ in range(2):
        report_end("r2", True, pipeline="retrain-all", settings=settings, blobs=blobs)
    assert told(receiver) == [("failed", "r1"), ("recovered", "r2")]


def test_what_has_worked_since_is_no_news(settings: PlaceSettings, blobs: FolderStore, receiver: Receiver) -> None:
    RunLedger(blobs, lambda: NIGHT + timedelta(hours=1)).note_end("r2", "succeeded", pipeline="retrain-all")
    report_stuck_runs(settings, blobs, now=MORNING)
    report_end("r3", True, pipeline="retrain-all", settings=settings, blobs=blobs)
    assert told(receiver) == []
    assert [run.state for run in RunLedger(blobs).read_history().runs] == ["failed", "succeeded", "succeeded"]


def test_a_killed_run_that_had_published_succeeded(
    settings: PlaceSettings, blobs: FolderStore, receiver: Receiver
) -> None:
    runs = RunLedger(blobs, lambda: NIGHT)
    for step in ("train", "publish"):
        runs.note_step_started("r1", step)
        runs.note_step_ended("r1", step, "succeeded", 1.0)
    report_stuck_runs(settings, blobs, now=MORNING)
    assert told(receiver) == []
    assert [run.state for run in runs.read_history().runs] == ["succeeded"]


def test_a_run_that_failed_and_was_tried_again_works_again(
    settings: PlaceSettings, blobs: FolderStore, receiver: Receiver
) -> None:
    report_end("r1", False, pipeline="retrain-all", message="it broke", settings=settings, blobs=blobs)
    RunLedger(blobs).note_step_started("r1", "train", "retrain-all")
    for _ in range(2):
        report_end("r1", True, pipeline="retrain-all", settings=settings, blobs=blobs)
    assert told(receiver) == [("failed", "r1"), ("recovered", "r1")]
    assert [run.state for run in RunLedger(blobs).read_history().runs] == ["succeeded"]


def test_of_runs_without_an_end_kubeflow_is_asked(
    settings: PlaceSettings, blobs: FolderStore, receiver: Receiver
) -> None:
    runs = RunLedger(blobs)
    for run in ("cancelled", "at work", "not to be found out"):
        runs.note_step_started(run, "train", "retrain-store", "S1")
    runs.note_end("ended", "succeeded", pipeline="retrain-store", store="S1")

    def find_end(record: RunRecord) -> Outcome | None:
        assert record.id != "ended"
        if record.id == "not to be found out":
            raise ForeactError("Kubeflow Pipelines does not answer")
        return Outcome(CANCELED, message="The run was cancelled.") if record.id == "cancelled" else None

    report_missed_ends(find_end, settings, blobs)
    report_missed_ends(find_end, settings, blobs)
    assert told(receiver) == [("failed", "cancelled")]
    found = {run.id: (run.state, run.sentence) for run in runs.read_history().runs}
    assert found.pop("r1") == found.pop("at work") == found.pop("not to be found out") == ("running", "")
    assert found == {"cancelled": ("failed", "The run was cancelled."), "ended": ("succeeded", "")}


def test_a_receiver_that_is_away_holds_nothing_open(
    settings: PlaceSettings, blobs: FolderStore, receiver: Receiver
) -> None:
    receiver.statuses = [500] * 4
    report_stuck_runs(settings, blobs, now=MORNING, pause=0.01)
    assert [run.state for run in RunLedger(blobs).read_history().runs] == ["failed"]
