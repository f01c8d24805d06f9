"""Training on a real Ray cluster of a head and two workers, one of which is killed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.train.fanout import RECONNECT_SECONDS
from tests.components.train.ray_cluster import STORES
from tests.parts import require, unavailable

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Any]]:
    """What happened on a cluster that had a network of its own."""
    require("unshare", install="apt-get install util-linux")
    alone = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid():
        alone.insert(1, "--map-root-user")
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        unavailable("needs namespaces of its own: run as root, or allow unprivileged user namespaces")
    # Ray's sockets have to fit into 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="r"))
    try:
        done = subprocess.run(
            [*alone, sys.executable, "-m", "tests.components.train.ray_cluster", "scenario", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert lines, done.stdout[-2000:] + done.stderr[-4000:]
        yield json.loads(lines[-1].removeprefix("RESULT "))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_worker_that_dies_takes_nothing_with_it(seen: dict[str, Any]) -> None:
    training = seen["training"]
    assert training["failures"] == {}
    assert training["same"] == training["stores"] == STORES, "what came back is what one process makes of it"
    assert 0 < training["killed_after"] < STORES // 2, "both workers had a share, and most was still to do"
    assert training["alive"] == [2, 1]


def test_a_driver_that_was_cut_off_goes_on(seen: dict[str, Any]) -> None:
    """It was, when the worker died; a minute is seen by hand."""
    assert seen["training"]["patience"] == RECONNECT_SECONDS > 60
    assert seen["training"]["same"] == STORES


def test_workers_read_and_write_object_storage_themselves(seen: dict[str, Any]) -> None:
    assert seen["training"]["data_seen_by_workers"] == 0
    assert seen["training"]["largest_job"] < 2_000, "a job says where the data is"
    assert seen["training"]["largest_result"] < 40_000, "and a result, beside a picture, where the numbers are"


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        # Ray itself goes on for minutes, and then says something else.
        ("nobody", "No Ray cluster answers at ray://127.0.0.1:9"),
        ("mute", "failed (ray client connection timeout)"),
        ("wrong token", "check that FOREACT_RAY_ADDRESS is a Ray cluster, RAY_AUTH_TOKEN its token"),
        ("no token", "requires a token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file."),
    ],
)
def test_what_cannot_work_is_one_sentence(seen: dict[str, Any], case: str, sentence: str) -> None:
    assert sentence in seen[case]["said"]
    assert len(seen[case]["said"].splitlines()) == 1
