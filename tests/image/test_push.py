"""`make image push` to a real registry, as somebody with a cluster types it."""

import subprocess

import httpx2 as httpx
import pytest

from tests.image.conftest import Images
from tests.image.engine import ROOT, Engine, make_base

pytestmark = [pytest.mark.docker, pytest.mark.slow]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def test_what_is_pushed_names_what_it_submits_by_digest(docker_engine: Engine, images: Images, registry: str) -> None:
    make = ["make", "image", "push", f"REGISTRY={registry}", "TAG=test", f"BASE={make_base(docker_engine)}"]
    done = subprocess.run(make, cwd=ROOT, env=docker_engine.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    pushed = httpx.get(
        f"http://{registry}/v2/foreact-pipeline/manifests/test", headers={"accept": MANIFEST}, timeout=60
    )
    digest = pushed.headers["docker-content-digest"]
    reference = f"{registry}/foreact-serving:test"
    docker_engine.docker("image", "rm", "--force", reference)
    docker_engine.docker("pull", "--quiet", reference)
    script = "cat /opt/foreact/compiled/*.yaml"
    compiled = docker_engine.docker("run", "--rm", "--network", "none", reference, "sh", "-c", script).stdout
    named = {line.split("image: ")[1] for line in compiled.splitlines() if " image: " in line}
    docker_engine.docker("image", "rm", "--force", reference, f"{registry}/foreact-pipeline:test", check=False)
    assert named == {f"{registry}/foreact-pipeline@{digest}"}


def test_nothing_uncommitted_is_pushed(registry: str) -> None:
    done = subprocess.run(
        ["make", "push", f"REGISTRY={registry}", "TAG=abc-dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "commit first" in done.stdout
    assert httpx.get(f"http://{registry}/v2/_catalog", timeout=60).json() == {"repositories": []}
