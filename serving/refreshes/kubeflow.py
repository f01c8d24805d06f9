"""Refreshes on Kubeflow Pipelines: a run of the compiled pipeline, which every replica finds by its name."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from foreact.blobs.connecting import refuse_credentials_among
from foreact.errors import ForeactError
from foreact.kubeflow.api import Kubeflow, embed_package
from foreact.kubeflow.connection import Refused
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings
from foreact.kubeflow.states import CANCELED, ENDED, SUCCEEDED
from foreact.kubeflow.verdict import Outcome, judge_run
from foreact.naming import encode_id
from foreact.runs.ledger import RunLedger, RunRecord
from foreact.runs.outcomes import explain_outcome
from foreact.steps import STEPS
from serving.refreshes.records import Refresh, Step
from serving.refreshes.runner import Progress
from serving.settings import ServingSettings


def name_run(refresh: Refresh) -> str:
    """Return the name of a refresh's run: the same from every replica, and of use to who lists runs."""
    return f"refresh {refresh.store[:60]} {refresh.requested_at:%Y-%m-%d %H:%M} {refresh.id.rpartition('-')[2]}"


class KubeflowRunner:
    """Starts and follows runs through the API of Kubeflow Pipelines."""

    parallel = 20
    interval = 3.0

    def __init__(
        self,
        kubeflow: Kubeflow,
        settings: KubeflowSettings,
        package: Package,
        arguments: dict[str, Any],
        runs: RunLedger,
    ) -> None:
        self._kubeflow = kubeflow
        self._settings = settings
        self._package = package
        self._arguments = arguments
        self._runs = runs

    @classmethod
    def from_settings(cls, settings: ServingSettings, kubeflow: KubeflowSettings, runs: RunLedger) -> "KubeflowRunner":
        """Return the runner that the settings describe; Kubeflow is not contacted yet."""
        try:
            arguments = json.loads(settings.refresh_arguments)
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise ForeactError("FOREACT_REFRESH_ARGUMENTS is not a JSON object of the pipeline's parameters.")
        refuse_credentials_among(arguments)
        try:
            package = Package.load(Path(settings.refresh_package))
        except ForeactError as problem:
            raise ForeactError(f"FOREACT_REFRESH_PACKAGE: {problem}") from None
        return cls(Kubeflow(kubeflow), kubeflow, package, arguments, runs)

    def close(self) -> None:
        """Close the connections."""
        self._kubeflow.close()

    def check(self) -> str | None:
        """Return why no refresh can run here; None if one can."""
        try:
            self._kubeflow.find_experiment(self._settings.experiment)
        except ForeactError as problem:
            return str(problem).rstrip(".")
        return None

    def start(self, refresh: Refresh) -> Refresh:
        """Create the run, unless it exists already because a replica died after creating it."""
        name = name_run(refresh)
        experiment = self._kubeflow.ensure_experiment(self._settings.experiment)
        run = self._kubeflow.find_run(name, experiment)
        if run is None:
            arguments = {**self._arguments, "store": refresh.store}
            pipeline = embed_package(self._package)
            run = self._kubeflow.create_run(name, experiment, pipeline, arguments, self._settings.service_account)
        return refresh.model_copy(update={"run": run["run_id"]})

    def observe(self, refresh: Refresh) -> Progress:
        """Return how far the run is: its steps by its own record, whatever number of pods runs them."""
        record = self._find_record(str(refresh.run))
        steps = refresh.steps if record is None else _list_steps(record, refresh.started_at or refresh.requested_at)
        if record is not None and record.has_published:
            # What still runs is of no concern to who waits for the numbers.
            return Progress("succeeded", steps)
        run = self._kubeflow.get_run(str(refresh.run))
        outcome = explain_outcome(judge_run(run, self._package), record)
        if outcome.state not in ENDED:
            return Progress("running", steps)
        if outcome.state == SUCCEEDED:
            return Progress("succeeded", steps)
        if outcome.state == CANCELED:
            return Progress("failed", steps, "run", "the run was cancelled in Kubeflow Pipelines")
        return Progress("failed", steps, outcome.step if outcome.step in STEPS else "run", _describe_failure(outcome))

    def find_end(self, record: RunRecord) -> Outcome | None:
        """Return how a run of either pipeline ended, whoever started it; None if it goes on or is not Kubeflow's."""
        try:
            run = self._kubeflow.get_run(record.id)
        except Refused as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        if run.get("state") not in ENDED:
            return None
        return explain_outcome(judge_run(run, self._load_package(record.pipeline)), record)

    def forget(self, refresh: Refresh) -> None:
        """Do nothing, because Kubeflow keeps the runs."""

    def stop(self, refresh: Refresh) -> None:
        """Ask Kubeflow to end the run."""
        try:
            self._kubeflow.terminate_run(str(refresh.run))
        except ForeactError:
            # It may have just ended by itself; it took too long in any case.
            return

    def _find_record(self, run: str) -> RunRecord | None:
        """Return the record of a run, where it can be read."""
        try:
            return self._runs.read_history().find_run(run)
        except ForeactError:
            return None

    def _load_package(self, pipeline: str) -> Package:
        """Return the compiled pipeline, which lies beside that of refreshes."""
        path = self._package.path.with_name(f"{encode_id(pipeline)}.yaml")
        return Package.load(path) if path.is_file() else self._package


def _list_steps(record: RunRecord, begun: datetime) -> tuple[Step, ...]:
    """Return the steps that a record tells of, each with the time since the one before ended."""
    steps = []
    before = begun
    for name, step in sorted(record.steps.items(), key=lambda step: step[1].started_at):
        if name in STEPS:
            until = step.ended_at or datetime.now(UTC)
            seconds = max(0.0, (until - before).total_seconds())
            steps.append(Step(name=name, state=step.state, seconds=round(seconds, 1)))
            before = until
    return tuple(steps)


def _describe_failure(outcome: Outcome) -> str:
    """Return why a run failed, in words for planners."""
    if outcome.message:
        return outcome.message
    if outcome.event == "could not be started":
        return f"Kubeflow Pipelines could not start {'this step' if outcome.step in STEPS else 'its steps'}"
    return "its steps failed as a whole" if outcome.event == "failed as a whole" else "the run ended as failed"
