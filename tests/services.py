"""The real services that tests talk to: started on free loopback ports, once a test run, ended with it."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.parts import require, unavailable
from tests.waiting import until

ACCOUNT = "devstoreaccount1"
# Bound but not listened at, until this process ends.
_held: list[socket.socket] = []


def hold_port() -> int:
    """Return a port of our own: nobody listens there but whoever is told of it, as often as that is started.

    The kernel gives a port that is bound to nobody who asks for any, nor as the near end of a connection.
    """
    holder = socket.socket()
    # Where both sides ask for this, a server may bind what is bound already; servers do, to be started again at once.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether somebody does."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 5)):
        return True
    return False


@dataclass
class Process:
    """A server in the background, its output in a file."""

    command: list[str]
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    # As whom it runs, where not as the tests do.
    options: list[str] = field(default_factory=list)
    # SIGINT is PostgreSQL's fast shutdown.
    ends_by: signal.Signals = signal.SIGTERM
    # What answers once it works, where listening says too little.
    health: str = ""
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Tests that are killed take their services along.
        [setpriv] = require("setpriv", install="apt-get install util-linux")
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [setpriv, "--pdeathsig", self.ends_by.name.removeprefix("SIG"), *self.options, *self.command],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        until(self._answers)

    def _answers(self) -> bool:
        if self.running is None or self.running.poll() is not None:
            raise RuntimeError(f"{' '.join(self.command)} did not start: {self.log.read_text()[-2000:]}")
        if not self.health:
            return listens(self.port)
        with suppress(OSError), urllib.request.urlopen(f"{self.url}{self.health}", timeout=60) as answer:
            return bool(answer.status == 200)
        return False

    def stop(self) -> None:
        """End it and what it has started."""
        if self.running is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.running.pid, self.ends_by)
        try:
            self.running.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()
        self.running = None


@dataclass
class Azurite:
    """The emulator, its account's key made up for this run."""

    process: Process
    key: str

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.process.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={self.key};BlobEndpoint={self.endpoint};"
        )

    def settings(self, container: str = "", **more: Any) -> dict[str, Any]:
        """Return the settings of a place that uses a container of its own."""
        container = container or f"c{uuid4().hex}"
        return {
            "blob_url": f"{self.endpoint}/{container}",
            "blob_connection_string": self.connection_string,
            **more,
        }


@contextmanager
def serve_azurite(folder: Path, *others: str) -> Iterator[Azurite]:
    """Run an emulator that keeps its blobs in a folder, with other options of its command."""
    [command] = require("azurite-blob", install="npm install -g azurite")
    port, key = hold_port(), b64encode(secrets.token_bytes(64)).decode()
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "blobs")]
    quiet = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    environment = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}
    azurite = Azurite(Process([command, *options, *quiet, *others], port, folder / "azurite.log", environment), key)
    azurite.process.start()
    try:
        yield azurite
    finally:
        azurite.process.stop()


@contextmanager
def serve_postgres() -> Iterator[str]:
    """Run PostgreSQL and give its address; it refuses to be root, so then it is nobody."""
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    initdb, server = (shutil.which(name, path=path) for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        unavailable("needs PostgreSQL: apt-get install postgresql")
    assert initdb is not None
    assert server is not None
    # Not below pytest's folder, into which only its owner may look.
    with tempfile.TemporaryDirectory(prefix="foreact-postgres-") as folder:
        yield from _serve_postgres(initdb, server, Path(folder))


def _serve_postgres(initdb: str, server: str, folder: Path) -> Iterator[str]:
    humbly: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        humbly = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data, port = str(folder / "data"), hold_port()
    cluster = ["-U", "foreact", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    [setpriv] = require("setpriv", install="apt-get install util-linux")
    subprocess.run([setpriv, *humbly, initdb, "-D", data, *cluster], check=True, capture_output=True, cwd="/")
    options = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
    command = [server, "-D", data, *(part for option in options for part in ("-c", option))]
    process = Process(command, port, folder / "postgres.log", options=humbly, ends_by=signal.SIGINT)
    process.start()
    try:
        yield f"postgresql+psycopg2://foreact@127.0.0.1:{port}/postgres"
    finally:
        process.stop()


@contextmanager
def serve_mlflow(postgres: str, azurite: Azurite, folder: Path, workers: int = 1) -> Iterator[Process]:
    """Run an MLflow server on PostgreSQL that keeps artifacts in the emulator for its clients."""
    from azure.storage.blob import ContainerClient

    container = f"mlflow{uuid4().hex[:8]}"
    with ContainerClient.from_connection_string(azurite.connection_string, container) as client:
        client.create_container()
    port = hold_port()
    command = [
        *(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            str(workers),
        ),
        *("--backend-store-uri", postgres),
        *("--artifacts-destination", f"wasbs://{container}@{ACCOUNT}.blob.core.windows.net/artifacts"),
    ]
    environment = {
        "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    process = Process(command, port, folder / "mlflow-server.log", environment, health="/health")
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Return the emulator that tests share; a test that stops one starts its own."""
    with serve_azurite(tmp_path_factory.mktemp("azurite")) as service:
        yield service


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the address of a PostgreSQL database."""
    with serve_postgres() as address:
        yield address


@pytest.fixture(scope="session")
def mlflow_server(postgres: str, azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an MLflow server as on a cluster."""
    with serve_mlflow(postgres, azurite, tmp_path_factory.mktemp("mlflow-server")) as server:
        yield server.url
