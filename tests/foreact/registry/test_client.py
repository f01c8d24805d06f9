"""Waiting for a server of MLflow, at one that is ill until it is told to be well."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from foreact.registry import RegistryUnavailable
from foreact.registry.client import explain_mlflow_errors, reach_server


class Server(ThreadingHTTPServer):
    """Counts what it is asked."""

    status = 503
    asked = 0


class Handler(BaseHTTPRequestHandler):
    """Answers with the server's status, but well when asked for its health, as MLflow does without its database."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200 if self.path == "/health" else self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_server_is_waited_for_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    uri = f"http://127.0.0.1:{server.server_port}"

    def count_tries() -> int:
        before = server.asked
        with pytest.raises(RegistryUnavailable, match="The model registry at"), explain_mlflow_errors(uri):
            reach_server(uri)
        return server.asked - before

    assert [count_tries(), count_tries(), count_tries()] == [3, 1, 1]
    server.status = 200
    reach_server(uri)
    # It answered since, so that the next outage is worth waiting for again.
    server.status = 503
    assert count_tries() == 3
