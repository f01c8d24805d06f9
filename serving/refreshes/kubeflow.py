"""Refreshes on Kubeflow Pipelines: a run of the compiled pipeline, found again by its name in any replica."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from foreact.blobs.connecting import refuse_credentials_among
from foreact.errors import ForeactError
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
        self, api: KubeflowApi, package: Path, experiment: str, service_account: str, arguments: dict[str, Any]
    ) -> None:
        self._api = api
        self._package = package
        self._experiment = experiment
        self._service_account = service_account
        self._arguments = arguments

    @classmethod
    def of(cls, settings: ServingSettings) -> "KubeflowRunner":
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
        return cls(api, package, settings.kfp_experiment, settings.kfp_service_account, arguments)

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
        steps, failed, sentence = _steps(run)
        state = ENDED.get(str(run.get("state")), "running")
        if state == "succeeded":
            return Progress("succeeded", steps)
        if state == "running":
            return Progress("running", steps)
        told = sentence or _sentence(run) or f"the run ended {str(run.get('state')).lower()}"
        return Progress("failed", steps, failed or "run", told)

    def forget(self, refresh: Refresh) -> None:
        """Keep nothing: Kubeflow does."""

    def stop(self, refresh: Refresh) -> None:
        """Ask Kubeflow to end the run."""
        try:
            self._api.terminate_run(str(refresh.run))
        except ForeactError:
            # It may just have ended by itself; the record says that it took too long in any case.
            return


def _steps(run: dict[str, Any]) -> tuple[tuple[Step, ...], str | None, str | None]:
    """Make steps of a run's tasks; drivers and the pipeline itself are none."""
    details = (run.get("run_details") or {}).get("task_details") or []
    tasks = sorted((task for task in details if _is_step(task, run)), key=lambda task: str(task.get("create_time")))
    steps, failed, sentence = [], None, None
    for task in tasks:
        state = ENDED.get(str(task.get("state")), "running")
        step = {"name": task["display_name"], "state": state, "seconds": _seconds(task)}
        steps.append(Step.model_validate(step))
        if state == "failed" and failed is None:
            failed, sentence = task["display_name"], _sentence(task)
    return tuple(steps), failed, sentence


def _is_step(task: dict[str, Any], run: dict[str, Any]) -> bool:
    name = task.get("display_name") or ""
    return bool(name) and name not in {"root", "executor", run.get("display_name")} and not name.endswith("driver")


def _seconds(task: dict[str, Any]) -> float | None:
    if not task.get("start_time") or not task.get("end_time"):
        return None
    # A task that has not ended ends at the epoch, for Kubeflow.
    took = (datetime.fromisoformat(task["end_time"]) - datetime.fromisoformat(task["start_time"])).total_seconds()
    return took if took >= 0 else None


def _sentence(thing: dict[str, Any]) -> str | None:
    message = str((thing.get("error") or {}).get("message") or "").strip()
    return message.splitlines()[0][:300] if message else None
