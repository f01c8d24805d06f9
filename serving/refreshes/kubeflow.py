"""Refreshes on Kubeflow Pipelines: a run of the compiled pipeline, found again by its name in any replica."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from foreact.blobs.connecting import refuse_credentials_among
from foreact.errors import ForeactError
from foreact.telemetry.ledger import RunRecord, Runs
from foreact.vocabulary import STEPS
from serving.refreshes.kubeflow_api import KubeflowApi
from serving.refreshes.records import Refresh, Step
from serving.refreshes.runner import Progress
from serving.settings import ServingSettings

# How Kubeflow names states, and what they are to a planner.
ENDED = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "failed", "SKIPPED": "skipped", "ERROR": "failed"}


def run_name(refresh: Refresh) -> str:
    """Name the run of a refresh."""
    return f"foreact-refresh-{refresh.id}"


class KubeflowRunner:
    """Starts and follows runs through the API of Kubeflow Pipelines."""

    parallel = 20
    interval = 3.0

    def __init__(
        self,
        api: KubeflowApi,
        package: Path,
        experiment: str,
        service_account: str,
        arguments: dict[str, Any],
        runs: Runs,
    ) -> None:
        self._api = api
        self._package = package
        self._names = _names(package)
        self._experiment = experiment
        self._service_account = service_account
        self._arguments = arguments
        self._runs = runs

    @classmethod
    def of(cls, settings: ServingSettings, runs: Runs) -> "KubeflowRunner":
        """Make the runner of settings; nothing is asked of Kubeflow until it is needed."""
        try:
            arguments = json.loads(settings.refresh_arguments)
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise ForeactError("FOREACT_REFRESH_ARGUMENTS is no JSON object of the pipeline's parameters.")
        refuse_credentials_among(arguments)
        package = Path(settings.refresh_package)
        if not package.is_file():
            raise ForeactError(f"FOREACT_REFRESH_PACKAGE {str(package)!r} is not there: `foreact compile` makes it.")
        token = Path(settings.kfp_token_file) if settings.kfp_token_file else None
        api = KubeflowApi(settings.kfp_host, settings.kfp_namespace, token)
        return cls(api, package, settings.kfp_experiment, settings.kfp_service_account, arguments, runs)

    def close(self) -> None:
        """Give its connections back."""
        self._api.close()

    def check(self) -> str | None:
        """Tell why no refresh can run here, or nothing."""
        try:
            self._api.find_experiment(self._experiment)
        except ForeactError as problem:
            return str(problem)
        return None

    def start(self, refresh: Refresh) -> Refresh:
        """Create the run, unless a replica that died since did so."""
        name = run_name(refresh)
        experiment = self._api.ensure_experiment(self._experiment)
        found = self._api.find_run(name, experiment)
        if found is None:
            arguments = {**self._arguments, "store": refresh.store}
            found = self._api.create_run(name, experiment, self._package, arguments, self._service_account)
        return refresh.model_copy(update={"run": found["run_id"]})

    def observe(self, refresh: Refresh) -> Progress:
        """Ask how far the run is."""
        run = self._api.get_run(str(refresh.run))
        steps, failed, sentence = self._steps(run)
        state = ENDED.get(str(run.get("state")), "running")
        if state == "running":
            return Progress("running", steps)
        # Where the exit handler ended well, Kubeflow may call a run succeeded of which a step failed.
        if state == "succeeded" and not failed:
            return Progress("succeeded", steps)
        # A run that somebody ended counts as failed in the end, for Kubeflow.
        if any(past.get("state") == "CANCELING" for past in run.get("state_history") or []):
            return Progress("failed", steps, failed or "run", "the run was cancelled in Kubeflow Pipelines")
        told = self._told(refresh)
        why = (told and told.complaint) or sentence or _sentence(run)
        return Progress(
            "failed",
            steps,
            failed or (told and told.failed_step) or "run",
            why or f"the run ended {str(run.get('state')).lower()}",
        )

    def forget(self, refresh: Refresh) -> None:
        """Keep nothing: Kubeflow does."""

    def stop(self, refresh: Refresh) -> None:
        """Ask Kubeflow to end the run."""
        try:
            self._api.terminate_run(str(refresh.run))
        except ForeactError:
            # It may just have ended by itself; the record says that it took too long in any case.
            return

    def _steps(self, run: dict[str, Any]) -> tuple[tuple[Step, ...], str | None, str | None]:
        """Make steps of a run's tasks, in their order; the engine's own groups and drivers are none."""
        details = (run.get("run_details") or {}).get("task_details") or []
        # What was skipped for another's failure has no state; of several tries the last one counts.
        tasks = sorted((task for task in details if task.get("state")), key=lambda task: str(task.get("start_time")))
        latest = {self._names[task["display_name"]]: task for task in tasks if task.get("display_name") in self._names}
        steps = []
        for name in sorted(latest, key=STEPS.index):
            state = ENDED.get(str(latest[name].get("state")), "running")
            steps.append(Step.model_validate({"name": name, "state": state, "seconds": _seconds(latest[name])}))
        failed = next((step.name for step in steps if step.state == "failed"), None)
        if failed:
            return tuple(steps), failed, _sentence(latest[failed])
        started_by = {f"{shown}-driver": name for shown, name in self._names.items()}
        for task in tasks:
            if task["state"] == "FAILED" and task.get("display_name") in started_by:
                return tuple(steps), started_by[task["display_name"]], "Kubeflow Pipelines could not start this step"
        return tuple(steps), None, None

    def _told(self, refresh: Refresh) -> RunRecord | None:
        """Give what the run's steps told of themselves, which says more than what Kubeflow saw of them."""
        try:
            return self._runs.read().find(str(refresh.run))
        except ForeactError:
            return None


def _names(package: Path) -> dict[str, str]:
    """Give the steps of a compiled pipeline by what Kubeflow may call them: their names and their titles."""
    spec = next(iter(yaml.safe_load_all(package.read_bytes())))
    groups = [spec["root"], *spec["components"].values()]
    tasks = {name: task for group in groups for name, task in group.get("dag", {}).get("tasks", {}).items()}
    return {shown: name for name in STEPS if name in tasks for shown in (name, tasks[name]["taskInfo"]["name"])}


def _seconds(task: dict[str, Any]) -> float | None:
    if not task.get("start_time") or not task.get("end_time"):
        return None
    # A task that has not ended does so in the year 1, for Kubeflow.
    took = (datetime.fromisoformat(task["end_time"]) - datetime.fromisoformat(task["start_time"])).total_seconds()
    return took if took >= 0 else None


def _sentence(thing: dict[str, Any]) -> str | None:
    message = str((thing.get("error") or {}).get("message") or "").strip()
    return message.splitlines()[0][:300] if message else None
