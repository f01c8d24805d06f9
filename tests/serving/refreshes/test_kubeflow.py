"""Refreshes on Kubeflow Pipelines, against a fake of its API that holds the real client's models."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kfp_server_api as api
import pytest

from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.kubeflow.settings import KubeflowSettings
from foreact.runs.ends import report_missed_ends
from foreact.runs.ledger import RunLedger
from foreact.settings import PlaceSettings
from pipelines.compiling import FOLDER
from serving.refreshes.kubeflow import KubeflowRunner
from serving.refreshes.records import Refresh, RefreshRecords
from serving.settings import ServingSettings
from tests.kubeflow.fake import Fake, serving
from tests.serving import shop
from tests.serving.conftest import Serving, ended
from tests.waiting import until

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def fake() -> Fake:
    return Fake(token="secret")


@pytest.fixture
def runs(store: FolderStore) -> RunLedger:
    return RunLedger(store)


@pytest.fixture
def runner(fake: Fake, runs: RunLedger, tmp_path: Path) -> Iterator[KubeflowRunner]:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with serving(fake) as host:
        runner = KubeflowRunner.from_settings(
            ServingSettings(
                refresh_package=str(FOLDER / "retrain-store.yaml"),
                refresh_arguments='{"history": "https://a.blob.core.windows.net/sales/"}',
            ),
            KubeflowSettings(host=host, token_file=token),
            runs,
        )
        yield runner
        runner.close()


@pytest.fixture
def refresh() -> Refresh:
    return Refresh(id="0a1b", store="S 1", state="queued", requested_at=AT, requested_by="anna")


@pytest.fixture
def house(store: FolderStore, runner: KubeflowRunner, start: Callable[..., Serving]) -> Serving:
    """A service that refreshes so, and looks often."""
    shop.publish(store)
    runner.interval = 0.1
    return start(runner=runner)


def test_a_refresh_is_a_run_of_the_compiled_pipeline(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    started = runner.start(refresh)
    (run,) = fake.kept("runs")
    assert (started.run, run.display_name) == (run.run_id, "refresh S 1 2026-11-21 09:00 0a1b")
    assert run.service_account == "foreact-pipelines"
    assert run.runtime_config.parameters == {
        "history": "https://a.blob.core.windows.net/sales/",
        "store": refresh.store,
    }
    assert run.pipeline_spec["pipeline_spec"]["pipelineInfo"]["name"] == "retrain-store"
    assert run.pipeline_spec["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]


def test_another_replica_finds_the_run(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    first, second = runner.start(refresh), runner.start(refresh)
    assert first.run == second.run
    assert len(fake.kept("runs")) == 1


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("done", [False, True])
def test_a_server_that_dies_midway_leaves_one_run(
    fake: Fake, runner: KubeflowRunner, refresh: Refresh, call: int, done: bool
) -> None:
    fake.dies_at, fake.dies_after_doing = call, done
    with pytest.raises(ForeactError, match="Kubeflow Pipelines does not answer"):
        runner.start(refresh)
    fake.revive()
    runner.start(refresh)
    assert [len(fake.kept(kind)) for kind in ("experiments", "runs")] == [1, 1]


TASK = "retrain-in-one-pod"


def task(name: str, state: str, second: int = 0, took: int = 0, **others: Any) -> Any:
    """Make a task as Kubeflow tells of it: all of a run have the same time of creation."""
    began = AT.replace(second=second)
    ended = AT.replace(second=second + took)
    return api.V2beta1PipelineTaskDetail(
        display_name=name, state=state, create_time=AT, start_time=began, end_time=ended, **others
    )


def engine(state: str) -> list[Any]:
    """Make what the engine lists beside the task, the workflow's own node by its own name."""
    return [task(name, state) for name in ("retrain-store-4p9f6", "root", "root-driver", "executor")]


def test_its_steps_are_those_of_its_record(fake: Fake, runner: KubeflowRunner, refresh: Refresh, store: Any) -> None:
    started = runner.start(refresh.model_copy(update={"started_at": AT}))
    run = fake.kept("runs")[0]
    assert runner.observe(started).state == "running"
    run.state = "RUNNING"
    run.run_details.task_details = [task(TASK, "RUNNING"), *engine("RUNNING")]
    assert runner.observe(started).steps == ()
    now = AT

    def tell(step: str, second: int, took: float | None = None) -> None:
        nonlocal now
        now = AT + timedelta(seconds=second)
        clocked.note_step_started(str(started.run), step)
        if took is not None:
            clocked.note_step_ended(str(started.run), step, "succeeded", took)

    clocked = RunLedger(store, lambda: now)
    tell("ingest", 20, 1)
    tell("validate", 22, 3)
    tell("train", 30)
    progress = runner.observe(started)
    assert progress.state == "running"
    # The wait for a step is its own time, the pod's too.
    assert [(s.name, s.state, s.seconds) for s in progress.steps[:2]] == [
        ("ingest", "succeeded", 21.0),
        ("validate", "succeeded", 4.0),
    ]
    assert (progress.steps[2].name, progress.steps[2].state) == ("train", "running")
    assert (progress.steps[2].seconds or 0) > 5


