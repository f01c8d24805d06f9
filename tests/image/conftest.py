"""The engine and the two images, built once a session."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.image.engine import ROOT, Engine, make_base, run_engine
from tests.parts import require
from tests.services import Process, hold_port


@dataclass(frozen=True)
class Images:
    """The references of what was built, and the commit in their labels."""

    pipeline: str
    serving: str
    commit: str


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """Run a Docker engine; its environment has DOCKER_HOST."""
    require("dockerd", "docker", "debootstrap", install="apt-get install docker.io debootstrap (and run as root)")
    with run_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def images(docker_engine: Engine) -> Images:
    """Build both targets from the tree as it is."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    base = make_base(docker_engine)
    labels = {"VERSION": "0.1.0", "COMMIT": commit}
    pipeline = docker_engine.build("pipeline", f"foreact-pipeline:{commit}", base, **labels)
    serving = docker_engine.build("serving", f"foreact-serving:{commit}", base, PIPELINE_IMAGE=pipeline, **labels)
    return Images(pipeline=pipeline, serving=serving, commit=commit)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Return the address of an empty registry."""
    [command] = require("docker-registry", install="apt-get install docker-registry")
    port = hold_port()
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
    }
    file = tmp_path / "registry.yml"
    file.write_text(json.dumps(settings))
    process = Process([command, "serve", str(file)], port, tmp_path / "registry.log")
    process.start()
    yield f"127.0.0.1:{port}"
    process.stop()
