"""Accounts of people on an MLflow server that asks who they are, as the runbook makes them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException

from foreact.registry import Registry
from foreact.settings import PipelineSettings
from tests.foreact.registry.conftest import candidate
from tests.services import Process, hold_port

ADMIN = ("foreact-admin", "of this test alone")
PIPELINES = ("foreact-pipelines", "of its steps alone")


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[str, str]], None]:
    def enter(account: tuple[str, str]) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", account[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", account[1])

    return enter


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Run MLflow as `kustomize/platform/mlflow` does, with SQLite."""
    database, port = f"sqlite:///{tmp_path / 'server.db'}", hold_port()
    (tmp_path / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = {database}\nadmin_username = {ADMIN[0]}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_PIPELINES_USERNAME": PIPELINES[0],
        "MLFLOW_PIPELINES_PASSWORD": PIPELINES[1],
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost:*",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    options = ["--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", database, "--artifacts-destination", str(tmp_path / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", *options, *places, "--serve-artifacts"]
    # At each start, whatever the passwords were before.
    for password in ("one that was replaced", PIPELINES[1]):
        values = {**os.environ, **environment, "MLFLOW_PIPELINES_PASSWORD": password}
        subprocess.run([sys.executable, "-m", "foreact.registry.accounts"], env=values, check=True)
    process = Process(command, port, tmp_path / "server.log", environment, health="/health")
    process.start()
    try:
        yield f"http://localhost:{port}"
    finally:
        process.stop()


def make_reader(url: str) -> tuple[str, str]:
    """Make an account by the script of the runbook."""
    runbook = (Path(__file__).parents[3] / "kustomize" / "README.md").read_text()
    script = runbook.split("python - ada <<'EOF'\n")[1].split("\nEOF\n")[0]
    assert "http://localhost:5000" in script
    command = [sys.executable, "-c", script.replace("http://localhost:5000", url), "ada"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return "ada", made.stdout.strip()


@pytest.mark.slow
def test_a_reader_sees_and_fetches_every_model_and_changes_none(
    server: str, login: Callable[[tuple[str, str]], None], tmp_path: Path
) -> None:
    assert requests.get(server, timeout=60).status_code == 401
    assert requests.get(server.replace("localhost", "127.0.0.1"), timeout=60).status_code == 403

    # The steps' own account registers models, and tells again which is live, without being the administrator.
    login(PIPELINES)
    settings = PipelineSettings(mlflow_uri=server)
    assert Registry.connect(settings).load_champions(["Kiel"]) == {}
    for run in ("run", "later"):
        Registry.connect(settings).register_models(run, [candidate("Kiel")])
    assert Registry.connect(settings).find_champions(["Kiel"])["Kiel"].run == "later"
    users = f"{server}/api/2.0/mlflow/users"
    for method, route, asked in (
        ("POST", "create", {"username": "eve", "password": "of somebody else"}),
        ("PATCH", "update-admin", {"username": PIPELINES[0], "is_admin": True}),
        ("DELETE", "delete", {"username": ADMIN[0]}),
    ):
        answer = requests.request(method, f"{users}/{route}", json=asked, auth=PIPELINES, timeout=60)
        assert answer.status_code == 403, route

    login(ADMIN)
    reader = make_reader(server)
    login(reader)
    registry = Registry.connect(settings)
    assert registry.load_champions(["Kiel"])["Kiel"].packed
    mlflow.set_tracking_uri(server)
    try:
        fetched = mlflow.artifacts.download_artifacts("models:/foreact-Kiel@champion", dst_path=str(tmp_path))
    finally:
        mlflow.set_tracking_uri(None)
    assert Path(fetched, "model.zip").is_file()
    client = registry.client
    run = registry.find_champions(["Kiel"])["Kiel"].mlflow_run
    for forbidden in (
        lambda: client.set_registered_model_alias("foreact-Kiel", "champion", "1"),
        lambda: client.log_metric(run, "wape", 0.0),
        lambda: client.log_text(run, "changed", "models/Kiel/MLmodel"),
        lambda: client.delete_registered_model("foreact-Kiel"),
    ):
        with pytest.raises((MlflowException, requests.HTTPError), match="Permission denied"):
            forbidden()
