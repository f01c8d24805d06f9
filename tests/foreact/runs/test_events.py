"""What a step that fails leaves for the cluster that runs it."""

from pathlib import Path

import pytest

from foreact.errors import ForeactError, ServiceUnavailable
from foreact.runs import events
from foreact.runs.events import FINAL, Events


@pytest.fixture
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that Kubernetes puts into a container, and who fails more than once writes over it."""
    path = tmp_path / "termination-log"
    path.write_text("what was there is longer than what comes after it, whatever that is in the end")
    monkeypatch.setattr(events, "TERMINATION_LOG", path)
    return path


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(ForeactError("Rows are bad."), f"{FINAL}: Rows are bad.", id="data that is refused"),
        pytest.param(ServiceUnavailable("MLflow is away."), "MLflow is away.", id="a service that is away"),
        pytest.param(ValueError("odd\nmore"), "odd", id="an error of ours"),
        pytest.param(SystemExit(143), "it was stopped", id="a stop"),
    ],
)
def test_a_failed_step_says_why_and_whether_again(termination_log: Path, error: BaseException, told: str) -> None:
    with pytest.raises(type(error)), Events().step("ingest"):
        raise error
    assert termination_log.read_text() == told


def test_a_long_reason_is_cut(termination_log: Path) -> None:
    with pytest.raises(ForeactError), Events().step("ingest"):
        raise ForeactError("ü" * 5000)
    assert termination_log.stat().st_size == 4096


def test_nothing_is_made_where_no_cluster_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "TERMINATION_LOG", tmp_path / "termination-log")
    with pytest.raises(ForeactError), Events().step("ingest"):
        raise ForeactError("Rows are bad.")
    assert not (tmp_path / "termination-log").exists()
