"""Credentials planted in the environment of whole runs and of the service are in nothing that these leave or say."""

import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from azure.storage.blob import BlobServiceClient

from foreact.registry import Registry
from foreact.settings import PipelineSettings
from tests.commands.conftest import Chain, command, write_chain
from tests.services import Azurite, hold_port, listens
from tests.waiting import until

KEY = b64encode(b"planted-account-key-" * 3).decode()
PLANTED = {
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000000",
    "AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001",
    "AZURE_CLIENT_SECRET": "planted-client-secret",
    "AZURE_STORAGE_KEY": KEY,
    "AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=https;AccountName=real;AccountKey={KEY}",
    "AZURE_STORAGE_SAS_TOKEN": "sv=2024&sig=planted-signature",
    "MLFLOW_TRACKING_USERNAME": "ada",
    "MLFLOW_TRACKING_PASSWORD": "planted-tracking-password",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "RAY_AUTH_TOKEN": "planted-ray-token" + "0" * 47,
    "FOREACT_SESSION_SECRET": "planted-session-secret-of-32-characters",  # not a secret
    "FOREACT_METRICS_TOKEN": "planted-metrics-token",
    "FOREACT_OIDC_CLIENT_SECRET": "planted-oidc-secret",
}
SECRETS = [
    KEY,
    "planted-client-secret",
    "planted-signature",
    "planted-tracking-password",
    "planted-ray-token",
    "planted-session-secret",
    "planted-metrics-token",
    "planted-oidc-secret",
    "planted-webhook-token",
    "planted-address-password",
    b64encode(b"ada:planted-tracking-password").decode(),
]


class Place:
    """Where the runs are made, and everything that they have said."""

    def __init__(self, chain: Chain, azurite: Azurite, mlflow: str) -> None:
        self.chain, self.azurite = chain, azurite
        self.said: list[str] = []
        self.started: list[subprocess.Popen[str]] = []
        blobs = azurite.settings()
        self.environment = {
            **PLANTED,
            "FOREACT_BLOB_URL": blobs["blob_url"],
            "FOREACT_BLOB_CONNECTION_STRING": blobs["blob_connection_string"],
            "FOREACT_MLFLOW_URI": mlflow,
            "FOREACT_WEBHOOK_URL": f"http://127.0.0.1:{hold_port()}/hook?token=planted-webhook-token",
        }

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*arguments, "--workspace", str(self.chain.workspace)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment, **environment},
        )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        out, err = process.communicate()
        self.said += [out, err]
        lines = err.strip().splitlines()
        return process.returncode, lines[-1] if lines else ""

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        return self.end(self.start(*arguments, **environment))

    @contextmanager
    def serving(self, **environment: str) -> Iterator[httpx.Client]:
        port = hold_port()
        process = self.start("serve", "--port", str(port), **environment)
        until(lambda: listens(port) or process.poll() is not None)
        address, hooks = f"http://127.0.0.1:{port}", {"response": [self.keep]}
        with httpx.Client(base_url=address, event_hooks=hooks, timeout=120) as client:
            yield client
        process.terminate()
        self.end(process)

    def keep(self, response: httpx.Response) -> None:
        self.said.append(f"{response.headers} {response.read().decode('latin-1')}")

    def left(self) -> Iterator[str]:
        """Return everything in the workspace, in the emulator and in the registry."""
        for path in self.chain.workspace.rglob("*"):
            yield str(path)
            if path.is_file():
                yield path.read_bytes().decode("latin-1")
        with BlobServiceClient.from_connection_string(self.azurite.connection_string) as account:
            for container in account.list_containers():
                client = account.get_container_client(container["name"])
                for blob in client.list_blobs():
                    yield f"{blob.name} {blob.metadata}"
                    yield client.download_blob(blob.name).readall().decode("latin-1")
        registry = Registry.connect(PipelineSettings(mlflow_uri=self.environment["FOREACT_MLFLOW_URI"])).client
        yield from (
            str(run.to_dictionary())
            for run in registry.search_runs([each.experiment_id for each in registry.search_experiments()])
        )
        yield from (str(dict(version)) for version in registry.search_model_versions())


def forms(secret: str) -> set[str]:
    """Return a secret as it is, in an address, and as an encoded text."""
    return {secret, quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("=")}


