"""Refreshes on this machine: each a run in its own process, which outlives this one."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from foreact.blobs.records import parse_or_skip
from foreact.context import RunContext
from foreact.errors import ForeactError
from foreact.kubeflow.states import FAILED, SUCCEEDED
from foreact.kubeflow.verdict import Outcome
from foreact.runs.ledger import RunRecord
from foreact.runs.workspace import WorkspaceRuns
from serving.refreshes.records import Process, Refresh, Step
from serving.refreshes.runner import Progress

# The output of so many failed runs is kept.
MOST_OUTPUTS = 20
# Makes the command line of a refresh's run.
Command = Callable[[Refresh], list[str]]


class EmbeddedRunner:
    """Runs refreshes in the workspace that this service reads."""

    interval = 0.25

    def __init__(self, workspace: Path, command: Command, parallel: int = 1) -> None:
        self.parallel = parallel
        self._workspace = workspace.absolute()
        self._command = command
        self._runs = WorkspaceRuns(self._workspace)
        self._folder = self._workspace / "serving" / "refreshes"
        self._host = socket.gethostname()

    def check(self) -> str | None:
        """Return why no refresh can run here; None if one can."""
        try:
            if self._runs.read_last_request() is not None:
                return None
        except ForeactError as problem:
            return str(problem).rstrip(".")
        return "no retrain-all has run in this workspace, so the location of the sales data is unknown"

    def start(self, refresh: Refresh) -> Refresh:
        """Start a process in a session of its own."""
        known = self._find_started(refresh)
        if known is not None:
            return refresh.model_copy(update={"run": refresh.id, "process": known})
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "FOREACT_WORKSPACE": str(self._workspace),
            **RunContext(request_id=refresh.request_id, traceparent=refresh.traceparent).to_environment(),
        }
        try:
            with self._path_of(refresh, "txt").open("wb") as output:
                process = subprocess.Popen(
                    self._command(refresh),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise ForeactError(f"the run could not be started: {error.strerror}") from None
        # Waits for the process, so that it does not remain as a zombie after its end.
        threading.Thread(target=process.wait, name=f"run {refresh.id}", daemon=True).start()
        started = Process(host=self._host, pid=process.pid, started=_process_start(process.pid) or "")
        try:
            self._path_of(refresh, "json").write_text(started.model_dump_json(), encoding="utf-8")
        except OSError as error:
            # Without its record nobody could follow it, and it would be started again.
            os.killpg(process.pid, signal.SIGKILL)
            raise ForeactError(f"the run could not be recorded: {error.strerror}") from None
        return refresh.model_copy(update={"run": refresh.id, "process": started})

    def observe(self, refresh: Refresh) -> Progress:
        """Return the run's progress by its events, and by its process whether it died without a last one."""
        alive = self._is_alive(refresh.process)
        events, _ = self._runs.get_run(refresh.id).read_events()
        steps, failed, sentence = _make_steps(events, refresh.started_at or refresh.requested_at)
        ended = _find_end(events)
        if alive or alive is None:
            return Progress("running", steps)
        if ended == "succeeded":
            return Progress("succeeded", steps)
        steps = tuple(s.model_copy(update={"state": "failed"}) if s.state == "running" else s for s in steps)
        failed = failed or next((step.name for step in reversed(steps) if step.state == "failed"), None)
        sentence = sentence or self._read_error(refresh) or "the run ended unexpectedly"
        return Progress("failed", steps, failed or "start", sentence)

    def stop(self, refresh: Refresh) -> None:
        """End the process, and with it the run."""
        process = refresh.process
        if process is not None and self._is_alive(process):
            os.killpg(process.pid, signal.SIGTERM)

    def find_end(self, record: RunRecord) -> Outcome | None:
        """Return how a run of this workspace ended, which it could not record while the blob store was away."""
        events, _ = self._runs.get_run(record.id).read_events()
        ended = _find_end(events)
        if ended is None:
            return None
        _, failed, sentence = _make_steps(events, record.started_at)
        state = SUCCEEDED if ended == "succeeded" else FAILED
        return Outcome(state, failed or "", message=sentence or "the run ended unexpectedly")

    def forget(self, refresh: Refresh) -> None:
        """Delete the record of the process, and outputs except those of the latest failed runs."""
        self._path_of(refresh, "json").unlink(missing_ok=True)
        outputs = sorted(self._folder.glob("*.txt"))
        for path in outputs[:-MOST_OUTPUTS]:
            path.unlink(missing_ok=True)
        if refresh.state == "succeeded":
            self._path_of(refresh, "txt").unlink(missing_ok=True)

    def _path_of(self, refresh: Refresh, kind: str) -> Path:
        return self._folder / f"{refresh.id}.{kind}"

    def _find_started(self, refresh: Refresh) -> Process | None:
        """Return the process that was started for a refresh by a service process that has since ended."""
        path = self._path_of(refresh, "json")
        try:
            return parse_or_skip(Process, path.read_bytes(), str(path))
        except FileNotFoundError:
            return None

    def _read_error(self, refresh: Refresh) -> str | None:
        """Return the error message that the command ended with; None if it has none."""
        try:
            lines = self._path_of(refresh, "txt").read_text("utf-8", "replace").splitlines()
        except OSError:
            return None
        messages = [line.removeprefix("foreact: ") for line in lines if line.startswith("foreact: ")]
        return messages[-1][:500] if messages else None

    def _is_alive(self, process: Process | None) -> bool | None:
        """Return whether a process still runs; None for one of another machine."""
        if process is None:
            return False
        if process.host != self._host:
            return None
        return _process_start(process.pid) == process.started


def _process_start(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks; None if it does not exist or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _find_end(events: list[dict[str, Any]]) -> str | None:
    """Return how a run ended by its own word; None if it has said nothing of it."""
    return next((e["state"] for e in events if e.get("step") == "run" and e.get("state") != "started"), None)


def _make_steps(events: list[dict[str, Any]], begun: datetime) -> tuple[tuple[Step, ...], str | None, str | None]:
    """Return the steps that events describe, each with the time since the one before ended; what failed, and why."""
    steps: dict[str, Step] = {}
    failed = sentence = None
    before = begun.timestamp()
    for event in events:
        name = str(event.get("step", ""))
        if not name or name == "run":
            continue
        if event["event"] == "progress" and name in steps:
            progress = {key: event.get(key) for key in ("done", "total")}
            steps[name] = steps[name].model_copy(update={**progress, "detail": str(event.get("detail", ""))[:200]})
        elif event["event"] == "step":
            state = "running" if event["state"] == "started" else event["state"]
            known = steps.get(name) or Step(name=name, state="running")
            seconds = round(max(0.0, (time.time() if state == "running" else event["at"]) - before), 1)
            steps[name] = known.model_copy(update={"state": state, "seconds": seconds})
            if state != "running":
                before = event["at"]
            if state == "failed" and failed is None:
                failed, sentence = name, str(event.get("sentence", ""))[:500]
    return tuple(steps.values()), failed, sentence
