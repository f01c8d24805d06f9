"""How a run ended, judged by its steps: what Kubeflow Pipelines calls the whole depends on its release."""

import math
from dataclasses import dataclass
from typing import Any

from foreact.kubeflow.package import Package
from foreact.kubeflow.states import CANCELED, CANCELING, ENDED, FAILED, PENDING, SUCCEEDED


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


def tasks_of(run: Any, package: Package) -> list[Task]:
    """Give the steps' states in the pipeline's order; drivers and groups of the engine are left out."""
    latest = _latest(run, package.titles)
    return [Task(title, latest[name].state if name in latest else PENDING) for name, title in package.titles.items()]


def judge(run: Any, package: Package) -> Outcome:
    """Tell how a run stands, and why it failed if it did."""
    state = run.state or PENDING
    # A run that somebody ended counts as failed in the end.
    ended_by_hand = any(past.state == CANCELING for past in (run.state_history or [])[-2:])
    if state == CANCELED or (state == FAILED and ended_by_hand):
        return Outcome(CANCELED, "The run was cancelled.")
    if state not in ENDED:
        return Outcome(state)
    # One of which a step failed counts as succeeded where the exit handler ended well.
    broken = _broken(run, package)
    if state == SUCCEEDED:
        return Outcome(FAILED, broken) if broken else Outcome(SUCCEEDED)
    return Outcome(state, broken or _first_line(run) or f"The run ended as {state.lower()}.")


def _broken(run: Any, package: Package) -> str:
    """Say which step failed, or was never started; nothing if all went well."""
    titles = package.titles
    latest = _latest(run, titles)
    if failed := [name for name in titles if name in latest and latest[name].state == FAILED]:
        told = next((name for name in failed if _first_line(latest[name])), None)
        return f"{titles[told]}: {_first_line(latest[told])}" if told else f"{titles[failed[0]]} failed."
    drivers = _latest(run, _drivers(titles))
    for name, title in titles.items():
        if f"{name}-driver" in drivers and drivers[f"{name}-driver"].state == FAILED:
            return f"{title} could not be started."
    groups = _latest(run, package.groups | _drivers(package.groups) | _drivers({"root": "root"}))
    if not any(group.state == FAILED for group in groups.values()):
        return ""
    began = any(name in package.groups for name in groups)
    return "Its steps failed as a whole." if began else "Its steps could not be started."


def _drivers(titles: dict[str, str]) -> dict[str, str]:
    return {f"{name}-driver": f"{title}-driver" for name, title in titles.items()}


def _latest(run: Any, titles: dict[str, str]) -> dict[str, Any]:
    """Give the last try of each task by its name; Kubeflow lists them in no order, by name or title."""
    names = {shown: name for name, title in titles.items() for shown in (name, title)}
    details = (run.run_details.task_details or []) if run.run_details else []
    # What was left out since something else failed has no state.
    tried = [task for task in details if task.state and task.display_name in names]
    return {names[task.display_name]: task for task in sorted(tried, key=_began)}


def _began(task: Any) -> float:
    # What has not begun yet has no start, or one long ago.
    return task.start_time.timestamp() if task.start_time and task.start_time.year > 1970 else math.inf


def _first_line(thing: Any) -> str:
    message = str(thing.error.message or "").strip() if thing.error else ""
    return message.splitlines()[0] if message else ""
