"""`foreact run`: a pipeline on this machine, followed to its end."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.options import Workspace
from commands.parameters import (
    Judging,
    Learning,
    Publishing,
    Reading,
    Store,
    Tables,
    read_parameters,
    require_experts,
    spread_options,
)
from commands.progress import follow_run
from commands.stopping import stop_with_sentence
from foreact.blobs import BlobNotFound, connect
from foreact.clock import utc_now
from foreact.errors import ForeactError
from foreact.publications.contract import CURRENT
from foreact.runs.defaults import LEFT_OUT
from foreact.runs.process import STOP_SECONDS
from foreact.settings import PipelineSettings

# A blob store that restarts is back by then.
REACH_SECONDS = 30.0

run_app = typer.Typer(
    no_args_is_help=True, help="Run a pipeline on this machine, all steps, and publish what it makes."
)

History = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="Sales: a CSV or Parquet file, a folder, a glob or a Blob prefix; one row a date, store and item. "
        "Left out: the data of the workspace's last retrain-all.",
        show_default=False,
    ),
]


def _parse_run_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f-]{8,64}", text):
        raise ForeactError(f"--run-id {text!r} must be 8 to 64 digits, letters a to f and hyphens.")
    return text


@run_app.command("retrain-all")
@spread_options
def retrain_all(
    *,
    history: History = None,
    tables: Tables,
    reading: Reading,
    learning: Learning,
    publishing: Publishing,
    judging: Judging,
    workspace: Workspace,
) -> None:
    """Retrain every store and publish the forecasts of the models that pass the gate."""
    run_pipeline("retrain-all", read_parameters(history, tables, reading, learning, publishing, judging), workspace)


@run_app.command("retrain-store")
@spread_options
def retrain_store(
    *,
    store: Store,
    history: History = None,
    tables: Tables,
    reading: Reading,
    learning: Learning,
    publishing: Publishing,
    judging: Judging,
    run_id: Annotated[
        str | None,
        typer.Option(hidden=True, parser=_parse_run_id, help="The run's name, for a program that follows its events"),
    ] = None,
    workspace: Workspace,
) -> None:
    """Retrain one store; every other store's forecasts stay as they are, byte for byte."""
    options = read_parameters(history, tables, reading, learning, publishing, judging)
    run_pipeline("retrain-store", {"store": store, **options}, workspace, run_id)


@run_app.command("reforecast")
def reforecast(workspace: Workspace) -> None:
    """Forecast anew, without training, the stores that no run has published for the deadline, also once it has passed.

    By the models published last, from the newest sales, as the last retrain-all read them. It needs no Kubeflow, no Ray
    and no MLflow; fresh stores stay as they are.
    """
    from pipelines.reforecast import list_due
    from serving.settings import ServingSettings

    settings = ServingSettings(workspace=workspace)
    if not list_due(settings, settings.promise, utc_now()):
        typer.echo("Every store is fresh: nothing was done.")
        return
    run_pipeline("reforecast", {}, workspace)


def run_pipeline(pipeline: str, parameters: dict[str, Any], workspace: Path, run_id: str | None = None) -> None:
    """Run a pipeline in a process of its own, show its progress, and raise if it fails."""
    from foreact.runs.workspace import Request, Run, WorkspaceRuns
    from pipelines.local import report_killed

    # A wrong setting is reported at once, not by the first step.
    settings = PipelineSettings(workspace=workspace.absolute())
    try:
        runs = WorkspaceRuns(workspace.resolve())
        # A store that is forecast from less than all stores were would be forecast worse.
        last = runs.read_last_request()
        if pipeline != "reforecast" and ("history" not in parameters or pipeline == "retrain-store"):
            if last is None and "history" not in parameters:
                raise ForeactError("No --history is given, and this workspace has no retrain-all to take it from.")
            known = last.parameters if last else {}
            parameters = {**{name: known[name] for name in LEFT_OUT if name in known}, **parameters}
        require_experts(parameters)
        _check_publications_reachable(settings)
        run: Run = runs.create_run(Request(pipeline=pipeline, parameters=parameters), run_id)
    except OSError as error:
        raise ForeactError(f"The workspace {str(workspace)!r} cannot be written: {error.strerror}.") from None
    process = _launch_run(run.folder, run.log, workspace)
    with stop_with_sentence("Stopped; what was published stays as it was."):
        try:
            succeeded = follow_run(run, process)
        finally:
            _stop_run(process)
            runs.delete_old_runs()
    if process.returncode < 0:
        # If only the run's own process was killed, its task still works and its end is not reported.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        report_killed(run, settings, "the run ended unexpectedly")
    if not succeeded:
        raise ForeactError(_explain_failure(run))
    if pipeline == "retrain-all":
        runs.remember_request(run.request)


def _check_publications_reachable(settings: PipelineSettings) -> None:
    """Raise if the publications cannot be reached, because each step would wait until its own time is up first."""
    with suppress(BlobNotFound):
        connect(settings, patience=REACH_SECONDS).read(CURRENT)


def _launch_run(folder: Path, log: Path, workspace: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "FOREACT_WORKSPACE": str(workspace.resolve()), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.local", str(folder)],
            # The run ends when this pipe closes, so it never outlives the command that began it.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _stop_run(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def _explain_failure(run: Any) -> str:
    events, _ = run.read_events()
    # Refused data fails the step that reads it, but the user can fix what the checks reported.
    refused = [e for e in events if e.get("event") == "refused"]
    failed = [
        *refused,
        *[e for e in events if e.get("event") == "step" and e.get("state") == "failed" and e["step"] != "run"],
    ]
    if failed:
        report = run.reports / f"{failed[0]['step']}.html"
        return f"{failed[0]['sentence']} (step {failed[0]['step']}; see {report if report.exists() else run.log})"
    started = [
        e["step"] for e in events if e.get("event") == "step" and e.get("state") == "started" and e["step"] != "run"
    ]
    return f"The run ended unexpectedly in step {started[-1] if started else 'start'}: see {run.log}."
