"""Make Kubeflow Pipelines' recurring runs match the schedules, one step at a time.

A recurring run cannot be changed, so a new one replaces it: created paused, the old one disabled, the new one enabled,
the old one deleted. Each step is chosen from the current state alone, so if this process dies, the next one completes
its work. Reasons for the order: docs/decisions, "Schedules are reconciled, not updated".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from foreact.errors import ForeactError
from pipelines.cluster.cron import Cron

# No replacement this close to a firing, which could fall between disabling the old one and enabling the new one.
QUIET = timedelta(minutes=2)
# More than any reconciliation takes; reached only if something else keeps changing the same recurring runs.
MOST_STEPS = 100

Verb = Literal["create", "enable", "disable", "delete", "wait"]
_MARK = re.compile(r"\[foreact (?P<name>[a-z0-9-]+) (?P<fingerprint>[0-9a-f]{16})\]$")


@dataclass(frozen=True)
class DesiredSchedule:
    """A schedule as it should be on the cluster."""

    name: str
    fingerprint: str
    cron: Cron
    enabled: bool


@dataclass(frozen=True)
class RecurringRun:
    """One of our recurring runs as it is on the cluster."""

    id: str
    name: str
    fingerprint: str
    created: datetime
    enabled: bool
    # The expression it fires by; None if it cannot be read.
    cron: Cron | None = None
    # One of its runs has not ended: deleting it would end that run too.
    busy: bool = False


@dataclass(frozen=True)
class Step:
    """One call, or a wait, and why."""

    verb: Verb
    schedule: str
    why: str
    target: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        """Describe it in a line."""
        return f"{self.schedule}: {self.verb} {self.target}".rstrip() + f" ({self.why})"


def write_mark(name: str, fingerprint: str) -> str:
    """Return the mark in a recurring run's description: which schedule it belongs to, and the hash of its content."""
    return f"[foreact {name} {fingerprint}]"


def read_mark(description: str | None) -> tuple[str, str] | None:
    """Read a mark; recurring runs without one belong to others and are never touched."""
    mark = _MARK.search(description or "")
    return (mark["name"], mark["fingerprint"]) if mark else None


def next_retirement_step(runs: list[RecurringRun]) -> Step | None:
    """Return the next step towards a schedule that is no longer in the file."""
    for run in runs:
        if run.enabled:
            return Step("disable", run.name, "no longer in the file", run.id)
    for run in runs:
        if not run.busy:
            return Step("delete", run.name, "no longer in the file", run.id)
    return None


def next_step(desired: DesiredSchedule, runs: list[RecurringRun], now: datetime) -> Step | None:
    """Return the next step towards one schedule; None when nothing is left to do."""
    runs = sorted(runs, key=lambda run: (run.created, run.id))
    matching = [run for run in runs if run.fingerprint == desired.fingerprint]
    enabled = [run for run in runs if run.enabled]
    if not desired.enabled:
        return _next_pause_step(desired, runs, matching, enabled)
    if len(enabled) > 1:
        keep = next((run for run in reversed(enabled) if run in matching), enabled[-1])
        surplus = next(run for run in enabled if run is not keep)
        return Step("disable", desired.name, "two would fire", surplus.id)
    if enabled and enabled[0] in matching:
        return _next_cleanup_step(desired, runs, enabled[0])
    if enabled:
        return _next_replacement_step(desired, enabled[0], matching, now)
    return _next_start_step(desired, runs, matching, now)


def _next_pause_step(
    desired: DesiredSchedule, runs: list[RecurringRun], matching: list[RecurringRun], enabled: list[RecurringRun]
) -> Step | None:
    if enabled:
        return Step("disable", desired.name, "paused in the file", enabled[0].id)
    if not matching:
        return Step("create", desired.name, "new, and paused in the file")
    return _next_cleanup_step(desired, runs, matching[-1])


def _next_cleanup_step(desired: DesiredSchedule, runs: list[RecurringRun], keep: RecurringRun) -> Step | None:
    for run in runs:
        if run is not keep and not run.busy:
            return Step("delete", desired.name, "replaced", run.id)
    return None


def _next_replacement_step(
    desired: DesiredSchedule, old: RecurringRun, matching: list[RecurringRun], now: datetime
) -> Step:
    """Return the next step of a replacement: the old one fires until the new one exists and no firing is near."""
    for run in matching:
        # It was made before a firing that the old one has served: once enabled, it would run for it again at once.
        if desired.cron.list_firings(run.created, now):
            return Step("delete", desired.name, "made before the last firing", run.id)
    if not matching:
        return Step("create", desired.name, "changed")
    for cron in filter(None, (old.cron, desired.cron)):
        near = cron.list_firings(now - QUIET, now + QUIET)
        if near:
            return Step("wait", desired.name, "about to fire", until=near[-1] + QUIET)
    return Step("disable", desired.name, "replaced", old.id)


def _next_start_step(
    desired: DesiredSchedule, runs: list[RecurringRun], matching: list[RecurringRun], now: datetime
) -> Step:
    if not matching:
        return Step("create", desired.name, "changed" if runs else "new")
    newest = matching[-1]
    if newest is not runs[0]:
        # Nothing else has served the firings since it was made: it catches up with the last of them.
        return Step("enable", desired.name, "takes over", newest.id)
    if desired.cron.list_firings(newest.created, now):
        # Alone and paused for some time; once enabled, it would run at once instead of when it is due.
        return Step("create", desired.name, "was paused")
    return Step("enable", desired.name, "ready", newest.id)


def predict_steps(
    choose_step: Callable[[list[RecurringRun], datetime], Step | None],
    desired: DesiredSchedule | None,
    runs: list[RecurringRun],
    now: datetime,
) -> Iterator[Step]:
    """Return the steps that reconciliation would take, without taking them."""
    for number in range(MOST_STEPS):
        step = choose_step(runs, now)
        if step is None:
            return
        yield step
        now = step.until + timedelta(seconds=1) if step.until else now + timedelta(seconds=1)
        runs = _predict_runs(step, desired, runs, now, f"the new one{number or ''}")


def _predict_runs(
    step: Step, desired: DesiredSchedule | None, runs: list[RecurringRun], now: datetime, name: str
) -> list[RecurringRun]:
    if step.verb == "create" and desired is not None:
        return [*runs, RecurringRun(name, desired.name, desired.fingerprint, now, enabled=False, cron=desired.cron)]
    if step.verb == "delete":
        return [run for run in runs if run.id != step.target]
    if step.verb in {"enable", "disable"}:
        return [replace(r, enabled=step.verb == "enable") if r.id == step.target else r for r in runs]
    return runs


def take_steps(
    choose_step: Callable[[list[RecurringRun], datetime], Step | None],
    list_runs: Callable[[], list[RecurringRun]],
    take_step: Callable[[Step], None],
    now: Callable[[], datetime],
) -> None:
    """Take steps until none is left; raise if there is no end to them."""
    for _ in range(MOST_STEPS):
        step = choose_step(list_runs(), now())
        if step is None:
            return
        take_step(step)
    raise ForeactError("The schedules do not settle: something else is changing the same recurring runs.")
