"""What the events of a run say, and what a step that fails leaves for the cluster that runs it."""

import errno
import json
from pathlib import Path

import pytest

from foreact.blobs.protocol import BlobNotFound
from foreact.errors import ForeactError, ServiceUnavailable
from foreact.runs import events
from foreact.runs.events import FINAL, Events


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    with pytest.raises(OSError, match="No space"), events.step("train"):
        raise OSError(errno.ENOSPC, "No space left on device", "dataset/part.parquet")
    last = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert (last["state"], last["sentence"]) == ("failed", "The disk is full: free space and run again.")


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
        pytest.param(BlobNotFound("It is gone."), "It is gone.", id="a stale answer of the blob store"),
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
