"""The steps of the chain, run in this process one after the other."""

import inspect
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from components.declaring import get_function
from components.report.component import report
from foreact.blobs import connect
from foreact.context import RunContext
from foreact.errors import ForeactError, ServiceUnavailable
from foreact.runs.defaults import LEFT_OUT
from foreact.runs.ledger import RunLedger
from foreact.settings import PipelineSettings
from foreact.steps import REPORT, STEPS, Step
from pipelines.chain import run_steps

log = logging.getLogger(__name__)
Result = TypeVar("Result")

# The pause before a step is tried again, twice as long each time.
PAUSE_SECONDS = 10.0


@dataclass
class Output:
    """Where a step writes one of its outputs, and the figures that it gives with it."""

    path: str
    figures: dict[str, float] = field(default_factory=dict)

    def log_metric(self, name: str, value: float) -> None:
        """Keep a figure."""
        self.figures[name] = value


@dataclass(frozen=True)
class Done:
    """A step that ended well: what it returned, and its outputs by name."""

    output: Any
    outputs: dict[str, Output]


@dataclass
class StepsHere:
    """Runs each step when it is called, and again where a service did not answer."""

    folder: Path
    pause: float = PAUSE_SECONDS
    done: dict[str, Done] = field(default_factory=dict)

    def __call__(self, step: Step, component: Any, **inputs: Any) -> Done:
        """Run a step."""
        function = get_function(component)
        folder = self.folder / step.name
        outputs = {
            name: Output(str(folder / name))
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in inputs and parameter.default is parameter.empty
        }

        def run_once() -> Done:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            return Done(function(**inputs, **outputs), outputs)

        self.done[step.name] = try_again(run_once, step.retries, self.pause)
        return self.done[step.name]


def try_again(work: Callable[[], Result], retries: int, pause: float = PAUSE_SECONDS) -> Result:
    """Return what the work returns; where a service did not answer, it is done again after a pause."""
    for attempt in range(retries):
        try:
            return work()
        except ServiceUnavailable as error:
            log.warning("it is tried again: %s", error)
            time.sleep(pause * 2**attempt)
    return work()


def run_in_one_pod(
    parameters: Mapping[str, Any],
    pages: Mapping[str, str],
    log_metric: Callable[[str, float], None],
    *,
    run: str,
) -> None:
    """Run all steps and report the run's end; `pages` says where to copy which output."""
    context = RunContext.read()
    replace(context, run=context.run or run).enter()
    with tempfile.TemporaryDirectory() as scratch, _stoppable():
        steps = StepsHere(Path(scratch))
        try:
            complete = try_again(partial(complete_parameters, parameters), STEPS["ingest"].retries)
            run_steps(steps, complete, RunContext.read().run)
        except BaseException as error:
            message = "" if isinstance(error, SystemExit) else str(error)
            _report_end("FAILED", message, str(parameters["store"]), steps.folder)
            raise
        _report_end("SUCCEEDED", "", str(parameters["store"]), steps.folder)
        for name, target in pages.items():
            for source in steps.folder.glob(f"*/{name}"):
                _copy_output(source, Path(target))
        for step, done in steps.done.items():
            for output in done.outputs.values():
                for name, value in output.figures.items():
                    log_metric(f"{step}_{name}", value)


def complete_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters, with what the last retrain-all had in place of what is left out.

    A store that is forecast from less than the night had would be forecast worse.
    """
    settings = PipelineSettings()
    last = RunLedger(connect(settings)).read_history().last_parameters.get("retrain-all", {})
    if settings.blob_url and "://" not in str(last.get("history")):
        # A run on somebody's own machine, whose files are not here.
        last = {}
    taken = {
        name: last[name]
        for name, left_out in LEFT_OUT.items()
        if name in last and parameters[name] == left_out != last[name]
    }
    if not parameters["history"] and "history" not in taken:
        raise ForeactError("No history is given, and no retrain-all has ended well whose history could be taken.")
    if taken:
        log.info("as in the last retrain-all: %s", ", ".join(f"{name} {value}" for name, value in taken.items()))
    return {**parameters, **taken}


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let a pod that is stopped report so."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report_end(state: str, message: str, store: str, folder: Path) -> None:
    """Report the end; what goes wrong with that changes nothing about how the run ended."""
    context = RunContext.read()
    status = SimpleNamespace(
        state=state, pipeline_job_resource_name=context.run, pipeline_task_name="", error_message=message
    )
    overview = Output(str(folder / REPORT.name / "overview"))
    Path(overview.path).parent.mkdir()
    try:
        get_function(report)(status=status, overview=overview, pipeline=context.pipeline, store=store)
    except Exception:
        log.exception("the run's end could not be reported")


def _copy_output(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
