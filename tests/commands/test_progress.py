"""What a person sees of a run while it works."""

import io
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from commands.progress import follow_run
from foreact.runs.events import Events
from foreact.runs.workspace import Request, Run, WorkspaceRuns
from tests.commands.conftest import Chain, command


def run_that_told_everything(workspace: Path) -> Run:
    """Return a run with an event of every kind."""
    run = WorkspaceRuns(workspace).create_run(Request(pipeline="retrain-all"))
    events = Events(run.events)
    with events.step("run"):
        with events.step("ingest"):
            events.progress("ingest", 1, 2, "Kiel")
            events.progress("ingest", 2, 2, "Ulm [Donau]\n\x1b[31m" + "!" * 300)
        events.figures("ingest", {"rows": 3.0})
        with events.step("validate"):
            events.emit("refused", step="validate", sentence="The data breaks a rule.")
        with events.step("publish"):
            events.note("publish", "Version 1: 2 of [2] stores published")
        with pytest.raises(ValueError, match="boom"), events.step("report"):
            raise ValueError("boom")
    return run


def ended() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(["true"])
    process.wait()
    return process


def shown(run: Run, *, terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=80)
    assert follow_run(run, ended(), console)
    text = output.getvalue()
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


def test_a_terminal_shows_a_bar_a_step_in_one_line(tmp_path: Path) -> None:
    text = shown(run_that_told_everything(tmp_path), terminal=True)
    assert "publish   Version 1: 2 of [2] stores published" in text
    last = text.split("\r")[-1].rstrip().splitlines()
    assert [line.split()[0] for line in last] == ["ingest", "validate", "publish", "report"]
    assert all(re.search(r"\d:\d\d:\d\d", line) and len(line) <= 80 for line in last)
    assert "2/2" in last[0]
    assert "Ulm [Donau]  [31m!!" in last[0]
    assert "failed" in last[-1]


def test_a_log_has_a_line_for_what_ended(tmp_path: Path) -> None:
    lines = shown(run_that_told_everything(tmp_path), terminal=False).splitlines()
    told = [re.sub(r"[\d.]+ s$", "N s", line) for line in lines]
    assert told == [
        "ingest    succeeded after N s",
        "validate  succeeded after N s",
        "publish   Version 1: 2 of [2] stores published",
        "publish   succeeded after N s",
        "report    failed after N s",
    ]


@pytest.mark.slow
def test_a_whole_run_on_a_terminal(one_store: Chain) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("run", "retrain-all", *one_store.inputs, "--workspace", str(one_store.workspace)),
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    printed = bytearray()
    while True:
        try:
            printed += os.read(ours, 65536)
        except OSError:
            # A terminal that nobody writes to any more.
            break
    os.close(ours)
    assert process.wait() == 0, printed[-2000:].decode()
    for step in ("ingest", "validate", "train", "register", "publish"):
        assert f"{step:<9} ".encode() in printed