@pytest.mark.azurite
@pytest.mark.postgres
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_whole_runs_and_the_service_tell_no_credential(azurite: Azurite, mlflow_server: str, tmp_path: Path) -> None:
    with Place(write_chain(tmp_path, stores=2, items=3), azurite, mlflow_server) as place:
        search(place)


def search(place: Place) -> None:
    azurite, mlflow_server = place.azurite, place.environment["FOREACT_MLFLOW_URI"]
    inputs = place.chain.inputs
    one = ["run", "retrain-store", "--store", place.chain.stores[0]]
    dead = f"http://127.0.0.1:{hold_port()}/devstoreaccount1"
    without_blobs = {
        "FOREACT_BLOB_URL": f"{dead}/c",
        "FOREACT_BLOB_CONNECTION_STRING": azurite.connection_string.replace(azurite.endpoint, dead),
    }
    # Other tests have models of stores of these names in the same registry, which may go by more.
    code, last = place.run("run", "retrain-all", *inputs, "--accept-losses")
    assert code == 0, last
    waiting = place.start(*one, **without_blobs)

    wrong_key = azurite.connection_string.replace(azurite.key, KEY)
    address = mlflow_server.replace("://", "://ada:planted-address-password@")  # not a secret
    signed = f"{place.environment['FOREACT_BLOB_URL']}/sales?sig=planted-signature"
    opened = place.environment["FOREACT_BLOB_URL"].replace("://", "://u:planted-address-password@")  # not a secret
    for environment, arguments, sentence in (
        ({"FOREACT_BLOB_CONNECTION_STRING": wrong_key}, one, "this identity is not allowed"),
        ({"FOREACT_MLFLOW_URI": address}, one, "carries credentials"),
        ({"FOREACT_RAY_ADDRESS": "ray://127.0.0.1:1"}, ["run", "retrain-all"], "No Ray cluster answers"),
        ({"FOREACT_BLOB_URL": signed}, one, "carries credentials"),
        ({}, [*one, "--history", signed], "carries credentials"),
        ({}, [*one, "--known", opened], "carries credentials"),
    ):
        code, last = place.run(*arguments, **environment)
        assert (code, sentence in last) == (1, True), last
    # A run whose models cannot be registered yet publishes all the same, and says so.
    code, _ = place.run(*one, FOREACT_MLFLOW_URI=f"http://127.0.0.1:{hold_port()}")
    assert (code, "The model registry at http://127.0.0.1:" in "".join(place.said[-2:])) == (0, True)
    for arguments in (["publications", "list"], ["publications", "show", "1"], ["status"]):
        place.run(*arguments)
        place.run(*arguments, FOREACT_BLOB_CONNECTION_STRING=wrong_key)
    place.run("keys", "create", "--name", "search", "--role", "admin")
    # Said once, to whoever makes it.
    (key,) = re.findall(r"fa_[\w-]+", place.said.pop(-2))
    own = {"authorization": f"Bearer {key}"}
    strange = {"authorization": "Bearer wrong", "cookie": "session=wrong"}
    with place.serving() as client:
        routes = [path for path, methods in client.get("/openapi.json").json()["paths"].items() if "get" in methods]
        answered = set()
        for path in ["/metrics", "/readyz", "/docs", "/nowhere", "/login", *routes]:
            address = path.replace("{store}", place.chain.stores[0]).replace("{version}", "1")
            for who in ({}, strange, own):
                answered.add((path, client.get(address, headers=who).status_code))
        assert {("/v1/stores", 401), ("/v1/stores", 200), ("/v1/publications/{version}", 200)} <= answered
        client.get("/metrics", headers={"authorization": f"Bearer {PLANTED['FOREACT_METRICS_TOKEN']}"})
        client.post(f"/v1/stores/{place.chain.stores[0]}/refreshes", headers=strange)
    with place.serving(**without_blobs) as client:
        for path in ("/readyz", "/metrics", "/v1/stores"):
            client.get(path)
    code, last = place.end(waiting)
    assert (code, "no answer within 30 s" in last) == (1, True), last

    texts = [*place.said, *place.left()]
    assert len(texts) > 100
    for secret in [*SECRETS, azurite.key, key]:
        found = [text for form in forms(secret) for text in texts if form in text]
        assert not [text[:500] for text in found], secret
