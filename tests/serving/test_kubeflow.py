"""Refreshes on Kubeflow Pipelines, against a fake of its API that holds the real client's models."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kfp_server_api as api
import pytest

from foreact.errors import ForeactError
from pipelines.compiling import FOLDER
from serving.refreshes.kubeflow import KubeflowRunner
from serving.refreshes.records import Refresh
from serving.settings import ServingSettings
from tests.pipelines.cluster.fake import Fake, serving

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def fake() -> Fake:
    return Fake(token="secret")


@pytest.fixture
def runner(fake: Fake, tmp_path: Path) -> Iterator[KubeflowRunner]:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with serving(fake) as host:
        runner = KubeflowRunner.of(
            ServingSettings(
                kfp_host=host,
                kfp_token_file=str(token),
                refresh_package=str(FOLDER / "retrain-store.yaml"),
                refresh_arguments='{"history": "https://a.blob.core.windows.net/sales/"}',
            )
        )
        yield runner
        runner.close()


@pytest.fixture
def refresh() -> Refresh:
    return Refresh(id="0a1b", store="S 1", state="queued", requested_at=AT, requested_by="anna")


def test_a_refresh_is_a_run_of_the_compiled_pipeline(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    started = runner.start(refresh)
    (run,) = fake.kept("runs")
    assert (started.run, run.display_name) == (run.run_id, f"foreact-refresh-{refresh.id}")
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


def task(name: str, state: str, **others: Any) -> Any:
    return api.V2beta1PipelineTaskDetail(display_name=name, state=state, create_time=AT, start_time=AT, **others)


def test_how_far_it_is(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    started = runner.start(refresh)
    run = fake.kept("runs")[0]
    assert runner.observe(started).state == "running"
    run.state = "RUNNING"
    run.run_details.task_details = [
        task("root", "RUNNING"),
        task("ingest-driver", "SUCCEEDED"),
        task("ingest", "SUCCEEDED", end_time=AT.replace(second=30)),
        task("train", "RUNNING", end_time=datetime(1970, 1, 1, tzinfo=UTC)),
    ]
    progress = runner.observe(started)
    assert [(s.name, s.state, s.seconds) for s in progress.steps] == [
        ("ingest", "succeeded", 30.0),
        ("train", "running", None),
    ]
    run.state = "SUCCEEDED"
    assert runner.observe(started).state == "succeeded"


def test_why_it_failed(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    started = runner.start(refresh)
    run = fake.kept("runs")[0]
    run.state = "FAILED"
    run.run_details.task_details = [
        task("validate", "FAILED", error=api.GoogleRpcStatus(message="3 rules are broken.\nmore"))
    ]
    progress = runner.observe(started)
    assert (progress.state, progress.failed_step, progress.sentence) == ("failed", "validate", "3 rules are broken.")


def test_a_run_can_be_ended(fake: Fake, runner: KubeflowRunner, refresh: Refresh) -> None:
    started = runner.start(refresh)
    runner.stop(started)
    assert fake.kept("runs")[0].state == "CANCELED"


def test_says_why_refreshes_cannot_run(fake: Fake, runner: KubeflowRunner) -> None:
    assert runner.check() is None
    fake.forbidden = True
    assert "Kubeflow Pipelines did not list experiments: User 'robot' is not authorized" in (runner.check() or "")
    fake.page = "<html>Log in</html>"
    assert "it answered 200 and no JSON" in (runner.check() or "")
    fake.dead, fake.page = True, ""
    assert "Kubeflow Pipelines does not answer" in (runner.check() or "")
