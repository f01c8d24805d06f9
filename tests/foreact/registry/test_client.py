"""What is used of MLflow that MLflow does not promise, and how long its server is waited for."""

import inspect
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from foreact.errors import ForeactError
from foreact.registry import RegistryUnavailable
from foreact.registry.client import display_address, download_file, explain_mlflow_errors, reach_server


def test_every_repository_of_mlflow_downloads_one_file_as_we_ask_it_to(tmp_path: Path) -> None:
    assert all("_download_file" in vars(kind) for kind in (HttpArtifactRepository, LocalArtifactRepository))
    assert list(inspect.signature(ArtifactRepository._download_file).parameters) == [
        "self",
        "remote_file_path",
        "local_path",
    ]
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "one.zip").write_bytes(b"model")
    download_file(LocalArtifactRepository(f"file://{tmp_path}/artifacts"), "one.zip", tmp_path / "here.zip")
    assert (tmp_path / "here.zip").read_bytes() == b"model"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("https://ada@mlflow:5000/base", "https://mlflow:5000/base"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        # A mistake is told as it was made.
        ("http://mlflow:5000x", "http://mlflow:5000x"),
        ("mlflow", "mlflow"),
    ],
)
def test_an_address_is_named_without_credentials(uri: str, address: str) -> None:
    assert display_address(uri) == address


def test_a_driver_that_is_not_installed_is_named() -> None:
    said = "^the database wants the Python package 'no_such_driver', which is not here"
    with pytest.raises(ForeactError, match=said), explain_mlflow_errors("the database"):
        __import__("no_such_driver")


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