def test_it_is_done_when_its_numbers_are_published(
    fake: Fake, runner: KubeflowRunner, refresh: Refresh, runs: RunLedger
) -> None:
    started = runner.start(refresh)
    fake.kept("runs")[0].state = "RUNNING"
    runs.note_step_started(str(started.run), "publish")
    assert runner.observe(started).state == "running"
    runs.note_step_ended(str(started.run), "publish", "succeeded", 1.0)
    assert runner.observe(started).state == "succeeded"


# What Kubeflow calls a run of which a task failed depends on its version.
@pytest.mark.parametrize("state", ["FAILED", "SUCCEEDED"])
def test_why_it_failed(fake: Fake, runner: KubeflowRunner, refresh: Refresh, runs: RunLedger, state: str) -> None:
    started = runner.start(refresh)
    run = fake.kept("runs")[0]
    run.state = state
    told = api.GoogleRpcStatus(message="Task ended with code 1.\nmore")
    run.run_details.task_details = [*engine("FAILED"), task(TASK, "FAILED", error=told)]
    progress = runner.observe(started)
    assert (progress.state, progress.failed_step) == ("failed", "run")
    assert progress.sentence == "Task ended with code 1."
    runs.note_step_started(str(started.run), "validate", "retrain-store", refresh.store)
    runs.note_step_ended(str(started.run), "validate", "failed", 9.0, "3 rules are broken.")
    progress = runner.observe(started)
    assert (progress.failed_step, progress.sentence) == ("validate", "3 rules are broken.")


@pytest.mark.parametrize("state", ["FAILED", "SUCCEEDED"])
def test_one_that_could_not_be_started(fake: Fake, runner: KubeflowRunner, refresh: Refresh, state: str) -> None:
    started = runner.start(refresh)
    run = fake.kept("runs")[0]
    run.state = state
    run.run_details.task_details = [*engine("FAILED"), task(f"{TASK}-driver", "FAILED")]
    progress = runner.observe(started)
    assert (progress.state, progress.failed_step, progress.steps) == ("failed", "run", ())
    assert progress.sentence == "Kubeflow Pipelines could not start its steps"


@pytest.mark.parametrize("text", ["", "a: b", "][", "root: {}\ncomponents: []"])
def test_a_package_that_is_none_is_refused_in_a_sentence(tmp_path: Path, runs: RunLedger, text: str) -> None:
    package = tmp_path / "broken.yaml"
    package.write_text(text)
    with pytest.raises(ForeactError, match="is not a compiled pipeline"):
        KubeflowRunner.from_settings(
            ServingSettings(refresh_package=str(package)), KubeflowSettings(host="http://127.0.0.1:9"), runs
        )


