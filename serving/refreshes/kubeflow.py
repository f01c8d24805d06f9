"""Refreshes on Kubeflow Pipelines: a run of the compiled pipeline, found again by its name in any replica."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from foreact.blobs.connecting import refuse_credentials_among
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger, RunRecord
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
        runs: RunLedger,
    ) -> None:
        self._api = api
        self._package = package
        self._names, self._groups = _names(package)
        self._experiment = experiment
        self._service_account = service_account
        self._arguments = arguments
        self._runs = runs

    @classmethod
    def of(cls, settings: ServingSettings, runs: RunLedger) -> "KubeflowRunner":
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
        tasks = (run.get("run_details") or {}).get("task_details") or []
        steps = self._steps(tasks)
        state = ENDED.get(str(run.get("state")), "running")
        if state == "running":
            return Progress("running", steps)
        # A run that somebody ended counts as failed in the end, for Kubeflow.
        if any(past.get("state") == "CANCELING" for past in (run.get("state_history") or [])[-2:]):
            return Progress("failed", steps, "run", "the run was cancelled in Kubeflow Pipelines")
        # Where the exit handler ended well, Kubeflow may call a run succeeded of which a step failed.
        failed, sentence = self._broken(tasks)
        if state == "succeeded" and not failed:
            return Progress("succeeded", steps)
        told = self._told(refresh)
        failed = failed or (told.failed_step if told else "") or "run"
        # What the step says of itself says more than what Kubeflow saw of it.
        own = told.steps[failed].sentence if told and failed in told.steps else ""
        why = own or sentence or (told.complaint if told else "") or _sentence(run)
        return Progress("failed", steps, failed, why or f"the run ended {str(run.get('state')).lower()}")

    def forget(self, refresh: Refresh) -> None:
        """Keep nothing: Kubeflow does."""

    def stop(self, refresh: Refresh) -> None:
        """Ask Kubeflow to end the run."""
        try:
            self._api.terminate_run(str(refresh.run))
        except ForeactError:
            # It may just have ended by itself; the record says that it took too long in any case.
            return

    def _steps(self, tasks: list[dict[str, Any]]) -> tuple[Step, ...]:
        """Make steps of a run's tasks, in their order; the engine's own groups and drivers are none."""
        latest = _latest(tasks, self._names)
        return tuple(
            Step.model_validate(
                {
                    "name": name,
                    "state": ENDED.get(str(latest[name]["state"]), "running"),
                    "seconds": _seconds(latest[name]),
                }
            )
            for name in STEPS
            if name in latest
        )

    def _broken(self, tasks: list[dict[str, Any]]) -> tuple[str, str]:
        """Name the step that failed or was never started, and why; nothing if all went well."""
        latest = _latest(tasks, self._names)
        drivers = _latest(tasks, {f"{shown}-driver": name for shown, name in self._names.items()})
        for name in STEPS:
            if name in latest and ENDED.get(str(latest[name]["state"])) == "failed":
                return name, _sentence(latest[name]) or ""
        for name in STEPS:
            if name in drivers and drivers[name]["state"] == "FAILED":
                return name, "Kubeflow Pipelines could not start this step"
        groups = _latest(tasks, self._groups)
        if not any(group["state"] == "FAILED" for group in groups.values()):
            return "", ""
        began = any(not name.endswith("-driver") for name in groups)
        return "run", "its steps failed as a whole" if began else "Kubeflow Pipelines could not start its steps"

    def _told(self, refresh: Refresh) -> RunRecord | None:
        """Give what the run's steps told of themselves."""
        try:
            return self._runs.read().find(str(refresh.run))
        except ForeactError:
            return None


def _names(package: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Give a compiled pipeline's steps, and its groups with their drivers, by what Kubeflow may call them."""
    try:
        spec = next(iter(yaml.safe_load_all(package.read_bytes())))
        groups = [spec["root"], *spec["components"].values()]
        tasks = {name: task for group in groups for name, task in group.get("dag", {}).get("tasks", {}).items()}
        within = {name for name, task in tasks.items() if "dag" in spec["components"][task["componentRef"]["name"]]}
        titles = {name: task.get("taskInfo", {}).get("name", name) for name, task in tasks.items()}
    except (yaml.YAMLError, UnicodeDecodeError, StopIteration, LookupError, TypeError, AttributeError):
        raise ForeactError(
            f"FOREACT_REFRESH_PACKAGE {str(package)!r} is no compiled pipeline: `foreact compile` makes it."
        ) from None
    steps = {shown: name for name in STEPS if name in tasks for shown in (name, titles[name])}
    engine = {shown: name for name in within for shown in (name, titles[name])} | {"root": "root"}
    return steps, engine | {f"{shown}-driver": f"{name}-driver" for shown, name in engine.items()}


def _latest(tasks: list[dict[str, Any]], names: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Give the last try of each task by its name; Kubeflow lists them in no order."""
    # What was left out since something else failed has no state.
    tried = [task for task in tasks if task.get("state") and task.get("display_name") in names]
    # What has not begun yet has no start, or one long ago.
    tried.sort(key=lambda task: _moment(task.get("start_time")) or datetime.max.replace(tzinfo=UTC))
    return {names[task["display_name"]]: task for task in tried}


def _moment(text: str | None) -> datetime | None:
    at = datetime.fromisoformat(text) if text else None
    return at if at and at.year > 1970 else None


def _seconds(task: dict[str, Any]) -> float | None:
    # A task that has not ended does so in the year 1, for Kubeflow.
    began, ended = _moment(task.get("start_time")), _moment(task.get("end_time"))
    return (ended - began).total_seconds() if began and ended and ended >= began else None


def _sentence(thing: dict[str, Any]) -> str | None:
    message = str((thing.get("error") or {}).get("message") or "").strip()
    return message.splitlines()[0][:300] if message else None
