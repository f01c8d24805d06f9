"""`make smoke` asks a place's real service as a viewer, by a key that is gone afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from serving.auth.keys import list_keys
from tests.kustomize.clones import make_clone
from tests.kustomize.manifests import ROOT
from tests.services import Process, hold_port
from tests.serving import shop

FAKE = Path(__file__).parent / "fake_kubectl.py"


@dataclass(frozen=True)
class Place:
    """A service that runs, and what its cluster's kubectl knows of it."""

    held: Path
    url: str
    clone: Path

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.held / "workspace/blobs")

    def smoke(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Let make ask the service."""
        port = self.url.rpartition(":")[2]
        known = {
            "HELD": str(self.held),
            "CONTEXTS": "foreact-dev",
            "PYTHONPATH": str(ROOT.parent),
            "PORTS": f'{{"service/foreact-serving": {port}}}',
        }
        given = (f"KUBECTL={sys.executable} {FAKE}", f"BIN={Path(sys.executable).parent}", f"PYTHON={sys.executable}")
        command = ["make", "--silent", *given, "smoke", *arguments]
        return subprocess.run(
            command,
            cwd=self.clone,
            env={**os.environ, **known, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Serve three stores, or none where a test says so, by the name of an overlay where it names one."""
    kind = getattr(request, "param", "")
    if kind != "empty":
        shop.publish(FolderStore(tmp_path / "workspace/blobs"))
    environment = {"PYTHONPATH": str(ROOT.parent)}
    if kind == "local":
        environment["FOREACT_PUBLIC_URL"] = "https://foreact.localhost"
    port, workspace = hold_port(), str(tmp_path / "workspace")
    command = [sys.executable, "-m", "commands", "serve", "--port", str(port), "--workspace", workspace]
    process = Process(command, port, tmp_path / "service.log", environment, health="/healthz")
    process.start()
    (tmp_path / "revisions.json").write_text("[]")
    yield Place(tmp_path, process.url, make_clone(tmp_path / "clone"))
    process.stop()


@pytest.fixture
def nobody(tmp_path: Path) -> Place:
    """Return a place whose service is not asked."""
    (tmp_path / "revisions.json").write_text("[]")
    return Place(tmp_path, "http://127.0.0.1:1", make_clone(tmp_path / "clone"))


def check_key(place: Place) -> None:
    [key] = list_keys(place.store)
    assert (key.grant.role, key.state) == ("viewer", "revoked")


def test_a_viewers_key_is_made_and_revoked(place: Place) -> None:
    done = place.smoke("OVERLAY=dev", f"URL={place.url}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/v1/stores/S1" in done.stdout
    check_key(place)


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_a_laptops_service_is_found_by_a_forwarded_port_and_asked_by_its_name(place: Place) -> None:
    done = place.smoke("OVERLAY=local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/v1/stores/S1" in done.stdout
    check_key(place)


def test_a_key_that_is_given_is_taken(place: Place) -> None:
    done = place.smoke("OVERLAY=dev", f"URL={place.url}", "WAIT=0", FOREACT_API_KEY="fa_made-up")
    assert "401 to this key" in done.stderr
    assert list_keys(place.store) == []


@pytest.mark.parametrize("place", ["empty"], indirect=True)
def test_a_service_without_forecasts_fails_and_leaves_no_key(place: Place) -> None:
    done = place.smoke("OVERLAY=dev", f"URL={place.url}", "WAIT=0")
    assert done.returncode != 0
    assert "nothing is published yet; run retrain-all first" in done.stderr
    assert [key.state for key in list_keys(place.store)] == ["revoked"]


def test_a_cluster_out_of_reach_is_told(nobody: Place) -> None:
    done = nobody.smoke("OVERLAY=prod", f"URL={nobody.url}")
    assert done.returncode != 0
    assert "no key can be made in a pod of foreact-serving" in done.stderr
    assert 'context "foreact-prod" does not exist' in done.stderr


def test_a_service_that_is_not_there_is_told(nobody: Place) -> None:
    done = nobody.smoke("OVERLAY=local", PORTS="{}")
    assert done.returncode != 0
    assert "foreact-serving of foreact cannot be reached: install it first" in done.stderr
