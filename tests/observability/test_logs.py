"""Log lines of steps and of the service, as a collector gets them."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.runs.ledger import RunLedger
from foreact.telemetry import tracing
from foreact.telemetry.lines import JsonLines, Text

CODE = (
    "import logging; from foreact.runs.process import configure_task; configure_task(); "
    "logging.getLogger('foreact').info('a\\nline')"
)


def test_a_steps_lines_carry_run_store_and_request(tmp_path: Path) -> None:
    place = {"FOREACT_WORKSPACE": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    whose = {"FOREACT_RUN_ID": "r1", "FOREACT_STORE": "Bonn", "FOREACT_REQUEST_ID": "abc", "FOREACT_PIPELINE": "p"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**place, **whose}, capture_output=True, text=True, check=True
    )
    [line] = done.stderr.splitlines()
    told = json.loads(line)
    assert (told["run"], told["store"], told["request_id"], told["pipeline"]) == ("r1", "Bonn", "abc", "p")
    assert (told["level"], told["message"]) == ("info", "a\nline")


def test_a_step_that_is_given_the_runs_store_says_so(tmp_path: Path) -> None:
    place = {"FOREACT_WORKSPACE": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    code = CODE.replace("configure_task()", "configure_task('Bonn')")
    done = subprocess.run([sys.executable, "-c", code], env=place, capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["store"] == "Bonn"


def test_a_step_on_kubeflow_takes_the_request_from_the_runs_record(tmp_path: Path) -> None:
    runs = RunLedger(FolderStore(tmp_path / "blobs"))
    runs.note_request("r1", "retrain-store", "Bonn", "abc", f"00-{'ab' * 16}-{'cd' * 8}-01")
    place = {"FOREACT_WORKSPACE": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1", "FOREACT_RUN_ID": "r1"}
    code = f"{CODE}; import os; print(os.environ['TRACEPARENT'])"
    done = subprocess.run([sys.executable, "-c", code], env=place, capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["request_id"] == "abc"
    assert done.stdout.strip() == f"00-{'ab' * 16}-{'cd' * 8}-01"


def test_lines_name_what_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREACT_RUN_ID", "r1")
    with tracing.log_context(store="Bonn"):
        assert tracing.current_log_context() == {"run": "r1", "store": "Bonn"}
    assert tracing.current_log_context() == {"run": "r1"}


def test_log_lines_are_one_line_whatever_they_hold() -> None:
    record = logging.makeLogRecord({"msg": 'x\n{"level": "fake"}', "request_id": "a\r\nb", "levelname": "INFO"})
    record.color_message = "\x1b[36mx"
    line = JsonLines().format(record)
    assert "color" not in line
    assert "\n" not in line
    assert json.loads(line)["request_id"] == "a\r\nb"
    assert "\n" not in Text().format(record)
    assert "\x1b" not in Text().format(logging.makeLogRecord({"msg": "\x1b[31mred"}))
