"""Make Kubeflow Pipelines' recurring runs match the schedules, one step at a time.

A recurring run cannot be changed, so a new one replaces it: created paused, the old one disabled, the new one enabled,
the old one deleted. Each step is chosen from what is there alone, so a run of this that died anywhere is completed by
the next. Why the order is as it is: docs/decisions, "Schedules are reconciled, not updated".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from foreact.errors import ForeactError
from pipelines.cluster.cron import Cron

# No switch so near a firing that it could fall between disabling one and enabling the other.
QUIET = timedelta(minutes=2)
# More than any reconciliation takes; reached only if somebody else keeps changing the same recurring runs.
MOST_STEPS = 100

Verb = Literal["create", "enable", "disable", "delete", "wait"]
_MARK = re.compile(r"\[foreact (?P<name>[a-z0-9-]+) (?P<fingerprint>[0-9a-f]{16})\]$")


@dataclass(frozen=True)
class Wanted:
    """A schedule as it should be there."""

    name: str
    fingerprint: str
    cron: Cron
    enabled: bool


@dataclass(frozen=True)
class Found:
    """One of our recurring runs as it is there."""

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
    """Write into a recurring run's description whose it is and what it holds."""
    return f"[foreact {name} {fingerprint}]"


def read_mark(description: str | None) -> tuple[str, str] | None:
    """Read a mark; recurring runs without one are somebody else's and are never touched."""
    found = _MARK.search(description or "")
    return (found["name"], found["fingerprint"]) if found else None


def next_retirement_step(found: list[Found]) -> Step | None:
    """Return the next step towards a schedule that is no longer wanted at all."""
    for run in found:
        if run.enabled:
            return Step("disable", run.name, "no longer in the file", run.id)
    for run in found:
        if not run.busy:
            return Step("delete", run.name, "no longer in the file", run.id)
    return None


def next_step(wanted: Wanted, found: list[Found], now: datetime) -> Step | None:
    """Return the next step towards one schedule; None when nothing is left to do."""
    found = sorted(found, key=lambda run: (run.created, run.id))
    right = [run for run in found if run.fingerprint == wanted.fingerprint]
    enabled = [run for run in found if run.enabled]
    if not wanted.enabled:
        return _keep_paused(wanted, found, right, enabled)
    if len(enabled) > 1:
        keep = next((run for run in reversed(enabled) if run in right), enabled[-1])
        surplus = next(run for run in enabled if run is not keep)
        return Step("disable", wanted.name, "two would fire", surplus.id)
    if enabled and enabled[0] in right:
        return _prune_duplicate(wanted, found, enabled[0])
    if enabled:
        return _replace_step(wanted, enabled[0], right, now)
    return _start_step(wanted, found, right, now)


def _keep_paused(wanted: Wanted, found: list[Found], right: list[Found], enabled: list[Found]) -> Step | None:
    if enabled:
        return Step("disable", wanted.name, "paused in the file", enabled[0].id)
    if not right:
        return Step("create", wanted.name, "new, and paused in the file")
    return _prune_duplicate(wanted, found, right[-1])


def _prune_duplicate(wanted: Wanted, found: list[Found], keep: Found) -> Step | None:
    for run in found:
        if run is not keep and not run.busy:
            return Step("delete", wanted.name, "replaced", run.id)
    return None


def _replace_step(wanted: Wanted, old: Found, right: list[Found], now: datetime) -> Step:
    """Keep the old one firing until the new one is there, paused, and nothing is about to fire."""
    for run in right:
        # It was made before a firing that the old one has served: enabled, it would make up for it at once.
        if wanted.cron.list_firings(run.created, now):
            return Step("delete", wanted.name, "made before the last firing", run.id)
    if not right:
        return Step("create", wanted.name, "changed")
    for cron in filter(None, (old.cron, wanted.cron)):
        near = cron.list_firings(now - QUIET, now + QUIET)
        if near:
            return Step("wait", wanted.name, "about to fire", until=near[-1] + QUIET)
    return Step("disable", wanted.name, "replaced", old.id)


def _start_step(wanted: Wanted, found: list[Found], right: list[Found], now: datetime) -> Step:
    if not right:
        return Step("create", wanted.name, "changed" if found else "new")
    newest = right[-1]
    if newest is not found[0]:
        # What it has missed since it was made, nobody has served: it makes up for the last of it.
        return Step("enable", wanted.name, "takes over", newest.id)
    if wanted.cron.list_firings(newest.created, now):
        # Alone and paused for some time; enabled, it would run at once instead of when it is due.
        return Step("create", wanted.name, "was paused")
    return Step("enable", wanted.name, "ready", newest.id)


def predict_steps(choose: Callable[[list[Found], datetime], Step | None], wanted: Wanted | None, found: list[Found],
            now: datetime) -> Iterator[Step]:  # fmt: skip
    """Return the steps that settling would take, without taking them."""
    for number in range(MOST_STEPS):
        step = choose(found, now)
        if step is None:
            return
        yield step
        now = step.until + timedelta(seconds=1) if step.until else now + timedelta(seconds=1)
        found = _predict_runs(step, wanted, found, now, f"the new one{number or ''}")


def _predict_runs(step: Step, wanted: Wanted | None, found: list[Found], now: datetime, name: str) -> list[Found]:
    if step.verb == "create" and wanted is not None:
        return [*found, Found(name, wanted.name, wanted.fingerprint, now, enabled=False, cron=wanted.cron)]
    if step.verb == "delete":
        return [run for run in found if run.id != step.target]
    if step.verb in {"enable", "disable"}:
        return [replace(r, enabled=step.verb == "enable") if r.id == step.target else r for r in found]
    return found


def take_steps(
    choose: Callable[[list[Found], datetime], Step | None],
    observe: Callable[[], list[Found]],
    take: Callable[[Step], None],
    now: Callable[[], datetime],
) -> None:
    """Take steps until none is left."""
    for _ in range(MOST_STEPS):
        step = choose(observe(), now())
        if step is None:
            return
        take(step)
    raise ForeactError("The schedules do not settle: something else is changing the same recurring runs.")
