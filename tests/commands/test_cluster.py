"""The commands that talk to Kubeflow Pipelines, as they are typed."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import kfp_server_api as api
import pytest
from typer.testing import CliRunner, Result

from commands.app import app
from commands.options import name_caller
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger
from pipelines.cluster import scheduling, submit
from tests.kubeflow.fake import Fake

SALES = "https://a.blob.core.windows.net/sales/"
# Half a day from any firing: near one, a switch waits.
NOON = datetime(2026, 11, 21, 11, tzinfo=UTC)


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, host: str, fake: Fake) -> None:
    """Return an installation on which it is always noon."""
    fake.clock = lambda: NOON
    monkeypatch.setattr(scheduling, "Scheduler", partial(scheduling.Scheduler, now=fake.clock))
    monkeypatch.setenv("FOREACT_KFP_HOST", host)
    monkeypatch.setenv("FOREACT_KFP_TIMEZONE", "Europe/Berlin")


def foreact(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def store_package(packages: Path) -> str:
    return str(packages / "retrain-store.yaml")


def test_submit_and_leave(fake: Fake, store_package: str) -> None:
    result = foreact(
        "submit", "retrain-store", "--store", "S1", "--history", SALES, "--known", SALES + "prices.csv", "--no-wait",
        "--horizon", "14", "--parameter", 'train_memory="16Gi"', "--experiment", "mine", "--service-account", "robot",
        "--name", "mine-1", "--package", store_package,
    )  # fmt: skip
    assert result.exit_code == 0
    (run,) = fake.kept("runs")
    assert result.stdout.strip() == run.run_id
    assert "Started mine-1: http" in result.stderr
    assert (run.display_name, run.service_account) == ("mine-1", "robot")
    assert fake.kept("experiments")[0].display_name == "mine"
    assert run.runtime_config.parameters == {
        "store": "S1",
        "history": SALES,
        "known": [SALES + "prices.csv"],
        "horizon": 14,
        "train_memory": "16Gi",
    }


def test_a_version_is_promoted_by_a_run_of_its_store(fake: Fake) -> None:
    result = foreact("submit", "promote", "S1", "3", "--reason", "Fridays", "--no-wait")
    assert result.exit_code == 0
    (run,) = fake.kept("runs")
    chosen = {"store": "S1", "version": "3", "reason": "Fridays", "by": name_caller(), "force": False}
    assert run.runtime_config.parameters == chosen


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [("SUCCEEDED", 0, "succeeded."), ("FAILED", 1, "ended as failed"), ("CANCELED", 3, "cancelled.")],
)
def test_the_exit_code_is_the_runs(
    fake: Fake, packages: Path, state: str, code: int, said: str
) -> None:  # fmt: skip
    fake.first_state = state
    result = foreact("submit", "retrain-all", "--history", SALES, "--package", str(packages / "retrain-all.yaml"))
    assert (result.exit_code, said in result.stderr) == (code, True)


def fail_at_once(
    fake: Fake,
    workspace: Path,
    patch: pytest.MonkeyPatch,
    *tasks: tuple[str, str],
    after: timedelta = timedelta(minutes=2),
) -> None:
    """Let runs end as soon as they are made, as Kubeflow 2.17 tells of it: without a word of why."""
    create = fake._create_runs

    def create_ended(thing: Any) -> Any:
        run = create(thing)
        fake.end_run(run, "FAILED", after)
        run.run_details.task_details = [
            api.V2beta1PipelineTaskDetail(display_name=name, state=state, error=None) for name, state in tasks
        ]
        runs = RunLedger(FolderStore(workspace / "blobs"))
        runs.note_step_started(run.run_id, "train", "retrain-all")
        if after < timedelta(hours=1):
            runs.note_step_ended(run.run_id, "train", "failed", 1.0, "3 stores could not be trained.")
        return run

    patch.setattr(fake, "_create_runs", create_ended)


def test_why_a_run_failed_is_read_from_its_record(
    fake: Fake, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_once(
        fake, tmp_path, monkeypatch, ("report", "SUCCEEDED"), ("train", "FAILED"), ("exit-handler-1", "FAILED")
    )
    command = ("submit", "retrain-all", "--history", SALES, "--package", str(packages / "retrain-all.yaml"))
    monkeypatch.setenv("FOREACT_RUN_URL", "https://kubeflow.example/#/runs/details/{run}")
    monkeypatch.setenv("FOREACT_WORKSPACE", str(tmp_path))
    result = foreact(*command)
    page = f"https://kubeflow.example/#/runs/details/{fake.kept('runs')[0].run_id}"
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"foreact: Train: 3 stores could not be trained. ({page})"
    monkeypatch.setenv("FOREACT_WORKSPACE", str(tmp_path / "elsewhere"))
    hint, sentence = foreact(*command).stderr.splitlines()[-2:]
    assert "FOREACT_BLOB_URL names the container" in hint
    assert sentence.startswith("foreact: Train failed. (https://kubeflow.example/")
    monkeypatch.setenv("FOREACT_BLOB_URL", "https://elsewhere.example/c")
    hint, sentence = foreact(*command).stderr.splitlines()[-2:]
    assert "cannot be read. 'https://elsewhere.example/c' is not the address of a container" in hint
    assert sentence.startswith("foreact: Train failed. (")


def test_a_run_over_its_deadline_says_so(
    fake: Fake, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_once(fake, tmp_path, monkeypatch, ("train", "FAILED"), after=timedelta(hours=4))
    monkeypatch.setenv("FOREACT_WORKSPACE", str(tmp_path))
    result = foreact("submit", "retrain-all", "--history", SALES, "--package", str(packages / "retrain-all.yaml"))
    assert result.exit_code == 1
    assert "The run was stopped at its deadline, 4 hours after its start." in result.stderr.splitlines()[-1]


def test_not_ended_in_time(packages: Path) -> None:
    result = foreact(
        "submit", "retrain-all", "--history", SALES, "--package", str(packages / "retrain-all.yaml"),
        "--timeout", "0.001",
    )  # fmt: skip
    assert result.exit_code == 4
    assert "it goes on" in result.stderr


def test_whoever_stops_following_is_told_that_the_run_goes_on(
    fake: Fake, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "watch_run", interrupted)
    result = foreact("submit", "retrain-all", "--history", SALES, "--package", str(packages / "retrain-all.yaml"))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Stopped following; the run goes on.")
    assert [run.state for run in fake.kept("runs")] == ["PENDING"]


def test_a_path_on_this_machine_is_refused(store_package: str) -> None:
    with pytest.raises(ForeactError, match="is a path on this machine; the cluster's pods read from Blob"):
        foreact("submit", "retrain-store", "--store", "1", "--history", "sales.csv", "--package", store_package)


def test_a_parameter_that_is_no_json() -> None:
    with pytest.raises(ForeactError, match="--parameter takes NAME=JSON"):
        foreact("submit", "retrain-store", "--store", "1", "--history", SALES, "--parameter", "a=b")


def schedule(packages: Path, *arguments: str) -> Result:
    return foreact("schedule", "apply", "--history", SALES, "--packages", str(packages), *arguments)


def test_schedules_come_and_go(fake: Fake, packages: Path) -> None:
    plan = schedule(packages, "--dry-run")
    assert plan.stdout.splitlines() == ["nightly: create (new)", "nightly: enable the new one (ready)"]
    assert fake.mutations == 0
    assert "In force: 1 schedule." in schedule(packages).stderr
    assert "Nothing to do" in schedule(packages, "--dry-run").stderr
    listed = foreact("schedule", "list").stdout
    assert listed.startswith("nightly              0 30 3 * * * Europe/Berlin, next 20")
    row: dict[str, Any] = json.loads(foreact("schedule", "list", "--json").stdout)
    assert (row["name"], row["enabled"], row["running"]) == ("nightly", True, False)
    assert "disable" in foreact("schedule", "pause", "nightly").stdout
    assert "paused" in foreact("schedule", "list").stdout
    (ours,) = fake.kept("recurring_runs")
    assert ours.runtime_config.parameters == {"history": SALES}


def test_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREACT_KFP_CONNECT_SECONDS", "soon")
    with pytest.raises(ForeactError, match="FOREACT_KFP_CONNECT_SECONDS: Input should be a valid number"):
        foreact("schedule", "list")
