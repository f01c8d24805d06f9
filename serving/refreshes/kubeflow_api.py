"""The few calls to the API of Kubeflow Pipelines that a refresh needs, over plain HTTP.

kfp's own client takes two seconds and a hundred megabytes to import, waits without end, and cannot say which service
account a compiled pipeline runs as when a token has to be read anew.
"""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import yaml

from foreact.errors import ForeactError

TIMEOUT = httpx.Timeout(20, connect=3)


class _TokenFile(httpx.Auth):
    """Presents the token that the file holds now; Kubernetes replaces it while the service runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self.path.read_text(encoding='ascii').strip()}"
        yield request


class KubeflowApi:
    """Kubeflow Pipelines' API v2beta1, seen from one namespace."""

    def __init__(self, host: str, namespace: str, token_file: Path | None) -> None:
        self._namespace = namespace
        self._http = httpx.Client(
            base_url=host.rstrip("/") + "/apis/v2beta1/",
            timeout=TIMEOUT,
            auth=_TokenFile(token_file) if token_file else None,
            transport=httpx.HTTPTransport(retries=2),
        )

    def close(self) -> None:
        """Give its connections back."""
        self._http.close()

    def find_experiment(self, name: str) -> dict[str, Any] | None:
        """Give the experiment of that name, if there is one."""
        query = {"filter": _named(name), "page_size": "1", "namespace": self._namespace}
        return _first(self._ask("GET", "experiments", "list experiments", params=query), "experiments")

    def ensure_experiment(self, name: str) -> str:
        """Give the id of the experiment, made if it was missing."""
        found = self.find_experiment(name)
        if found is None:
            body = {"display_name": name, "namespace": self._namespace}
            found = self._ask("POST", "experiments", "make an experiment", json=body)
        return str(found["experiment_id"])

    def find_run(self, name: str, experiment: str) -> dict[str, Any] | None:
        """Give the run of that name, if there is one."""
        query = {"filter": _named(name), "page_size": "1", "experiment_id": experiment}
        return _first(self._ask("GET", "runs", "list runs", params=query), "runs")

    def create_run(
        self, name: str, experiment: str, package: Path, arguments: dict[str, Any], service_account: str
    ) -> dict[str, Any]:
        """Start a run of a compiled pipeline, its platform settings included."""
        body = {
            "display_name": name,
            "experiment_id": experiment,
            "pipeline_spec": _read(package),
            "runtime_config": {"parameters": arguments},
            "service_account": service_account,
        }
        return self._ask("POST", "runs", "start a run", json=body)

    def get_run(self, run: str) -> dict[str, Any]:
        """Look how a run fares."""
        return self._ask("GET", f"runs/{run}", "tell of a run")

    def terminate_run(self, run: str) -> None:
        """End a run."""
        self._ask("POST", f"runs/{run}:terminate", "end a run")

    def _ask(self, method: str, path: str, what: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
            answer = response.json()
        except (httpx.HTTPError, OSError) as error:
            raise ForeactError(f"Kubeflow Pipelines does not answer: {str(error) or type(error).__name__}") from None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ForeactError(f"Kubeflow Pipelines did not {what}: it answered {response.status_code} and no JSON")
        if response.is_error:
            said = str(answer.get("message") or response.reason_phrase).strip().splitlines()[0][:300]
            raise ForeactError(f"Kubeflow Pipelines did not {what}: {said}")
        return answer


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]})


def _first(answer: dict[str, Any], kind: str) -> dict[str, Any] | None:
    found = answer.get(kind) or []
    return found[0] if found else None


def _read(package: Path) -> dict[str, Any]:
    spec, *platform = yaml.safe_load_all(package.read_bytes())
    return {"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec
