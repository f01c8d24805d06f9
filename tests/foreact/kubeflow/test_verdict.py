"""How a run ended, by what a real Kubeflow tells of its tasks: in no order, and in other words than ours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api as api
import pytest

from foreact.kubeflow.package import Package
from foreact.kubeflow.verdict import judge_run, list_tasks

AT = datetime(2026, 11, 21, tzinfo=UTC)


def task(name: str, state: str | None, start: datetime | None = None, error: str = "") -> api.V2beta1PipelineTaskDetail:
    problem = api.GoogleRpcStatus(message=error) if error else None
    return api.V2beta1PipelineTaskDetail(display_name=name, state=state, start_time=start, error=problem)


def make_run(state: str, *tasks: api.V2beta1PipelineTaskDetail, history: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a run as JSON, written by the real client's models."""
    past = [api.V2beta1RuntimeStatus(state=each) for each in history]
    run = api.V2beta1Run(state=state, run_details=api.V2beta1RunDetails(task_details=list(tasks)), state_history=past)
    answer: dict[str, Any] = api.ApiClient().sanitize_for_serialization(run)
    return answer


@pytest.mark.parametrize(
    ("error", "sentence"), [("3 rules are broken.\nTraceback", "Train: 3 rules are broken."), ("", "Train failed.")]
)
def test_the_step_that_failed_is_named(package: Package, error: str, sentence: str) -> None:
    outcome = judge_run(make_run("FAILED", task("train", "FAILED", error=error)), package)
    assert (outcome.state, outcome.sentence) == ("FAILED", sentence)


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [(4, "The run was stopped at its deadline, 4 hours after its start."), (3.9, "Train failed.")],
)
def test_a_run_that_was_stopped_at_its_deadline_says_so(package: Package, hours: float, sentence: str) -> None:
    run = make_run("FAILED", task("ingest", "SUCCEEDED"), task("train", "FAILED"), history=("RUNNING", "FAILED"))
    run |= {"created_at": AT.isoformat(), "finished_at": (AT + timedelta(hours=hours)).isoformat()}
    assert judge_run(run, package).sentence == sentence
    assert judge_run(run | {"state": "SUCCEEDED"}, package).sentence == "Train failed."
    assert judge_run(run | {"state": "RUNNING"}, package).sentence == ""


@pytest.mark.parametrize(
    ("state", "history", "ended", "sentence"),
    [
        ("CANCELED", (), "CANCELED", "The run was cancelled."),
        ("FAILED", ("RUNNING", "CANCELING", "FAILED"), "CANCELED", "The run was cancelled."),
        # It was started again, and failed by itself.
        ("FAILED", ("RUNNING", "CANCELING", "FAILED", "RUNNING", "FAILED"), "FAILED", "The run ended as failed."),
        ("SKIPPED", (), "SKIPPED", "The run ended as skipped."),
        ("RUNNING", ("RUNNING",), "RUNNING", ""),
    ],
)
def test_a_run_without_a_broken_step(
    package: Package, state: str, history: tuple[str, ...], ended: str, sentence: str
) -> None:
    outcome = judge_run(make_run(state, history=history), package)
    assert (outcome.state, outcome.sentence) == (ended, sentence)


def test_what_failed_first_is_named_though_the_exit_handler_left_the_run_succeeded(package: Package) -> None:
    run = make_run(
        "SUCCEEDED",
        task("report", "FAILED", AT.replace(second=9)),
        task("train", None, AT.replace(second=5)),
        task("ingest", "FAILED", AT.replace(second=4)),
        task("ingest", "SUCCEEDED", AT.replace(second=1)),
        task("exit-handler-1", "FAILED", AT),
    )
    outcome = judge_run(run, package)
    assert (outcome.state, outcome.sentence) == ("FAILED", "Ingest failed.")


@pytest.mark.parametrize("state", ["FAILED", "SUCCEEDED"])
@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"root-driver": "SUCCEEDED", "train-driver": "FAILED", "ingest": "SUCCEEDED"}, "Train could not be started."),
        ({"exit-handler-1-driver": "FAILED", "exit-handler-1": None}, "Its steps could not be started."),
        ({"Retrain": "FAILED", "ingest": "SUCCEEDED"}, "Its steps failed as a whole."),
        ({"root-driver": "FAILED", "root": None}, "Its steps could not be started."),
    ],
)
def test_what_could_not_be_started_is_named(
    package: Package, told: dict[str, str | None], sentence: str, state: str
) -> None:
    outcome = judge_run(make_run(state, *(task(*each) for each in told.items()), task("report", "SUCCEEDED")), package)
    assert (outcome.state, outcome.sentence) == ("FAILED", sentence)


def test_a_try_that_has_not_begun_is_the_last_one(package: Package) -> None:
    run = make_run(
        "RUNNING",
        task("ingest", "RUNNING", datetime(1, 1, 1, tzinfo=UTC)),
        task("ingest", "FAILED", AT),
        task("train", "PENDING"),
        task("train", "FAILED", AT),
    )
    assert [each.state for each in list_tasks(run, package)] == ["RUNNING", "PENDING", "PENDING"]
