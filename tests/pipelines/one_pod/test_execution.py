"""One store's steps in one pod: as Kubeflow's executor runs them, and what their record says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import local

from foreact.blobs import connect
from foreact.errors import ForeactError, ServiceUnavailable
from foreact.publications import Reader
from foreact.runs.defaults import LEFT_OUT
from foreact.runs.ledger import RunLedger, RunRecord
from foreact.settings import PipelineSettings
from foreact.steps import STEPS
from pipelines.graph import build_pipeline
from pipelines.one_pod.execution import StepsHere, complete_parameters
from tests.shops import days, write_rows

RUN = "0a1b2c3d"
Pod = Callable[..., tuple[Path, RunRecord]]


def note_night(parameters: dict[str, Any]) -> None:
    runs = RunLedger(connect(PipelineSettings()))
    runs.note_parameters("night", parameters)
    runs.note_end("night", "succeeded", pipeline="retrain-all")


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    """Run the one task of a store by kfp's own executor; gives its outputs and the run's record."""
    rows = [(day, "S", item, 5 + day.weekday()) for day in days(200) for item in ("a", "b")]
    history = str(write_rows(tmp_path / "sales.csv", rows))
    place = {"FOREACT_WORKSPACE": str(tmp_path / "place"), "FOREACT_RUN_ID": RUN, "FOREACT_PIPELINE": "retrain-store"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    note_night({"history": history, "horizon": 7, "quantiles": "p40"})

    def run(**parameters: Any) -> tuple[Path, RunRecord]:
        pipeline = build_pipeline("retrain-store", in_one_pod=True)
        local.init(
            runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=False
        )
        with monkeypatch.context() as task:
            task.setenv("_KFP_RUNTIME", "true")
            pipeline(train_cpu="1", train_memory="4Gi", **parameters)
        record = RunLedger(connect(PipelineSettings())).read_history().find_run(RUN)
        assert record is not None
        (outputs,) = (tmp_path / "root").glob("*/retrain-in-one-pod")
        return outputs, record

    return run


@pytest.mark.filterwarnings("ignore:.*non-Python base image", "ignore:.*no effect in the current local runner")
def test_its_steps_stay_visible_and_its_pages_are_kept(pod: Pod) -> None:
    outputs, record = pod(store="S")
    assert list(record.steps) == list(STEPS)
    assert {step.state for step in record.steps.values()} == {"succeeded"}
    assert (record.state, record.store, record.pipeline) == ("succeeded", "S", "retrain-store")
    assert record.ended_at is not None
    # Read and published as the night did, which nobody had to say again.
    manifest = Reader(connect(PipelineSettings())).read_current().manifest
    assert list(manifest.stores) == ["S"]
    assert (manifest.stores["S"].horizon, "p40" in manifest.stores["S"].quantiles) == (7, True)
    for page in ("data_checks", "backtest", "gate", "published"):
        assert (outputs / page).stat().st_size > 100
    assert '"train_wape"' in (outputs / "executor_output.json").read_text()


@pytest.mark.filterwarnings("ignore:.*non-Python base image", "ignore:.*no effect in the current local runner")
def test_a_failure_ends_its_record_with_the_sentence_of_its_step(pod: Pod) -> None:
    _, record = pod(store="nowhere")
    assert (record.state, record.failed_step) == ("failed", "ingest")
    assert "'nowhere'" in record.sentence
    assert "publish" not in record.steps


def test_a_step_is_tried_again_where_a_service_did_not_answer(tmp_path: Path) -> None:
    tried = []

    def ingest(store: str, answer: Any) -> str:
        tried.append(Path(answer.path).exists())
        Path(answer.path).write_text(store)
        if len(tried) < 3:
            raise ServiceUnavailable("The store does not answer.")
        answer.log_metric("files", 2)
        return "found"

    steps = StepsHere(tmp_path, pause=0)
    done = steps(STEPS["ingest"], ingest, store="S")
    assert (done.output, done.outputs["answer"].figures) == ("found", {"files": 2})
    # Nothing of an earlier try is in its way.
    assert tried == [False] * 3


def test_what_was_refused_is_not_tried_again(tmp_path: Path) -> None:
    tried = []

    def ingest(store: str) -> None:
        tried.append(store)
        raise ForeactError("The history is empty.")

    with pytest.raises(ForeactError, match="empty"):
        StepsHere(tmp_path, pause=0)(STEPS["ingest"], ingest, store="S")
    assert tried == ["S"]


def test_what_is_given_goes_before_what_the_night_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREACT_WORKSPACE", str(tmp_path))
    with pytest.raises(ForeactError, match="no retrain-all has ended well"):
        complete_parameters(LEFT_OUT)
    assert complete_parameters({**LEFT_OUT, "history": "mine"})["history"] == "mine"
    note_night({"history": "theirs", "known": ["offers"], "horizon": 7})
    given = {**LEFT_OUT, "history": "mine", "horizon": 9, "store": "S"}
    assert complete_parameters(given) == {**given, "known": ["offers"]}
