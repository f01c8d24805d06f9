"""A thin seam over the Kubeflow Pipelines API: the few calls that are needed, and failures in one sentence.

It uses the client that kfp's own is built on. That one prints, reads a context file of its own, waits for ever on a
cancelled run, and has no time-outs.
"""

import json
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import kfp_server_api as api
import urllib3

from foreact.errors import ForeactError
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings

PAGE = 100


class Refused(ForeactError):
    """Kubeflow Pipelines answered, and said no."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(ForeactError):
    """No answer: what was asked may have been done or not."""


class Kubeflow:
    """One installation, seen from one namespace."""

    def __init__(self, settings: KubeflowSettings) -> None:
        if not settings.host:
            raise ForeactError("Say where Kubeflow Pipelines is: --host, or FOREACT_KFP_HOST.")
        host = settings.host.rstrip("/")
        self.host = host if "://" in host else f"https://{host}"
        self.namespace = settings.namespace or None
        self._timeout = (settings.connect_seconds, settings.answer_seconds)
        client = api.ApiClient(self._configuration(settings.ca_file, settings.token_file))
        self._client = client
        self._experiments = api.ExperimentServiceApi(client)
        self._pipelines = api.PipelineServiceApi(client)
        self._uploads = api.PipelineUploadServiceApi(client)
        self._runs = api.RunServiceApi(client)
        self._recurring = api.RecurringRunServiceApi(client)

    def _configuration(self, ca_file: Path | None, token_file: Path | None) -> Any:
        configuration = api.Configuration(host=self.host)
        # What was never sent may be sent again; what was sent only if it changes nothing.
        configuration.retries = urllib3.Retry(
            total=3, redirect=5, backoff_factor=0.2, allowed_methods={"GET"}, status_forcelist={502, 503, 504},
            raise_on_status=False,
        )  # fmt: skip
        if ca_file:
            configuration.ssl_ca_cert = str(ca_file)
        if token_file:
            configuration.api_key_prefix["authorization"] = "Bearer"
            configuration.refresh_api_key_hook = partial(_read_token, token_file)
            _read_token(token_file, configuration)
        return configuration

    # --- experiments

    def find_experiment(self, name: str) -> Any | None:
        """Give the experiment of that name, if there is one."""
        found = self._list(
            self._experiments.experiment_service_list_experiments, "experiments", equals(name), namespace=self.namespace
        )
        return next(found, None)

    def ensure_experiment(self, name: str) -> str:
        """Give the id of the experiment, made if it was missing."""
        found = self.find_experiment(name)
        if found is None:
            body = api.V2beta1Experiment(display_name=name, namespace=self.namespace)
            try:
                found = self._call(self._experiments.experiment_service_create_experiment, body)
            except Refused as problem:
                # Somebody else was faster.
                found = self.find_experiment(name) if problem.status == 409 else None
                if found is None:
                    raise
        return str(found.experiment_id)

    # --- pipelines and their versions

    def ensure_version(self, package: Package) -> tuple[Any, bool]:
        """Give the pipeline's version with this content, and whether it had to be uploaded."""
        pipeline = self._find_pipeline(package.name)
        if pipeline is None:
            body = api.V2beta1Pipeline(
                display_name=package.name, description=package.description, namespace=self.namespace
            )
            try:
                pipeline = self._call(self._pipelines.pipeline_service_create_pipeline, body)
            except Refused as problem:
                pipeline = self._find_pipeline(package.name) if problem.status == 409 else None
                if pipeline is None:
                    raise
        found = self._find_version(pipeline.pipeline_id, package)
        if found is not None:
            return found, False
        try:
            return self._upload(pipeline.pipeline_id, package), True
        except Refused as problem:
            found = self._find_version(pipeline.pipeline_id, package) if problem.status == 409 else None
            if found is None:
                raise
            return found, False

    def _find_pipeline(self, name: str) -> Any | None:
        found = self._list(
            self._pipelines.pipeline_service_list_pipelines, "pipelines", equals(name), namespace=self.namespace
        )
        return next(found, None)

    def _find_version(self, pipeline_id: str, package: Package) -> Any | None:
        found = self._list(
            self._pipelines.pipeline_service_list_pipeline_versions,
            "pipeline_versions",
            equals(version_name(package)),
            pipeline_id=pipeline_id,
        )
        return next(found, None)

    def _upload(self, pipeline_id: str, package: Package) -> Any:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, f"{package.name}.yaml")
            path.write_bytes(package.content)
            return self._call(
                self._uploads.upload_pipeline_version,
                str(path),
                name=version_name(package),
                pipelineid=pipeline_id,
                description=f"sha256:{package.hash}",
            )

    # --- runs

    def create_run(self, name: str, experiment: str, version: Any, parameters: dict[str, Any], account: str) -> Any:
        """Start a run of a pipeline's version."""
        body = api.V2beta1Run(
            display_name=name,
            experiment_id=experiment,
            pipeline_version_reference=reference(version),
            runtime_config=api.V2beta1RuntimeConfig(parameters=parameters),
            service_account=account or None,
        )
        return self._call(self._runs.run_service_create_run, body)

    def find_run(self, name: str, experiment: str) -> Any | None:
        """Give the first run of that name in an experiment, if there is one."""
        found = self._list(self._runs.run_service_list_runs, "runs", equals(name), experiment_id=experiment)
        return min(found, key=lambda run: (run.created_at, run.run_id), default=None)

    def terminate_run(self, run_id: str) -> None:
        """End a run."""
        self._call(self._runs.run_service_terminate_run, run_id)

    def get_run(self, run_id: str) -> Any:
        """Look how a run fares."""
        return self._call(self._runs.run_service_get_run, run_id)

    def recent_runs(self, experiment: str) -> list[Any]:
        """Give the newest runs of an experiment, those of schedules included."""
        page = self._call(
            self._runs.run_service_list_runs, experiment_id=experiment, sort_by="created_at desc", page_size=PAGE
        )
        return list(page.runs or [])

    # --- recurring runs

    def recurring_runs(self, experiment: str) -> list[Any]:
        """Give all recurring runs of an experiment."""
        return list(
            self._list(
                self._recurring.recurring_run_service_list_recurring_runs,
                "recurring_runs",
                None,
                experiment_id=experiment,
                sort_by="created_at asc",
            )
        )

    def create_recurring_run(self, body: Any) -> Any:
        """Create a recurring run."""
        return self._call(self._recurring.recurring_run_service_create_recurring_run, body)

    def enable(self, recurring_run_id: str) -> None:
        """Let a recurring run fire."""
        self._call(self._recurring.recurring_run_service_enable_recurring_run, recurring_run_id)

    def disable(self, recurring_run_id: str) -> None:
        """Keep a recurring run from firing."""
        self._call(self._recurring.recurring_run_service_disable_recurring_run, recurring_run_id)

    def delete(self, recurring_run_id: str) -> None:
        """Remove a recurring run; one that is gone already is fine."""
        try:
            self._call(self._recurring.recurring_run_service_delete_recurring_run, recurring_run_id)
        except Refused as problem:
            if problem.status != 404:
                raise

    # --- how calls are made

    def _list(self, method: Callable[..., Any], field: str, only: str | None, **options: Any) -> Iterator[Any]:
        token = ""
        while True:
            page = self._call(method, page_token=token, page_size=PAGE, filter=only or "", **_given(options))
            yield from getattr(page, field) or []
            token = page.next_page_token or ""
            if not token:
                return

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self._told():
            answer = method(*arguments, **_given(options), _request_timeout=self._timeout)
        kind = self._client.last_response.getheader("content-type") or ""
        if "json" not in kind:
            raise Refused(
                f"{self.host} answered with {kind.split(';')[0] or 'nothing'} instead of the Kubeflow Pipelines API's "
                "JSON: it is another server, or a login page that wants FOREACT_KFP_TOKEN_FILE.",
                200,
            )
        return answer

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except api.ApiException as error:
            raise self._refusal(error) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from None
        except AttributeError as error:
            # The generated client stumbles over its own error where TLS fails.
            if not isinstance(error.__context__, api.ApiException):
                raise
            raise self._unreachable(error.__context__) from None

    def _unreachable(self, error: BaseException) -> Unreachable:
        return Unreachable(f"Kubeflow Pipelines does not answer at {self.host}: {_reason(error)}.")

    def _refusal(self, error: Any) -> ForeactError:
        said = _message(error.body) or error.reason or "no reason given"
        if error.status == 401:
            sentence = f"Kubeflow Pipelines at {self.host} does not know this caller: check FOREACT_KFP_TOKEN_FILE."
        elif error.status == 403:
            sentence = f"Kubeflow Pipelines at {self.host} does not let this caller do that: {said}."
        elif error.status in {502, 503, 504}:
            return Unreachable(f"Kubeflow Pipelines does not answer at {self.host}: {error.status} {said}.")
        else:
            sentence = f"Kubeflow Pipelines refused ({error.status}): {said}."
        return Refused(sentence, error.status)


