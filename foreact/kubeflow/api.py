"""The few calls to the API of Kubeflow Pipelines (v2beta1) that are needed, over plain HTTP.

kfp's own client takes two seconds and a hundred megabytes to import, prints, has no timeouts, and waits for a cancelled
run for ever.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from foreact.clock import utc_now
from foreact.kubeflow.connection import PAGE_SIZE, Answer, Connection, Refused
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings


class Kubeflow:
    """One installation, seen from one namespace."""

    def __init__(self, settings: KubeflowSettings, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._connection = Connection(settings)
        self.host = self._connection.host
        self.namespace = settings.namespace

    def __enter__(self) -> "Kubeflow":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    # --- experiments

    def find_experiment(self, name: str) -> Answer | None:
        """Return the experiment of that name, if there is one."""
        return next(self._connection.list_pages("experiments", _filter_by_name(name), namespace=self.namespace), None)

    def ensure_experiment(self, name: str) -> str:
        """Return the id of the experiment, created if it was missing."""
        experiment = self.find_experiment(name)
        if experiment is None:
            try:
                experiment = self._connection.post_json("experiments", self._omit_blanks(display_name=name))
            except Refused as problem:
                # Another process has created it meanwhile.
                experiment = self.find_experiment(name) if problem.status == 409 else None
                if experiment is None:
                    raise
        return str(experiment["experiment_id"])

    # --- pipelines and their versions

    def ensure_version(self, package: Package) -> tuple[Answer, bool]:
        """Return the pipeline's version with this content, and whether it had to be uploaded."""
        pipeline = self._find_pipeline(package.name)
        if pipeline is None:
            body = self._omit_blanks(display_name=package.name, description=package.description)
            try:
                pipeline = self._connection.post_json("pipelines", body)
            except Refused as problem:
                pipeline = self._find_pipeline(package.name) if problem.status == 409 else None
                if pipeline is None:
                    raise
        version = self._find_version(pipeline["pipeline_id"], package)
        if version is not None:
            return version, False
        try:
            return self._upload_version(pipeline["pipeline_id"], package), True
        except Refused as problem:
            version = self._find_version(pipeline["pipeline_id"], package) if problem.status == 409 else None
            if version is None:
                raise
            return version, False

    def _find_pipeline(self, name: str) -> Answer | None:
        return next(self._connection.list_pages("pipelines", _filter_by_name(name), namespace=self.namespace), None)

    def _find_version(self, pipeline_id: str, package: Package) -> Answer | None:
        versions = self._connection.list_pages(
            f"pipelines/{pipeline_id}/versions", key="pipeline_versions", sort_by="created_at desc"
        )
        return next((version for version in versions if version.get("description") == _mark_content(package)), None)

    def _upload_version(self, pipeline_id: str, package: Package) -> Answer:
        name = name_version(package, self._clock())
        params = {"name": name, "pipelineid": pipeline_id, "description": _mark_content(package)}
        file = (f"{package.name}.yaml", package.content)
        return self._connection.send_request(
            "POST", "pipelines/upload_version", params=params, files={"uploadfile": file}
        )

    # --- runs

    def create_run(
        self, name: str, experiment_id: str, pipeline: Answer, parameters: dict[str, Any], service_account: str
    ) -> Answer:
        """Start a run of an uploaded version (`refer_to_version`) or of a package's own content (`embed_package`)."""
        body = {
            "display_name": name,
            "experiment_id": experiment_id,
            **pipeline,
            "runtime_config": {"parameters": parameters},
        }
        return self._connection.post_json(
            "runs", body | ({"service_account": service_account} if service_account else {})
        )

    def find_run(self, name: str, experiment_id: str) -> Answer | None:
        """Return the earliest run of that name in an experiment, if there is one."""
        runs = self._connection.list_pages("runs", _filter_by_name(name), experiment_id=experiment_id)
        return min(runs, key=lambda run: (read_moment(run["created_at"]), run["run_id"]), default=None)

    def get_run(self, run_id: str) -> Answer:
        """Return a run as it is now."""
        return self._connection.send_request("GET", f"runs/{run_id}")

    def terminate_run(self, run_id: str) -> None:
        """Stop a run."""
        self._connection.send_request("POST", f"runs/{run_id}:terminate")

    def list_recent_runs(self, experiment_id: str) -> list[Answer]:
        """Return the newest runs of an experiment, those of schedules included."""
        query = {"experiment_id": experiment_id, "sort_by": "created_at desc", "page_size": PAGE_SIZE}
        return list(self._connection.send_request("GET", "runs", params=query).get("runs") or [])

    # --- recurring runs

    def list_recurring_runs(self, experiment_id: str) -> list[Answer]:
        """Return all recurring runs of an experiment, the oldest first."""
        return list(self._connection.list_pages("recurringruns", key="recurringRuns", experiment_id=experiment_id))

    def create_recurring_run(self, body: Answer) -> Answer:
        """Create a recurring run."""
        return self._connection.post_json("recurringruns", body)

    def enable_recurring_run(self, recurring_run_id: str) -> None:
        """Let a recurring run fire."""
        self._connection.send_request("POST", f"recurringruns/{recurring_run_id}:enable")

    def disable_recurring_run(self, recurring_run_id: str) -> None:
        """Keep a recurring run from firing."""
        self._connection.send_request("POST", f"recurringruns/{recurring_run_id}:disable")

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete a recurring run; one that is already gone is not an error."""
        try:
            self._connection.send_request("DELETE", f"recurringruns/{recurring_run_id}")
        except Refused as problem:
            if problem.status != 404:
                raise

    def _omit_blanks(self, **body: str) -> Answer:
        return {name: value for name, value in {**body, "namespace": self.namespace}.items() if value}


def name_version(package: Package, now: datetime) -> str:
    """Return the name of a version that is uploaded now: its commit, the minute, and a little of its content's hash."""
    return "-".join(filter(None, (package.commit, f"{now:%Y%m%d-%H%M}", package.hash[:8])))


def _mark_content(package: Package) -> str:
    """Return the description by which a version is found again, so that the same content is uploaded once."""
    return f"sha256:{package.hash}"


def refer_to_version(version: Answer) -> Answer:
    """Return the part of a request that makes a run use an uploaded version."""
    ids = {"pipeline_id": version["pipeline_id"], "pipeline_version_id": version["pipeline_version_id"]}
    return {"pipeline_version_reference": ids}


def embed_package(package: Package) -> Answer:
    """Return the part of a request that makes a run use a package's content and platform settings without an upload."""
    spec, *platform = package.documents
    return {"pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec}


def read_moment(text: str) -> datetime:
    """Return the moment that a text of Kubeflow Pipelines names."""
    return datetime.fromisoformat(text)


def _filter_by_name(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]})