def test_a_run_can_be_ended(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    started = runner.start(refresh)
    runner.stop(started)
    progress = runner.observe(started)
    assert (progress.state, progress.sentence) == ("failed", "the run was cancelled in Kubeflow Pipelines")
    run = fake.kept("runs")[0]
    run.state, run.state_history = "CANCELED", []
    assert runner.observe(started).sentence == "the run was cancelled in Kubeflow Pipelines"


def test_says_why_refreshes_cannot_run(fake: Fake, runner: KubeflowRunner) -> None:
    assert runner.check() is None
    fake.forbidden = True
    assert "does not allow this caller to do that: User 'robot' is not authorized" in (runner.check() or "")
    fake.page = "<html>Log in</html>"
    assert "answered with text/html instead of the Kubeflow Pipelines API's JSON" in (runner.check() or "")
    fake.dead, fake.page = True, ""
    assert "Kubeflow Pipelines does not answer" in (runner.check() or "")


def start_nightly(fake: Fake, runner: KubeflowRunner, runs: RunLedger) -> Any:
    """Return a run that this service has not started, its training under way."""
    experiment = runner._kubeflow.ensure_experiment("nightly")
    spec = {"pipeline_spec": {"pipelineInfo": {"name": "retrain-all"}}}
    run = fake._create_runs(api.V2beta1Run(display_name="nightly", experiment_id=experiment, pipeline_spec=spec))
    fake.enter_state(run, "RUNNING")
    run.run_details.task_details = [task("ingest", "SUCCEEDED", 1, 3), task("train", "RUNNING", 5)]
    runs.note_step_started(run.run_id, "train", "retrain-all")
    return run


def test_the_record_of_a_cancelled_run_that_nobody_follows_is_closed(
    fake: Fake, runner: KubeflowRunner, runs: RunLedger, store: FolderStore, start: Callable[..., Serving]
) -> None:
    """Its exit handler does not run; nor does that of a run over its deadline."""
    shop.publish(store)
    cancelled, overdue, going = (start_nightly(fake, runner, runs) for _ in range(3))
    local = "20261127-080000-abcdef"
    runs.note_step_started(local, "train", "retrain-all")
    runner._kubeflow.terminate_run(cancelled.run_id)
    fake.end_run(overdue, "FAILED", after=timedelta(hours=4))
    overdue.run_details.task_details[1].state = "FAILED"
    start(runner=runner)

    def read(run: str) -> tuple[str, str]:
        record = runs.read_history().find_run(run)
        assert record is not None
        return record.state, record.sentence

    until(lambda: read(overdue.run_id)[0] == "failed")
    assert read(cancelled.run_id) == ("failed", "The run was cancelled.")
    assert read(overdue.run_id) == ("failed", "The run was stopped at its deadline, 4 hours after its start.")
    assert read(going.run_id) == read(local) == ("running", "")


def test_a_retry_that_succeeds_mends_the_record(
    fake: Fake, runner: KubeflowRunner, runs: RunLedger, store: FolderStore
) -> None:
    """The exit handler has reported the first try, and Kubeflow does not run it again."""
    run = start_nightly(fake, runner, runs)
    settings = PlaceSettings()
    runs.note_step_ended(run.run_id, "train", "failed", 9.0, "MLflow is away.")
    runs.note_end(run.run_id, "failed", pipeline="retrain-all")
    run.run_details.task_details = [
        task("ingest", "SUCCEEDED", 1, 3),
        task("train", "FAILED", 5, 9),
        task("report", "SUCCEEDED", 20, 5),
    ]
    fake.end_run(run, "FAILED")
    runner._kubeflow._connection.send_request("POST", f"runs/{run.run_id}:retry")
    assert [each.display_name for each in run.run_details.task_details] == ["ingest", "report"]
    for step in ("train", "register", "publish"):
        runs.note_step_started(run.run_id, step)
        report_missed_ends(runner.find_end, settings, store)
        assert [record.state for record in runs.read_history().runs] == ["running"]
        runs.note_step_ended(run.run_id, step, "succeeded", 1.0)
        run.run_details.task_details.append(task(step, "SUCCEEDED", 40, 5))
    fake.end_run(run, "SUCCEEDED")
    report_missed_ends(runner.find_end, settings, store)
    [record] = runs.read_history().runs
    assert (record.state, record.sentence, record.failed_step) == ("succeeded", "", "")


def made(fake: Fake) -> Any:
    """Return the run, once there is one."""
    return until(lambda: next(iter(fake.kept("runs")), None))


def test_a_request_is_followed_to_the_new_numbers(fake: Fake, house: Serving, runs: RunLedger) -> None:
    asked = house.post("/v1/stores/S1/refreshes")
    location, run = asked.headers["location"], made(fake)
    assert run.display_name.startswith("refresh S1 20")
    assert run.display_name.endswith(f" {location.rpartition('-')[2]}")
    # The run's steps find there whose request they serve.
    record = until(lambda: runs.read_history().find_run(run.run_id))
    assert (record.pipeline, record.store) == ("retrain-store", "S1")
    assert record.request_id == asked.headers["x-request-id"]
    assert house.get(location).json()["usual_seconds"] is None
    run.state = "RUNNING"
    runs.note_step_started(run.run_id, "train")
    steps = until(lambda: house.get(location).json()["steps"])
    assert [(step["name"], step["state"]) for step in steps] == [("train", "running")]
    shop.publish(house.store, ["S1"], run=run.run_id, seed=5)
    runs.note_step_started(run.run_id, "publish")
    runs.note_step_ended(run.run_id, "publish", "succeeded", 1.0)
    done = ended(house, location)
    assert (done["state"], done["version"]) == ("succeeded", 2)
    assert house.get("/v1/totals?store=S1").json()["stores"]["S1"]["run"] == run.run_id


def test_a_failure_names_its_step_and_is_kept(fake: Fake, house: Serving, runs: RunLedger) -> None:
    location, run = house.post("/v1/stores/S1/refreshes").headers["location"], made(fake)
    runs.note_step_started(run.run_id, "validate")
    runs.note_step_ended(run.run_id, "validate", "failed", 1.0, "3 rules are broken")
    run.run_details.task_details, run.state = [task(TASK, "FAILED")], "FAILED"
    done = ended(house, location)
    assert (done["state"], done["failed_step"], done["sentence"]) == ("failed", "validate", "3 rules are broken")
    # Had it been killed with all its tasks, nobody else would have said so.
    record = until(lambda: (found := runs.read_history().find_run(run.run_id)) and found.ended_at and found)
    assert (record.state, record.sentence) == ("failed", "3 rules are broken")


def test_an_api_that_goes_away_and_comes_back_loses_nothing(fake: Fake, house: Serving) -> None:
    location, run = house.post("/v1/stores/S1/refreshes").headers["location"], made(fake)
    until(lambda: RefreshRecords(house.store).list_active()[0].run)
    fake.dead = True
    told = until(lambda: (found := house.get(location).json())["sentence"] and found)
    assert told["state"] == "running"
    assert "Kubeflow Pipelines does not answer" in told["sentence"]
    refused = house.post("/v1/stores/S2/refreshes")
    assert refused.status_code == 503
    assert "Kubeflow Pipelines does not answer" in refused.json()["error"]["message"]
    fake.revive()
    run.state = "SUCCEEDED"
    assert until(lambda: house.get(location).json()["state"] == "succeeded")