def _read_token(path: Path, configuration: Any) -> None:
    """Read the token anew: those that Kubernetes hands out are replaced while a run is waited for."""
    try:
        configuration.api_key["authorization"] = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ForeactError(f"The token file {path} (FOREACT_KFP_TOKEN_FILE) cannot be read.") from None


def version_name(package: Package) -> str:
    """Name a version by its content, so that the same content is uploaded once."""
    return f"sha256-{package.hash[:24]}"


def reference(version: Any) -> Any:
    """Point at a pipeline's version."""
    return api.V2beta1PipelineVersionReference(
        pipeline_id=version.pipeline_id, pipeline_version_id=version.pipeline_version_id
    )


def equals(name: str) -> str:
    """Write the filter for things of one name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]})


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _message(body: str | None) -> str:
    """Find what the server said: a status in JSON, or from its upload handlers plain text."""
    try:
        status = json.loads(body or "")
    except ValueError:
        status = {"message": "" if "<" in (body or "") else body}
    if not isinstance(status, dict):
        return ""
    text = str(status.get("message") or status.get("error_message") or status.get("error") or "").strip()
    return text.splitlines()[0].rstrip(".")[:300] if text else ""


def _reason(error: BaseException) -> str:
    """Say in a few words why there was no answer."""
    cause: BaseException = getattr(error, "reason", None) or error
    if isinstance(cause, str):
        return cause.strip().splitlines()[-1].rstrip(".")
    while isinstance(cause, urllib3.exceptions.HTTPError) and isinstance(cause.__cause__, OSError):
        cause = cause.__cause__
    words = {
        urllib3.exceptions.ConnectTimeoutError: "no connection in time",
        urllib3.exceptions.ReadTimeoutError: "no answer in time",
        urllib3.exceptions.NameResolutionError: "no such host",
        ConnectionRefusedError: "connection refused",
        ConnectionResetError: "the connection was cut",
        urllib3.exceptions.ProtocolError: "the connection was cut",
        ssl.SSLError: "TLS failed",
    }
    for kind, text in words.items():
        if isinstance(cause, kind):
            return text
    return str(cause).strip().splitlines()[0].rstrip(".") or type(cause).__name__
