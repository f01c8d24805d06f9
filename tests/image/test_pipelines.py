"""Both compiled pipelines in the images that ship, against real services; then the service over what they published."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from kfp import compiler, dsl

from foreact.blobs import connect
from foreact.demo import Demo, write_demo
from foreact.publications import Reader
from foreact.publications.contract import Manifest
from foreact.registry.client import make_client
from foreact.registry.records import model_name
from foreact.settings import PlaceSettings
from serving.auth import keys
from serving.auth.principal import Grant
from tests.image.conftest import Images
from tests.image.engine import ROOT, Engine
from tests.services import Azurite, hold_port
from tests.waiting import until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.azurite,
    pytest.mark.postgres,
    pytest.mark.ray,
    pytest.mark.slow,
]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(azurite: Azurite) -> PlaceSettings:
    return PlaceSettings(**azurite.settings())


@pytest.fixture(scope="module")
def shop(place: PlaceSettings, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Return a made-up chain whose files lie in Blob."""
    folder = tmp_path_factory.mktemp("shop")
    demo = write_demo(folder, datetime.now(UTC).date() - timedelta(days=1), stores=3, items=6, days=420)
    store = connect(place)
    for file in (demo.history, *demo.known):
        store.write(f"sales/{file.name}", file.read_bytes())
    return demo


@pytest.fixture(scope="module")
def run(
    docker_engine: Engine,
    images: Images,
    place: PlaceSettings,
    mlflow_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Run a compiled pipeline, as it lies in the image, with each task a container of that image."""
    folder = tmp_path_factory.mktemp("runs")
    environment = {
        "FOREACT_BLOB_URL": place.blob_url,
        "FOREACT_BLOB_CONNECTION_STRING": place.blob_connection_string.get_secret_value(),
        "FOREACT_MLFLOW_URI": mlflow_server,
    }

    def run(compiled: Path | str, **parameters: Any) -> subprocess.CompletedProcess[str]:
        if isinstance(compiled, str):
            # The service's image carries them with the reference that its build was given.
            shipped = docker_engine.docker(
                "run", "--rm", "--network", "none", images.serving, "cat", f"/opt/foreact/compiled/{compiled}.yaml"
            )
            compiled = folder / f"{compiled}.yaml"
            compiled.write_text(shipped.stdout)
        root = folder / f"run-{len(list(folder.iterdir()))}"
        return subprocess.run(
            [
                *(sys.executable, "-m", "tests.image.runner", str(compiled), str(root)),
                *(json.dumps(parameters), json.dumps(environment)),
            ],
            cwd=ROOT,
            env=docker_engine.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def inputs(shop: Demo, place: PlaceSettings) -> dict[str, Any]:
    names = [file.name for file in (shop.history, *shop.known)]
    history, *known = (f"{place.blob_url}/sales/{name}" for name in names)
    return {"history": history, "known": known, "horizon": 14, "train_memory": "3Gi", "step_memory": "2Gi"}


def manifest(place: PlaceSettings) -> Manifest:
    return Reader(connect(place)).read_current().manifest


@pytest.fixture(scope="module")
def retrained(run: Run, inputs: dict[str, Any], place: PlaceSettings) -> Manifest:
    # Other tests have models of stores of these names in the same registry, which may go by more.
    done = run("retrain-all", **inputs, accept_losses=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return manifest(place)


class TestOneAfterTheOther:
    def test_every_store_is_published_by_the_image_s_own_code(
        self, retrained: Manifest, shop: Demo, images: Images, mlflow_server: str
    ) -> None:
        assert sorted(retrained.stores) == sorted(shop.chain.stores)
        assert {entry.code_version for entry in retrained.stores.values()} == {images.commit}
        client = make_client(mlflow_server)
        for store, entry in retrained.stores.items():
            champion = client.get_model_version_by_alias(model_name(store), "champion")
            assert entry.model.version == champion.version

    def test_one_store_changes_alone(
        self, retrained: Manifest, run: Run, inputs: dict[str, Any], place: PlaceSettings
    ) -> None:
        store = sorted(retrained.stores)[1]
        done = run("retrain-store", store=store, **inputs)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        after = manifest(place)
        assert after.version == retrained.version + 1
        changed = {name for name, entry in after.stores.items() if entry != retrained.stores[name]}
        assert changed == {store}

    def test_a_step_that_refuses_fails_the_pipeline_and_changes_nothing(
        self, retrained: Manifest, run: Run, inputs: dict[str, Any], place: PlaceSettings
    ) -> None:
        before = manifest(place)
        done = run("retrain-store", store="no such store", **inputs, max_rejected_share=0.5)
        assert done.returncode != 0
        assert "no such store" in done.stdout
        assert manifest(place) == before


def test_a_component_that_must_fail_is_reported_failed(run: Run, images: Images, tmp_path: Path) -> None:
    @dsl.component(base_image=images.pipeline, install_kfp_package=False)
    def must_fail() -> None:
        raise SystemExit(3)

    @dsl.pipeline
    def failing() -> None:
        must_fail()

    compiler.Compiler().compile(failing, str(tmp_path / "failing.yaml"))
    done = run(tmp_path / "failing.yaml")
    assert done.returncode != 0
    assert "FAILURE" in done.stdout + done.stderr


@pytest.fixture
def service(docker_engine: Engine, images: Images, place: PlaceSettings, retrained: Manifest) -> Iterator[str]:
    """Run the serving image, locked up, over what the pipelines published; gives where it answers."""
    port = hold_port()
    settings = {
        "FOREACT_BLOB_URL": place.blob_url,
        "FOREACT_BLOB_CONNECTION_STRING": place.blob_connection_string.get_secret_value(),
        "FOREACT_RUNNER": "none",
    }
    given = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    options = ("--detach", "--read-only", "--tmpfs", "/tmp", "--network", "host", "--cap-drop", "ALL")
    command = ("foreact", "serve", "--host", "127.0.0.1", "--port", str(port))
    container = docker_engine.docker(
        "run", *options, "--security-opt", "no-new-privileges", *given, images.serving, *command
    ).stdout.strip()
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _is_ready(url))
        yield url
    except BaseException:
        logs = docker_engine.docker("logs", container, check=False)
        sys.stderr.write(logs.stdout[-3000:] + logs.stderr[-3000:])
        raise
    finally:
        docker_engine.docker("rm", "--force", container, check=False)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def test_the_service_answers_with_what_the_pipelines_published(
    service: str, place: PlaceSettings, retrained: Manifest
) -> None:
    text, _ = keys.create_key(connect(place), "a planner's sheet", Grant(role="viewer"), created_by="a test")
    store = sorted(retrained.stores)[0]

    def ask(**headers: str) -> httpx.Response:
        query = {"store": store, "format": "csv"}
        return httpx.get(f"{service}/v1/forecasts", params=query, headers=headers, timeout=60)

    # A new key opens within seconds.
    until(lambda: ask(authorization=f"Bearer {text}").status_code != 401)
    answer = ask(authorization=f"Bearer {text}")
    assert answer.status_code == 200, answer.text
    assert len(answer.text.splitlines()) == 1 + 6 * 14
    assert ask().status_code == 401
