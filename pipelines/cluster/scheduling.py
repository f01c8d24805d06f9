"""Schedules and recurring runs brought together: plan, apply, list, pause."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from foreact.errors import ForeactError, name_examples
from foreact.kubeflow.api import Kubeflow, read_moment, refer_to_version
from foreact.kubeflow.connection import Answer
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings
from foreact.kubeflow.states import ENDED
from pipelines.cluster.cron import Cron
from pipelines.cluster.reconcile import (
    Found,
    Step,
    Wanted,
    next_retirement_step,
    next_step,
    predict_steps,
    read_mark,
    take_steps,
    write_mark,
)
from pipelines.cluster.schedules import Schedule, Schedules, check_schedule, fingerprint_content

Tell = Callable[[str], None]


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def sleep_until(moment: datetime) -> None:
    """Wait for a moment."""
    time.sleep(max(0.0, (moment - utc_now()).total_seconds()))


@dataclass(frozen=True)
class Scheduler:
    """The recurring runs of one experiment."""

    kubeflow: Kubeflow
    settings: KubeflowSettings
    now: Callable[[], datetime] = utc_now
    wait: Callable[[datetime], None] = sleep_until
    _versions: dict[str, Any] = field(default_factory=dict)

    def plan_steps(self, schedules: Schedules, packages: dict[str, Package]) -> list[Step]:
        """Return the steps that `apply` would take now; changes nothing."""
        wanted = self._read_desired_schedules(schedules, packages)
        experiment = self.kubeflow.find_experiment(self.settings.experiment)
        found = self._list_our_runs(str(experiment["experiment_id"])) if experiment else []
        now = self.now()
        steps: list[Step] = []
        for name in _list_names(wanted, found):
            steps += predict_steps(_make_chooser(wanted.get(name)), wanted.get(name), _find_by_name(name, found), now)
        return steps

    def apply_schedules(self, schedules: Schedules, packages: dict[str, Package], tell: Tell) -> list[str]:
        """Make the recurring runs match; gives those that are left because a run of theirs goes on."""
        wanted = self._read_desired_schedules(schedules, packages)
        experiment = self.kubeflow.ensure_experiment(self.settings.experiment)
        for name in _list_names(wanted, self._list_our_runs(experiment)):
            schedule, package = schedules.schedules.get(name), packages.get(name)

            def take(step: Step, schedule: Any = schedule, package: Any = package) -> None:
                tell(str(step))
                self._take_step(step, wanted.get(step.schedule), schedule, package, experiment)

            take_steps(
                _make_chooser(wanted.get(name)),
                lambda name=name: _find_by_name(name, self._list_our_runs(experiment)),  # type: ignore[misc]
                take,
                self.now,
            )
        return [run.name for run in self._list_our_runs(experiment) if run.busy and not run.enabled]

    def pause_schedules(self, names: list[str], tell: Tell) -> None:
        """Keep schedules from firing until the next `apply`; no name means all of them."""
        found = self.list_recurring_runs()
        unknown = sorted(set(names) - {run.name for run in found})
        if unknown:
            raise ForeactError(
                f"There is no schedule {name_examples(unknown)} in experiment {self.settings.experiment!r}."
            )
        for run in found:
            if run.enabled and (not names or run.name in names):
                tell(f"{run.name}: disable {run.id} (paused)")
                self.kubeflow.disable_recurring_run(run.id)
        # A half-finished replacement would otherwise pass for one that was meant to take over.
        for run in found:
            others = [o for o in found if o.name == run.name and o.enabled]
            if not run.enabled and others and not run.busy and (not names or run.name in names):
                tell(f"{run.name}: delete {run.id} (never took over)")
                self.kubeflow.delete_recurring_run(run.id)

    def list_recurring_runs(self) -> list[Found]:
        """Return the recurring runs that are ours."""
        experiment = self.kubeflow.find_experiment(self.settings.experiment)
        return self._list_our_runs(str(experiment["experiment_id"])) if experiment else []

    def _read_desired_schedules(self, schedules: Schedules, packages: dict[str, Package]) -> dict[str, Wanted]:
        if schedules.timezone != self.settings.timezone:
            raise ForeactError(
                f"The schedules are in {schedules.timezone}, but Kubeflow Pipelines reads them in "
                f"{self.settings.timezone}: give its ml-pipeline-scheduledworkflow "
                f"CRON_SCHEDULE_TIMEZONE={schedules.timezone}, and here FOREACT_KFP_TIMEZONE={schedules.timezone}."
            )
        wanted = {}
        for name, schedule in schedules.schedules.items():
            cron = check_schedule(name, schedule, schedules.zone, packages[name], self.now())
            content = {
                "package": packages[name].hash,
                "cron": schedule.cron,
                "timezone": schedules.timezone,
                "description": schedule.description,
                "parameters": schedule.parameters,
                "service_account": self.settings.service_account,
            }
            wanted[name] = Wanted(name, fingerprint_content(content), cron, schedule.enabled)
        return wanted

    def _list_our_runs(self, experiment: str) -> list[Found]:
        recent = self.kubeflow.list_recent_runs(experiment)
        busy = {run.get("recurring_run_id") for run in recent if run.get("state") not in ENDED}
        found = []
        for run in self.kubeflow.list_recurring_runs(experiment):
            marked = read_mark(run.get("description"))
            if marked:
                found.append(
                    Found(
                        id=run["recurring_run_id"],
                        name=marked[0],
                        fingerprint=marked[1],
                        created=read_moment(run["created_at"]),
                        enabled=_is_enabled(run),
                        cron=self._read_cron(run),
                        busy=run["recurring_run_id"] in busy,
                    )
                )
        return found

    def _read_cron(self, run: Answer) -> Cron | None:
        expression = ((run.get("trigger") or {}).get("cron_schedule") or {}).get("cron")
        try:
            return Cron.parse(expression, ZoneInfo(self.settings.timezone)) if expression else None
        except ForeactError:
            return None

    def _take_step(self, step: Step, wanted: Wanted | None, schedule: Any, package: Any, experiment: str) -> None:
        if step.verb == "wait" and step.until is not None:
            self.wait(step.until)
        elif step.verb == "create" and wanted is not None:
            self.kubeflow.create_recurring_run(self._make_body(wanted, schedule, package, experiment))
        elif step.verb == "enable":
            self.kubeflow.enable_recurring_run(step.target)
        elif step.verb == "disable":
            self.kubeflow.disable_recurring_run(step.target)
        elif step.verb == "delete":
            self.kubeflow.delete_recurring_run(step.target)

    def _make_body(self, wanted: Wanted, schedule: Schedule, package: Package, experiment: str) -> Answer:
        if package.hash not in self._versions:
            self._versions[package.hash], _ = self.kubeflow.ensure_version(package)
        body = {
            "display_name": f"foreact-{wanted.name}",
            "description": f"{schedule.description} {write_mark(wanted.name, wanted.fingerprint)}".strip(),
            "experiment_id": experiment,
            "namespace": self.kubeflow.namespace,
            **refer_to_version(self._versions[package.hash]),
            "runtime_config": {"parameters": schedule.parameters},
            "service_account": self.settings.service_account,
            "trigger": {"cron_schedule": {"cron": schedule.cron}},
            "mode": "DISABLE",
            "max_concurrency": "1",
            "no_catchup": True,
        }
        return {name: value for name, value in body.items() if value != ""}


def _is_enabled(run: Answer) -> bool:
    # The mode is what was asked for; the status follows when the controller has seen it.
    mode = run.get("mode")
    return bool(mode == "ENABLE" if mode in {"ENABLE", "DISABLE"} else run.get("status") == "ENABLED")


def _make_chooser(wanted: Wanted | None) -> Callable[[list[Found], datetime], Step | None]:
    if wanted is None:
        return lambda found, _: next_retirement_step(found)
    return lambda found, now: next_step(wanted, found, now)


def _list_names(wanted: dict[str, Wanted], found: list[Found]) -> list[str]:
    return sorted({*wanted, *(run.name for run in found)})


def _find_by_name(name: str, found: list[Found]) -> list[Found]:
    return [run for run in found if run.name == name]


def load_packages(schedules: Schedules, folder: Path) -> dict[str, Package]:
    """Read the compiled pipeline of each schedule."""
    return {name: Package.load(folder / f"{s.pipeline}.yaml") for name, s in schedules.schedules.items()}
