"""A small Kubeflow Pipelines: its REST API over real HTTP, with runs that tests move along."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

API = "/apis/v2beta1"


class KubeflowApi:
    """What the backend knows."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.away = False
        handler = type("Handler", (_Handler,), {"api": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def create_run(self, body: dict[str, Any]) -> dict[str, Any]:
        run = {
            "run_id": f"kfp-{len(self.runs) + 1}",
            "display_name": body["display_name"],
            "experiment_id": body.get("experiment_id"),
            "runtime_config": body["runtime_config"],
            "pipeline_spec": body["pipeline_spec"],
            "created_at": _time(0),
            "state": "PENDING",
            "run_details": {"task_details": []},
        }
        self.runs[run["run_id"]] = run
        return run

    def move(self, run_id: str, state: str, **tasks: tuple[str, str | None]) -> None:
        """Set a run's state and its tasks', at once: name -> state and error."""
        details = [_task("root", "RUNNING", None, 0)]
        for place, (name, (task_state, error)) in enumerate(tasks.items(), 1):
            details.append(_task(f"{name}-driver", "SUCCEEDED", None, place))
            details.append(_task(name, task_state, error, place))
        self.runs[run_id] = {**self.runs[run_id], "state": state, "run_details": {"task_details": details}}


def _task(name: str, state: str, error: str | None, place: int) -> dict[str, Any]:
    task: dict[str, Any] = {
        "task_id": f"task-{name}",
        "display_name": name,
        "state": state,
        "create_time": _time(place),
        "start_time": _time(place),
    }
    if state != "RUNNING":
        task["end_time"] = _time(place + 5)
    if error:
        task["error"] = {"code": 13, "message": error}
    return task


def _time(seconds: int) -> str:
    return (datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


class _Handler(BaseHTTPRequestHandler):
    api: KubeflowApi

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if self.api.away:
            self._answer(503, {"error": "upstream connect error"})
        elif url.path == f"{API}/healthz":
            self._answer(200, {"multi_user": False})
        elif url.path == f"{API}/experiments":
            self._answer(200, {"experiments": self._named(self.api.experiments, query)})
        elif url.path == f"{API}/runs":
            self._answer(200, {"runs": self._named(self.api.runs, query)})
        elif (found := re.fullmatch(rf"{API}/runs/([^/]+)", url.path)) and found[1] in self.api.runs:
            self._answer(200, self.api.runs[found[1]])
        elif (found := re.fullmatch(rf"{API}/experiments/([^/]+)", url.path)) and found[1] in self.api.experiments:
            self._answer(200, self.api.experiments[found[1]])
        else:
            self._answer(404, {"error": f"{url.path} not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = urlsplit(self.path).path
        if self.api.away:
            self._answer(503, {"error": "upstream connect error"})
        elif path == f"{API}/experiments":
            experiment = {**body, "experiment_id": f"experiment-{len(self.api.experiments) + 1}"}
            self.api.experiments[experiment["experiment_id"]] = experiment
            self._answer(200, experiment)
        elif path == f"{API}/runs":
            self._answer(200, self.api.create_run(body))
        elif found := re.fullmatch(rf"{API}/runs/([^/]+):terminate", path):
            self.api.move(found[1], "CANCELED")
            self._answer(200, {})
        else:
            self._answer(404, {"error": f"{path} not found"})

    def _named(self, things: dict[str, dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        predicates = json.loads(query.get("filter", "{}")).get("predicates", [])
        wanted = [p.get("stringValue", p.get("string_value")) for p in predicates]
        return [thing for thing in things.values() if all(thing["display_name"] == name for name in wanted)]

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        pass
