"""The few calls to the API of Kubeflow Pipelines (v2beta1) that are needed, over plain HTTP.

kfp's own client takes two seconds and a hundred megabytes to import, prints, has no timeouts, and waits for ever for a
cancelled run.
"""

import json
import socket
import ssl
import time
from collections.abc import Generator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from foreact.errors import ForeactError
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings

PAGE_SIZE = 100
# A server that restarts is asked again, as long as asking changes nothing.
RETRY_PAUSES = (0.0, 0.2, 0.4)
AWAY = frozenset({502, 503, 504})

Answer = dict[str, Any]


class Refused(ForeactError):
    """Kubeflow Pipelines answered, and said no."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(ForeactError):
    """No answer: what was asked for may have been done or not."""


class Kubeflow:
    """One installation, seen from one namespace."""

    def __init__(self, settings: KubeflowSettings) -> None:
        if not settings.host:
            raise ForeactError("Say where Kubeflow Pipelines is: --host, or FOREACT_KFP_HOST.")
        host = settings.host.rstrip("/")
        self.host = host if "://" in host else f"https://{host}"
        self.namespace = settings.namespace
        self._http = httpx.Client(
            base_url=f"{self.host}/apis/v2beta1/",
            timeout=httpx.Timeout(settings.answer_seconds, connect=settings.connect_seconds),
            auth=_TokenFile(settings.token_file) if settings.token_file else None,
            # What was never sent may be sent again, whatever it is.
            transport=httpx.HTTPTransport(
                verify=ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True, retries=2
            ),
            follow_redirects=True,
        )

    def __enter__(self) -> "Kubeflow":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- experiments

    def find_experiment(self, name: str) -> Answer | None:
        """Return the experiment of that name, if there is one."""
        return next(self._list("experiments", _filter_by_name(name), namespace=self.namespace), None)

    def ensure_experiment(self, name: str) -> str:
        """Return the id of the experiment, created if it was missing."""
        experiment = self.find_experiment(name)
        if experiment is None:
            try:
                experiment = self._post("experiments", self._without_blanks(display_name=name))
            except Refused as problem:
                # Somebody else was faster.
                experiment = self.find_experiment(name) if problem.status == 409 else None
                if experiment is None:
                    raise
        return str(experiment["experiment_id"])

    # --- pipelines and their versions

    def ensure_version(self, package: Package) -> tuple[Answer, bool]:
        """Return the pipeline's version with this content, and whether it had to be uploaded."""
        pipeline = self._find_pipeline(package.name)
        if pipeline is None:
            body = self._without_blanks(display_name=package.name, description=package.description)
            try:
                pipeline = self._post("pipelines", body)
            except Refused as problem:
                pipeline = self._find_pipeline(package.name) if problem.status == 409 else None
                if pipeline is None:
                    raise
        version = self._find_version(pipeline["pipeline_id"], package)
        if version is not None:
            return version, False
        try:
            return self._upload(pipeline["pipeline_id"], package), True
        except Refused as problem:
            version = self._find_version(pipeline["pipeline_id"], package) if problem.status == 409 else None
            if version is None:
                raise
            return version, False

    def _find_pipeline(self, name: str) -> Answer | None:
        return next(self._list("pipelines", _filter_by_name(name), namespace=self.namespace), None)

    def _find_version(self, pipeline_id: str, package: Package) -> Answer | None:
        only = _filter_by_name(name_version(package))
        return next(self._list(f"pipelines/{pipeline_id}/versions", only, key="pipeline_versions"), None)

    def _upload(self, pipeline_id: str, package: Package) -> Answer:
        about = {"name": name_version(package), "pipelineid": pipeline_id, "description": f"sha256:{package.hash}"}
        file = (f"{package.name}.yaml", package.content)
        return self._ask("POST", "pipelines/upload_version", params=about, files={"uploadfile": file})

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
        return self._post("runs", body | ({"service_account": service_account} if service_account else {}))

    def find_run(self, name: str, experiment_id: str) -> Answer | None:
        """Return the earliest run of that name in an experiment, if there is one."""
        runs = self._list("runs", _filter_by_name(name), experiment_id=experiment_id)
        return min(runs, key=lambda run: (read_moment(run["created_at"]), run["run_id"]), default=None)

    def get_run(self, run_id: str) -> Answer:
        """Return a run as it is now."""
        return self._ask("GET", f"runs/{run_id}")

    def terminate_run(self, run_id: str) -> None:
        """End a run."""
        self._ask("POST", f"runs/{run_id}:terminate")

    def list_recent_runs(self, experiment_id: str) -> list[Answer]:
        """Return the newest runs of an experiment, those of schedules included."""
        query = {"experiment_id": experiment_id, "sort_by": "created_at desc", "page_size": PAGE_SIZE}
        return list(self._ask("GET", "runs", params=query).get("runs") or [])

    # --- recurring runs

    def list_recurring_runs(self, experiment_id: str) -> list[Answer]:
        """Return all recurring runs of an experiment, the oldest first."""
        return list(self._list("recurringruns", key="recurringRuns", experiment_id=experiment_id))

    def create_recurring_run(self, body: Answer) -> Answer:
        """Create a recurring run."""
        return self._post("recurringruns", body)

    def enable_recurring_run(self, recurring_run_id: str) -> None:
        """Let a recurring run fire."""
        self._ask("POST", f"recurringruns/{recurring_run_id}:enable")

    def disable_recurring_run(self, recurring_run_id: str) -> None:
        """Keep a recurring run from firing."""
        self._ask("POST", f"recurringruns/{recurring_run_id}:disable")

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete a recurring run; one that is gone already is fine."""
        try:
            self._ask("DELETE", f"recurringruns/{recurring_run_id}")
        except Refused as problem:
            if problem.status != 404:
                raise

    # --- how calls are made

    def _list(self, path: str, only: str = "", *, key: str = "", **query: str) -> Iterator[Answer]:
        token = ""
        while True:
            page = self._ask("GET", path, params={"page_token": token, "page_size": PAGE_SIZE, "filter": only, **query})
            yield from page.get(key or path) or []
            token = page.get("next_page_token") or ""
            if not token:
                return

    def _post(self, path: str, body: Answer) -> Answer:
        return self._ask("POST", path, json=body)

    def _without_blanks(self, **body: str) -> Answer:
        return {name: value for name, value in {**body, "namespace": self.namespace}.items() if value}

    def _ask(self, method: str, path: str, **options: Any) -> Answer:
        pauses = RETRY_PAUSES if method == "GET" else ()
        for pause in pauses:
            try:
                response = self._http.request(method, path, **options)
                if response.status_code not in AWAY:
                    return self._read(response)
            except httpx.TransportError:
                pass
            time.sleep(pause)
        try:
            return self._read(self._http.request(method, path, **options))
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(
                f"Kubeflow Pipelines does not answer at {self.host}: {_explain_silence(error)}."
            ) from None

    def _read(self, response: httpx.Response) -> Answer:
        if response.is_error:
            raise self._refusal(response)
        kind = response.headers.get("content-type", "").partition(";")[0]
        try:
            answer = response.json() if "json" in kind else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Refused(
                f"{self.host} answered with {kind or 'nothing'} instead of the Kubeflow Pipelines API's "
                "JSON: it is another server, or a login page that wants FOREACT_KFP_TOKEN_FILE.",
                response.status_code,
            )
        return answer

    def _refusal(self, response: httpx.Response) -> ForeactError:
        status = response.status_code
        reason = _read_message(response.text) or response.reason_phrase or "no reason given"
        if status in AWAY:
            return Unreachable(f"Kubeflow Pipelines does not answer at {self.host}: {status} {reason}.")
        if status == 401:
            sentence = f"Kubeflow Pipelines at {self.host} does not know this caller: check FOREACT_KFP_TOKEN_FILE."
        elif status == 403:
            sentence = f"Kubeflow Pipelines at {self.host} does not let this caller do that: {reason}."
        else:
            sentence = f"Kubeflow Pipelines refused ({status}): {reason}."
        return Refused(sentence, status)


class _TokenFile(httpx.Auth):
    """Presents the token that the file holds now: those that Kubernetes hands out are replaced while we run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        try:
            token = self.path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ForeactError(f"The token file {self.path} (FOREACT_KFP_TOKEN_FILE) cannot be read.") from None
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


def name_version(package: Package) -> str:
    """Return the name of a package's version: by its content, so that the same content is uploaded once."""
    return f"sha256-{package.hash[:24]}"


def refer_to_version(version: Answer) -> Answer:
    """Return what makes a run use an uploaded version."""
    ids = {"pipeline_id": version["pipeline_id"], "pipeline_version_id": version["pipeline_version_id"]}
    return {"pipeline_version_reference": ids}


def embed_package(package: Package) -> Answer:
    """Return what makes a run use a package's content, platform settings included, without an upload."""
    spec, *platform = package.documents
    return {"pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec}


def read_moment(text: str) -> datetime:
    """Return a moment as Kubeflow Pipelines writes it."""
    return datetime.fromisoformat(text)


def _filter_by_name(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]})


def _read_message(body: str) -> str:
    """Return what the server says: a status in JSON, or plain text from its upload handlers."""
    try:
        status = json.loads(body)
    except ValueError:
        status = {"message": "" if "<" in body else body}
    if not isinstance(status, dict):
        return ""
    text = str(status.get("message") or status.get("error_message") or status.get("error") or "").strip()
    return text.splitlines()[0].rstrip(".")[:300] if text else ""


def _explain_silence(error: BaseException) -> str:
    """Say in a few words why there was no answer."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    words: dict[type[BaseException], str] = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.TimeoutException: "no answer in time",
        socket.gaierror: "no such host",
        ConnectionRefusedError: "connection refused",
        ssl.SSLError: "TLS failed",
        ConnectionResetError: "the connection was cut",
        httpx.ReadError: "the connection was cut",
        httpx.RemoteProtocolError: "the connection was cut",
    }
    for kind, text in words.items():
        if any(isinstance(each, kind) for each in chain):
            return text
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
