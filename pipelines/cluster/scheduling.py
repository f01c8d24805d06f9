"""The schedules on a cluster: planned, applied, listed, paused."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from foreact.clock import utc_now
from foreact.errors import ForeactError, name_examples
from foreact.kubeflow.api import Kubeflow, read_moment, refer_to_version
from foreact.kubeflow.connection import Answer
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings
from foreact.kubeflow.states import ENDED
from pipelines.cluster.cron import Cron
from pipelines.cluster.packages import load_package
from pipelines.cluster.reconcile import (
    DesiredSchedule,
    RecurringRun,
    Step,
    next_retirement_step,
    next_step,
    predict_steps,
    read_mark,
    take_steps,
    write_mark,
)
from pipelines.cluster.schedules import Schedule, Schedules, check_schedule, fingerprint_content

Report = Callable[[str], None]


def sleep_until(moment: datetime) -> None:
    """Wait until a moment."""
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
        """Return the steps that `apply_schedules` would take now, and change nothing."""
        desired = self._read_desired_schedules(schedules, packages)
        experiment = self.kubeflow.find_experiment(self.settings.experiment)
        runs = self._list_our_runs(str(experiment["experiment_id"])) if experiment else []
        now = self.now()
        steps: list[Step] = []
        for name in _list_names(desired, runs):
            steps += predict_steps(
                _make_chooser(desired.get(name)), desired.get(name), _select_by_name(name, runs), now
            )
        return steps

    def apply_schedules(self, schedules: Schedules, packages: dict[str, Package], report: Report) -> list[str]:
        """Make the recurring runs match the schedules; return those that remain because one of their runs goes on."""
        desired = self._read_desired_schedules(schedules, packages)
        experiment = self.kubeflow.ensure_experiment(self.settings.experiment)
        for name in _list_names(desired, self._list_our_runs(experiment)):
            schedule, package = schedules.schedules.get(name), packages.get(name)

            def report_and_take(step: Step, schedule: Any = schedule, package: Any = package) -> None:
                report(str(step))
                self._take_step(step, desired.get(step.schedule), schedule, package, experiment)

            take_steps(
                _make_chooser(desired.get(name)),
                partial(self._list_runs_of, name, experiment),
                report_and_take,
                self.now,
            )
        return [run.name for run in self._list_our_runs(experiment) if run.busy and not run.enabled]

    def _list_runs_of(self, name: str, experiment: str) -> list[RecurringRun]:
        return _select_by_name(name, self._list_our_runs(experiment))

    def pause_schedules(self, names: list[str], report: Report) -> None:
        """Keep schedules from firing until the next `apply_schedules`; no name means all of them."""
        runs = self.list_recurring_runs()
        unknown = sorted(set(names) - {run.name for run in runs})
        if unknown:
            raise ForeactError(
                f"There is no schedule {name_examples(unknown)} in experiment {self.settings.experiment!r}."
            )
        for run in runs:
            if run.enabled and (not names or run.name in names):
                report(f"{run.name}: disable {run.id} (paused)")
                self.kubeflow.disable_recurring_run(run.id)
        # A half-finished replacement would otherwise look like one that should take over.
        for run in runs:
            others = [o for o in runs if o.name == run.name and o.enabled]
            if not run.enabled and others and not run.busy and (not names or run.name in names):
                report(f"{run.name}: delete {run.id} (never took over)")
                self.kubeflow.delete_recurring_run(run.id)

    def list_recurring_runs(self) -> list[RecurringRun]:
        """Return our recurring runs."""
        experiment = self.kubeflow.find_experiment(self.settings.experiment)
        return self._list_our_runs(str(experiment["experiment_id"])) if experiment else []

    def _read_desired_schedules(self, schedules: Schedules, packages: dict[str, Package]) -> dict[str, DesiredSchedule]:
        if schedules.timezone != self.settings.timezone:
            raise ForeactError(
                f"The schedules are in {schedules.timezone}, but Kubeflow Pipelines reads them in "
                f"{self.settings.timezone}: set for its ml-pipeline-scheduledworkflow "
                f"CRON_SCHEDULE_TIMEZONE={schedules.timezone}, and here FOREACT_KFP_TIMEZONE={schedules.timezone}."
            )
        desired = {}
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
            desired[name] = DesiredSchedule(name, fingerprint_content(content), cron, schedule.enabled)
        return desired

    def _list_our_runs(self, experiment: str) -> list[RecurringRun]:
        recent = self.kubeflow.list_recent_runs(experiment)
        busy = {run.get("recurring_run_id") for run in recent if run.get("state") not in ENDED}
        ours = []
        for run in self.kubeflow.list_recurring_runs(experiment):
            mark = read_mark(run.get("description"))
            if mark:
                ours.append(
                    RecurringRun(
                        id=run["recurring_run_id"],
                        name=mark[0],
                        fingerprint=mark[1],
                        created=read_moment(run["created_at"]),
                        enabled=_is_enabled(run),
                        cron=self._read_cron(run),
                        busy=run["recurring_run_id"] in busy,
                    )
                )
        return ours

    def _read_cron(self, run: Answer) -> Cron | None:
        expression = ((run.get("trigger") or {}).get("cron_schedule") or {}).get("cron")
        try:
            return Cron.parse(expression, ZoneInfo(self.settings.timezone)) if expression else None
        except ForeactError:
            return None

    def _take_step(
        self, step: Step, desired: DesiredSchedule | None, schedule: Any, package: Any, experiment: str
    ) -> None:
        if step.verb == "wait" and step.until is not None:
            self.wait(step.until)
        elif step.verb == "create" and desired is not None:
            self.kubeflow.create_recurring_run(self._make_body(desired, schedule, package, experiment))
        elif step.verb == "enable":
            self.kubeflow.enable_recurring_run(step.target)
        elif step.verb == "disable":
            self.kubeflow.disable_recurring_run(step.target)
        elif step.verb == "delete":
            self.kubeflow.delete_recurring_run(step.target)

    def _make_body(self, desired: DesiredSchedule, schedule: Schedule, package: Package, experiment: str) -> Answer:
        if package.hash not in self._versions:
            self._versions[package.hash], _ = self.kubeflow.ensure_version(package)
        body = {
            "display_name": f"foreact-{desired.name}",
            "description": f"{schedule.description} {write_mark(desired.name, desired.fingerprint)}".strip(),
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
    # The mode is what was requested; the status follows once the controller has seen it.
    mode = run.get("mode")
    return bool(mode == "ENABLE" if mode in {"ENABLE", "DISABLE"} else run.get("status") == "ENABLED")


def _make_chooser(desired: DesiredSchedule | None) -> Callable[[list[RecurringRun], datetime], Step | None]:
    if desired is None:
        return lambda runs, _: next_retirement_step(runs)
    return lambda runs, now: next_step(desired, runs, now)


def _list_names(desired: dict[str, DesiredSchedule], runs: list[RecurringRun]) -> list[str]:
    return sorted({*desired, *(run.name for run in runs)})


def _select_by_name(name: str, runs: list[RecurringRun]) -> list[RecurringRun]:
    return [run for run in runs if run.name == name]


def load_packages(schedules: Schedules, folder: Path) -> dict[str, Package]:
    """Read the compiled pipeline of each schedule."""
    return {name: load_package(folder / f"{s.pipeline}.yaml") for name, s in schedules.schedules.items()}
