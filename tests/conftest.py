"""What tests of more than one part share."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

# Fixtures are found by their names here.
from tests.services import azurite, mlflow_server, postgres

__all__ = ["azurite", "mlflow_server", "postgres"]

# Of an example that takes long it is the machine that is slow; the rest is Hypothesis' own, which differs in CI.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


pytest_plugins = ["tests.kubeflow.fixtures"]


def pytest_configure() -> None:
    # A shell's background jobs ignore Ctrl-C, and would hand that down to commands whose Ctrl-C is tested.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class FileScheduling(LoadFileScheduling):
    """Keeps the tests of a file in one worker, and all that need an image: what they share is set up once."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/image" if nodeid.startswith("tests/image/") else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the images, since whoever builds them is busy longest."""
    images = Path(__file__).parent / "image"
    items.sort(key=lambda item: images not in item.path.parents)


@pytest.fixture(scope="session", autouse=True)
def ray_folder() -> Iterator[None]:
    """Let Ray leave its sessions where they end with the tests; its sockets' names may not be long."""
    with tempfile.TemporaryDirectory(prefix="r") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        yield


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty MLflow database; making its tables takes seconds, copying it none."""
    from foreact.registry.client import make_client

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    make_client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workspace(tmp_path: Path, mlflow_tables: Path) -> Path:
    """Return a workspace of one's own, its registry ready."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copy(mlflow_tables, folder / "mlflow.db")
    return folder
