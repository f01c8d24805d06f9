"""The state of a run on Kubeflow Pipelines, judged by its steps: the run's own state depends on the release."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foreact.kubeflow.package import Package
from foreact.kubeflow.states import CANCELED, CANCELING, ENDED, FAILED, PENDING, SUCCEEDED

Run = dict[str, Any]
TaskDetail = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One step of a run, as it is now; one that Kubeflow does not list yet is pending."""

    name: str
    title: str
    state: str = PENDING
    seconds: float | None = None
    is_listed: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run ended, or that it is not over yet; the step that failed and why, as far as known."""

    state: str
    # By name and title; of a run that failed as a whole both are empty.
    step: str = ""
    title: str = ""
    # What happened, in words that follow the step's title or "Its steps".
    event: str = ""
    # Kubeflow's own message.
    message: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether everything went well."""
        return self.state == SUCCEEDED

    @property
    def sentence(self) -> str:
        """What went wrong, in the words of the pipeline."""
        if self.title and self.message:
            return f"{self.title}: {self.message}"
        if self.event:
            return f"{self.title or 'Its steps'} {self.event}."
        return self.message


def list_tasks(run: Run, package: Package) -> list[Task]:
    """Return the steps' states in the pipeline's order; drivers and groups of the engine are left out."""
    latest = _find_latest_tries(run, package.titles)
    return [
        Task(name, title, latest[name]["state"], _measure_seconds(latest[name]), is_listed=True)
        if name in latest
        else Task(name, title)
        for name, title in package.titles.items()
    ]


def judge_run(run: Run, package: Package) -> Outcome:
    """Return the state of a run, and why it failed if it did."""
    state = run.get("state") or PENDING
    # A run that somebody cancelled may end as failed.
    ended_by_hand = any(past.get("state") == CANCELING for past in (run.get("state_history") or [])[-2:])
    if state == CANCELED or (state == FAILED and ended_by_hand):
        return Outcome(CANCELED, message="The run was cancelled.")
    if state not in ENDED:
        return Outcome(state)
    if state == FAILED and _is_over_deadline(run, package):
        hours = (package.deadline_seconds or 0) / 3600
        return Outcome(FAILED, message=f"The run was stopped at its deadline, {hours:g} hours after its start.")
    # A run with a failed step counts as succeeded if its exit handler succeeded.
    failure = _find_failure(run, package)
    if failure is not None:
        return failure
    if state == SUCCEEDED:
        return Outcome(SUCCEEDED)
    return Outcome(state, message=_read_first_line(run) or f"The run ended as {state.lower()}.")


def _is_over_deadline(run: Run, package: Package) -> bool:
    """Return whether a run lasted until Kubeflow stops it, which leaves no other trace: no cancelling, no message."""
    created, finished = _read_moment(run.get("created_at")), _read_moment(run.get("finished_at"))
    if package.deadline_seconds is None or created is None or finished is None:
        return False
    return (finished - created).total_seconds() >= package.deadline_seconds


def _find_failure(run: Run, package: Package) -> Outcome | None:
    """Return which step failed or was never started, or None if all went well."""
    titles = package.titles
    latest = _find_latest_tries(run, titles)
    failed = [name for name in titles if name in latest and latest[name]["state"] == FAILED]
    if failed:
        name = next((name for name in failed if _read_first_line(latest[name])), failed[0])
        return Outcome(FAILED, name, titles[name], "failed", _read_first_line(latest[name]))
    drivers = _find_latest_tries(run, _name_drivers(titles))
    for name, title in titles.items():
        if f"{name}-driver" in drivers and drivers[f"{name}-driver"]["state"] == FAILED:
            return Outcome(FAILED, name, title, "could not be started")
    groups = _find_latest_tries(run, package.groups | _name_drivers(package.groups) | _name_drivers({"root": "root"}))
    if not any(group["state"] == FAILED for group in groups.values()):
        return None
    has_started = any(name in package.groups for name in groups)
    return Outcome(FAILED, event="failed as a whole" if has_started else "could not be started")


def _name_drivers(titles: dict[str, str]) -> dict[str, str]:
    return {f"{name}-driver": f"{title}-driver" for name, title in titles.items()}


def _find_latest_tries(run: Run, titles: dict[str, str]) -> dict[str, TaskDetail]:
    """Return the last try of each task by its name; Kubeflow lists them in no order, by name or title."""
    names = {shown: name for name, title in titles.items() for shown in (name, title)}
    details = (run.get("run_details") or {}).get("task_details") or []
    # A task that was skipped because another one failed has no state.
    tried = [task for task in details if task.get("state") and task.get("display_name") in names]
    tried.sort(key=lambda task: _read_moment(task.get("start_time")) or datetime.max.replace(tzinfo=UTC))
    return {names[task["display_name"]]: task for task in tried}


def _read_moment(text: str | None) -> datetime | None:
    """Return a moment; None if it has not come yet, which Kubeflow writes as no text or as a date long ago."""
    moment = datetime.fromisoformat(text) if text else None
    return moment if moment and moment.year > 1970 else None


def _measure_seconds(task: TaskDetail) -> float | None:
    started, ended = _read_moment(task.get("start_time")), _read_moment(task.get("end_time"))
    return (ended - started).total_seconds() if started and ended and ended >= started else None


def _read_first_line(failed: Run | TaskDetail) -> str:
    message = str((failed.get("error") or {}).get("message") or "").strip()
    return message.splitlines()[0][:300] if message else ""
