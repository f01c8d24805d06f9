"""Run a pipeline on this machine: the same definition, each task a process of its own.

`python -m pipelines.local RUN_FOLDER` does what the folder's run.json asks and ends with exit code 0 or 1.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from foreact.blobs import connect
from foreact.clock import utc_now
from foreact.context import RunContext
from foreact.errors import ForeactError
from foreact.runs.ends import report_end
from foreact.runs.events import Events
from foreact.runs.process import PATIENCE_SECONDS, RUN_GROUP, end_with_command, machine_size
from foreact.runs.workspace import Run
from foreact.settings import PipelineSettings
from foreact.telemetry import tracing

# Tasks then import the executor alone: a tenth of a second instead of two.
RUNTIME_ONLY = "_KFP_RUNTIME"


# Outputs of steps that people read, and what they are.
REPORTS = {
    "data": ".md",
    "data_checks": ".html",
    "backtest": ".html",
    "gate": ".md",
    "published": ".md",
    "overview": ".html",
}
# How often deleting temporary files is tried: Ray's last processes may still write some.
TRIES, PAUSE_SECONDS = 20, 0.25
# Short: Ray keeps sockets there, and their names may not be long.
SCRATCH = "foreact-run-"


def execute_run(run: Run) -> None:
    """Run the request in a run's folder; its steps write their progress as events."""
    request = run.request
    requested = RunContext.read()
    replace(
        requested,
        run=run.id,
        pipeline=request.pipeline,
        store=str(request.parameters.get("store", "")),
        traceparent=tracing.current_traceparent() or requested.traceparent,
        events=str(run.events),
        code_version=requested.code_version or _code_version(),
    ).enter()
    if request.pipeline == "reforecast":
        _reforecast(run)
    else:
        _execute_pipeline(run)


def _reforecast(run: Run) -> None:
    from pipelines.reforecast import reforecast
    from serving.settings import ServingSettings

    settings = PipelineSettings()
    try:
        reforecast(ServingSettings().promise, utc_now())
    except BaseException as error:
        report_killed(run, settings, str(error))
        raise
    report_end(run.id, True, pipeline="reforecast", settings=settings, blobs=connect(settings))


def _execute_pipeline(run: Run) -> None:
    # No image runs here, so kfp's warning about its base does not matter.
    warnings.filterwarnings("ignore", message=".*non-Python base image.*")
    from kfp import local

    from pipelines.graph import build_pipeline

    request = run.request
    artifacts = run.folder / "artifacts"
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(artifacts),
        raise_on_error=True,
    )
    # On one machine an error comes again at once, and a person is waiting to read it.
    pipeline = build_pipeline(request.pipeline, retries=False)
    os.environ[RUNTIME_ONLY] = "true"
    cpu, memory = str(machine_size().cpus), str(machine_size().memory)
    whole = {"step_cpu": cpu, "step_memory": memory, "train_cpu": cpu, "train_memory": memory}
    try:
        pipeline(**{**whole, **request.parameters})
    finally:
        _copy_reports(artifacts, run)
        _delete_data(artifacts)


def _delete_scratch(folder: Path) -> None:
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(PAUSE_SECONDS)


@contextlib.contextmanager
def make_scratch() -> Iterator[Path]:
    """Yield a folder for temporary files that is deleted with the run, because kfp and Ray leave theirs behind."""
    for leftover in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        # Of a run that was killed outright; one that just begins has nothing in it yet, one that works holds its lock.
        with contextlib.suppress(OSError):
            if any(leftover.iterdir()):
                with _hold_lock(leftover):
                    shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH))
    with _hold_lock(folder):
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            _delete_scratch(folder)
            tempfile.tempdir = None
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


@contextlib.contextmanager
def _hold_lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _code_version() -> str:
    """Return the commit of a checkout, marked as dirty if something is not committed; else the release."""
    checkout = Path(__file__).parent.parent
    if (checkout / ".git").exists():
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()
    return version("foreact")


def _copy_reports(artifacts: Path, run: Run) -> None:
    """Copy the reports, with the file endings that browsers and editors know."""
    run.reports.mkdir(exist_ok=True)
    for name, ending in REPORTS.items():
        for path in artifacts.glob(f"*/*/{name}"):
            shutil.copyfile(path, run.reports / f"{path.parent.name}{ending}")


def _delete_data(artifacts: Path) -> None:
    """Delete large intermediate files: they are published or registered."""
    for folder in artifacts.rglob("trained/models"):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder.parent / "objects", ignore_errors=True)


def report_killed(run: Run, settings: PipelineSettings, sentence: str) -> None:
    """Report the end of a run whose last task could not."""
    request = run.request
    identity = {"pipeline": request.pipeline, "store": str(request.parameters.get("store", ""))}
    with contextlib.suppress(ForeactError, OSError):
        blobs = connect(settings, patience=PATIENCE_SECONDS)
        report_end(run.id, False, **identity, message=sentence, settings=settings, blobs=blobs, pause=0.5)


def main() -> None:
    """Run the folder named on the command line."""
    run = Run(Path(sys.argv[1]))
    if os.getpgrp() == os.getpid():
        os.environ[RUN_GROUP] = str(os.getpid())
    end_with_command()
    # A run that is stopped cleans up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    events = Events(run.events)
    tracing.start_exporting("foreact-pipeline")
    try:
        with make_scratch(), events.step("run"):
            execute_run(run)
    except SystemExit:
        report_killed(run, PipelineSettings(), "the run was stopped")
        raise
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
    finally:
        tracing.stop_exporting()


if __name__ == "__main__":
    main()
