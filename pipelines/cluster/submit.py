"""One run on Kubeflow Pipelines: submitted, found again by its name, followed to its end."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foreact.errors import ForeactError
from foreact.kubeflow.api import Kubeflow, refer_to_version
from foreact.kubeflow.connection import Answer, Unreachable
from foreact.kubeflow.package import Package
from foreact.kubeflow.states import ENDED, PENDING
from foreact.kubeflow.verdict import Outcome, Task, judge_run, list_tasks
from foreact.naming import encode_id

# How long to wait for a server that restarts before giving up.
PATIENCE = 300.0
PAUSE = 5.0
# Kubeflow records when a run was made to the second only.
SETTLING = 1.5


@dataclass(frozen=True)
class SubmittedRun:
    """A run that Kubeflow Pipelines has accepted."""

    id: str
    name: str
    version: str
    uploaded: bool
    # It existed already: an earlier attempt with the same name had succeeded.
    adopted: bool = False


def make_run_name(pipeline: str, store: str = "") -> str:
    """Return a name that tells people what the run is and that programs can find it by."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return "-".join(part for part in (pipeline, encode_id(store) if store else "", stamp, secrets.token_hex(3)) if part)


def make_run_url(run_id: str, host: str, run_url: str = "") -> str:
    """Return the address of a run's page: as FOREACT_RUN_URL has it, or on the installation's host.

    The host's port 8888 is the API's alone; the page is then where its own `kubectl port-forward` puts it.
    """
    if run_url:
        return run_url.replace("{run}", run_id)
    return f"{host.removesuffix(':8888') + ':8080' if host.endswith(':8888') else host}/#/runs/details/{run_id}"


def submit_run(
    kubeflow: Kubeflow,
    package: Package,
    parameters: dict[str, Any],
    *,
    name: str,
    experiment: str,
    account: str,
    settling: float = 0.0,
) -> SubmittedRun:
    """Start a run, unless the experiment has one of that name already.

    Another process may use the same name at the same time: after `settling` seconds, all but the earliest run end.
    """
    package.check_parameters(parameters)
    experiment_id = kubeflow.ensure_experiment(experiment)
    version, uploaded = kubeflow.ensure_version(package)
    run = kubeflow.find_run(name, experiment_id)
    adopted = run is not None
    if run is None:
        try:
            run = kubeflow.create_run(name, experiment_id, refer_to_version(version), parameters, account)
        except Unreachable as problem:
            # The answer was lost; the run may exist.
            run, adopted = _find_lost_run(kubeflow, name, experiment_id, problem), True
        else:
            if settling:
                time.sleep(settling)
                run, adopted = _yield_to_earlier_run(kubeflow, run, name, experiment_id)
    return SubmittedRun(
        id=run["run_id"],
        name=name,
        version=str(version["display_name"]),
        uploaded=uploaded,
        adopted=adopted,
    )


def _yield_to_earlier_run(kubeflow: Kubeflow, run: Answer, name: str, experiment: str) -> tuple[Answer, bool]:
    """Terminate our run if another of its name was made before it, because Kubeflow accepts any number of one name."""
    try:
        first = kubeflow.find_run(name, experiment) or run
    except ForeactError:
        # Our run exists, which is what was requested.
        return run, False
    if first["run_id"] == run["run_id"]:
        return run, False
    try:
        kubeflow.terminate_run(run["run_id"])
    except ForeactError as problem:
        raise ForeactError(
            f"Two runs with the name {name} were started at once: {first['run_id']} goes on, and {run['run_id']} does "
            f"too, because it could not be terminated: {problem}"
        ) from None
    return first, True


def _find_lost_run(kubeflow: Kubeflow, name: str, experiment: str, problem: Unreachable) -> Answer:
    try:
        run = kubeflow.find_run(name, experiment)
    except Unreachable:
        run = None
    if run is None:
        raise ForeactError(
            f"It is not known whether the run was started ({str(problem).rstrip('.')}): the same command with "
            f"--name {name} finds it or starts it."
        ) from None
    return run


def watch_run(
    kubeflow: Kubeflow,
    run_id: str,
    package: Package,
    show: Callable[[list[Task]], None],
    *,
    timeout: float,
    pause: float = PAUSE,
    patience: float = PATIENCE,
) -> Outcome:
    """Follow a run to its end, or until time is up."""
    started = last_answer = time.monotonic()
    outcome = Outcome(PENDING)
    while True:
        try:
            run = kubeflow.get_run(run_id)
        except Unreachable:
            # The run goes on, and a server that restarts comes back.
            if time.monotonic() - last_answer > patience:
                raise
        else:
            last_answer = time.monotonic()
            show(list_tasks(run, package))
            outcome = judge_run(run, package)
            if outcome.state in ENDED:
                return outcome
        if time.monotonic() - started > timeout:
            return Outcome(
                outcome.state, message=f"The run has not ended after {timeout / 60:.0f} minutes; it goes on."
            )
        time.sleep(min(pause, max(0.0, timeout - (time.monotonic() - started) + 0.01)))
