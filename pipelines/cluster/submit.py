"""One run on Kubeflow Pipelines: submitted, found again by its name, watched to its end."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foreact.errors import ForeactError
from foreact.naming import encode
from pipelines.cluster.kubeflow import Kubeflow, Unreachable
from pipelines.cluster.package import Package
from pipelines.cluster.states import CANCELED, CANCELING, ENDED, FAILED, PENDING, SUCCEEDED

# A server that restarts is waited for this long before the watch is given up.
PATIENCE = 300.0
PAUSE = 5.0
# Kubeflow knows when a run was made to the second.
SETTLING = 1.5


@dataclass(frozen=True)
class Submitted:
    """A run that Kubeflow Pipelines has taken."""

    id: str
    name: str
    url: str
    version: str
    uploaded: bool
    # It was there already: an earlier attempt of the same name had got through.
    adopted: bool = False


@dataclass(frozen=True)
class Task:
    """One step of a run, as it is now."""

    title: str
    state: str


@dataclass(frozen=True)
class Outcome:
    """How a run ended, or that it has not; a sentence for what went wrong."""

    state: str
    sentence: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether everything went well."""
        return self.state == SUCCEEDED


def run_name(pipeline: str, store: str = "") -> str:
    """Name a run so that people see what it is and programs find it."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return "-".join(part for part in (pipeline, encode(store) if store else "", stamp, secrets.token_hex(3)) if part)


def submit(
    kubeflow: Kubeflow,
    package: Package,
    parameters: dict[str, Any],
    *,
    name: str,
    experiment: str,
    account: str,
    settling: float = SETTLING,
) -> Submitted:
    """Start a run, unless the experiment has one of that name already."""
    package.check(parameters)
    experiment_id = kubeflow.ensure_experiment(experiment)
    version, uploaded = kubeflow.ensure_version(package)
    run = kubeflow.find_run(name, experiment_id)
    adopted = run is not None
    if run is None:
        try:
            run = kubeflow.create_run(name, experiment_id, version, parameters, account)
        except Unreachable as problem:
            # The answer was lost; the run may be there.
            run, adopted = _look_again(kubeflow, name, experiment_id, problem), True
        else:
            time.sleep(settling)
            first = kubeflow.find_run(name, experiment_id) or run
            if first.run_id != run.run_id:
                # Somebody else was faster with the same name, and Kubeflow takes as many of one name as come.
                kubeflow.terminate_run(run.run_id)
                run, adopted = first, True
    return Submitted(
        id=run.run_id,
        name=name,
        url=f"{kubeflow.host}/#/runs/details/{run.run_id}",
        version=str(version.display_name),
        uploaded=uploaded,
        adopted=adopted,
    )


def _look_again(kubeflow: Kubeflow, name: str, experiment: str, problem: Unreachable) -> Any:
    try:
        run = kubeflow.find_run(name, experiment)
    except Unreachable:
        run = None
    if run is None:
        raise ForeactError(
            f"{problem} Whether the run was started is unknown: the same command with --name {name} finds it "
            "or starts it."
        ) from None
    return run


def watch(
    kubeflow: Kubeflow,
    run_id: str,
    titles: dict[str, str],
    show: Callable[[list[Task]], None],
    *,
    timeout: float,
    pause: float = PAUSE,
    patience: float = PATIENCE,
) -> Outcome:
    """Follow a run to its end, or until time is up."""
    began = heard = time.monotonic()
    state = PENDING
    while True:
        try:
            run = kubeflow.get_run(run_id)
        except Unreachable:
            # It goes on without us; a server that restarts comes back.
            if time.monotonic() - heard > patience:
                raise
        else:
            heard = time.monotonic()
            state = _state(run)
            tasks = tasks_of(run, titles)
            show(tasks)
            if state in ENDED:
                # Where the exit handler ended well, Kubeflow may call a run succeeded of which a step failed.
                if state == SUCCEEDED and any(task.state == FAILED for task in tasks):
                    state = FAILED
                return Outcome(state, "" if state == SUCCEEDED else why(run, titles))
        if time.monotonic() - began > timeout:
            return Outcome(state, f"The run has not ended after {timeout / 60:.0f} minutes; it goes on.")
        time.sleep(min(pause, max(0.0, timeout - (time.monotonic() - began) + 0.01)))


def _state(run: Any) -> str:
    # A run that somebody ended counts as failed in the end, for Kubeflow.
    if run.state == FAILED and any(past.state == CANCELING for past in run.state_history or []):
        return CANCELED
    return run.state or PENDING


def tasks_of(run: Any, titles: dict[str, str]) -> list[Task]:
    """Give the steps' states in the pipeline's order; drivers and groups of the engine are left out."""
    latest = _latest(run, titles)
    return [Task(title, latest[name].state if name in latest else PENDING) for name, title in titles.items()]


def why(run: Any, titles: dict[str, str]) -> str:
    """Say in a sentence what a run failed of."""
    if _state(run) == CANCELED:
        return "The run was cancelled."
    latest = _latest(run, titles)
    if failed := [name for name in titles if name in latest and latest[name].state == FAILED]:
        told = next((name for name in failed if latest[name].error and latest[name].error.message), None)
        return f"{titles[told]}: {_first_line(latest[told])}" if told else f"{titles[failed[0]]} failed."
    drivers = _latest(run, {f"{name}-driver": f"{title}-driver" for name, title in titles.items()})
    if held_up := [
        name for name in titles if f"{name}-driver" in drivers and drivers[f"{name}-driver"].state == FAILED
    ]:
        return f"{titles[held_up[0]]} could not be started."
    if run.error and run.error.message:
        return _first_line(run)
    if run.state == FAILED and not latest:
        return "No step could be started: is the service account there, and may it run pods?"
    return f"The run ended as {str(run.state).lower()}."


def _first_line(thing: Any) -> str:
    return str(thing.error.message).strip().splitlines()[0]


def _latest(run: Any, titles: dict[str, str]) -> dict[str, Any]:
    """Give the last try of each task by its name; Kubeflow lists them in no order, by name or title."""
    names = {shown: name for name, title in titles.items() for shown in (name, title)}
    details = (run.run_details.task_details or []) if run.run_details else []
    tried = [task for task in details if task.state and task.display_name in names]
    tried.sort(key=lambda task: task.start_time.timestamp() if task.start_time else 0.0)
    return {names[task.display_name]: task for task in tried}
