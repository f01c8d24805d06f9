"""A backtest that somebody stops."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.commands.conftest import command, halt_at, write_chain
from tests.waiting import until


@pytest.mark.slow
def test_a_stopped_evaluation_says_so_and_leaves_no_temporary_file(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chain, scratch = write_chain(tmp_path, stores=1, items=2), tmp_path / "scratch"
    scratch.mkdir()
    # Its training does not come to its end first.
    never_trained = halt_at("sklearn.ensemble", tmp_path_factory.mktemp("halt"))
    process = subprocess.Popen(
        command("evaluate", *chain.inputs, "--workspace", str(chain.workspace)),
        stderr=subprocess.PIPE,
        text=True,
        env={**never_trained, "TMPDIR": str(scratch)},
    )
    until(lambda: process.poll() or any('"step": "train"' in path.read_text() for path in scratch.glob("*/*.jsonl")))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    # Python itself ends by the signal where that came while it ran code made of text, as imports do.
    assert process.returncode in {130, -signal.SIGINT}, told
    assert told.splitlines()[-1] == "Stopped; the backtest is not complete."
    assert "Traceback" not in told
    assert list(scratch.iterdir()) == []
