"""The probe is content with a service that answers in time what was published, and with nothing else."""

import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands.probe import probe
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from serving.auth import keys
from serving.auth.principal import Grant
from tests.services import Process, hold_port
from tests.serving import shop
from tests.waiting import until

NOW = datetime.now(UTC)
# What is compared with no object store.
NOWHERE = Path("/nowhere")


@dataclass(frozen=True)
class Service:
    url: str
    workspace: Path
    key: str

    def probe(self, workspace: Path | None = None, key: str = "") -> None:
        probe(self.url, workspace or self.workspace, key or self.key, timeout=60)


def publish(
    workspace: Path, *stores: str, ago: timedelta = timedelta(minutes=10), days: int = 1, seed: int = 1
) -> None:
    made = NOW - ago
    as_of = NOW.date() - timedelta(days=days)
    run = f"run-{seed}-{days}-{ago.seconds}"
    shop.publish(FolderStore(workspace / "blobs"), stores, run=run, items=2, as_of=as_of, generated_at=made, seed=seed)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    workspace, port = tmp_path_factory.mktemp("probed"), hold_port()
    publish(workspace, "A", "B/1")
    key, _ = keys.create_key(FolderStore(workspace / "blobs"), "probe", Grant(role="viewer"), created_by="test")
    command = [sys.executable, "-m", "commands", "serve", "--port", str(port), "--workspace", str(workspace)]
    process = Process(command, port, workspace / "serve.txt", {"FOREACT_RUNNER": "none"}, health="/readyz")
    process.start()
    yield Service(process.url, workspace, key)
    process.stop()


@pytest.fixture
def copied(service: Service, tmp_path: Path) -> Path:
    """Return a copy of what is served, to be changed while the service knows nothing of it."""
    shutil.copytree(service.workspace / "blobs", tmp_path / "blobs")
    return tmp_path


def test_what_was_published_is_what_is_answered(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.probe()
    assert "2 stores fresh at" in (said := capsys.readouterr().out)
    assert "14 days of item" in said
    assert said.endswith("as published.\n")
    service.probe(NOWHERE)
    assert capsys.readouterr().out.endswith("not compared with the object store.\n")


def test_another_number_than_the_published_one_is_told(service: Service, tmp_path: Path) -> None:
    publish(tmp_path, "A", "B/1", seed=2)
    with pytest.raises(ForeactError, match=r"says [\d.]+ for the mean of item .* in version 1 .*was published"):
        service.probe(tmp_path)


def test_other_days_than_the_published_ones_are_told(service: Service, tmp_path: Path) -> None:
    publish(tmp_path, "A", "B/1", days=2)
    with pytest.raises(ForeactError, match="for other days than were published"):
        service.probe(tmp_path)


def test_what_was_published_and_is_not_served_is_told(service: Service, copied: Path) -> None:
    publish(copied, "A", ago=timedelta(minutes=5), seed=2)
    with pytest.raises(ForeactError, match="serves version 1, although version 2 was published at"):
        service.probe(copied)


def test_what_was_published_a_moment_ago_may_yet_come(service: Service, copied: Path) -> None:
    shop.publish(FolderStore(copied / "blobs"), ["A"], run="now", items=2, generated_at=datetime.now(UTC))
    service.probe(copied)


@pytest.mark.parametrize("key", ["fa_guessed", "fa_\u00e9", "fa_two\nlines", " "])
def test_a_key_that_is_not_valid_is_told(service: Service, key: str) -> None:
    with pytest.raises(ForeactError, match="FOREACT_API_KEY") as told:
        service.probe(key=key)
    assert key not in str(told.value) or not key.strip()


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(ForeactError, match="'http://planners:port' is not an address"):
        probe("http://planners:port", NOWHERE, "", timeout=60)


def test_a_service_that_is_not_there_is_told() -> None:
    with pytest.raises(ForeactError, match="does not answer /v1/stores: ConnectError"):
        probe(f"http://127.0.0.1:{hold_port()}", NOWHERE, "", timeout=60)


def test_a_service_that_takes_too_long_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(ForeactError, match=r"did not answer /v1/stores within 0\.2 s"):
            probe(url, NOWHERE, "", timeout=0.2)


def test_a_store_that_is_late_is_told(service: Service) -> None:
    """The last test of this service: it stays stale."""
    publish(service.workspace, "C", days=9, ago=timedelta(days=8))

    def look() -> str:
        try:
            service.probe(NOWHERE)
        except ForeactError as problem:
            return str(problem)
        return ""

    sentence = until(look)
    assert "1 of 3 stores at" in sentence
    assert "are not fresh: 'C' (published " in sentence
