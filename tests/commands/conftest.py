"""A chain small enough to be retrained in a test, by the very command that users type."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from foreact.demo import write_demo

Foreact = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Chain:
    """The files of a made-up chain and a workspace in which its forecasts are published."""

    history: Path
    known: list[Path]
    workspace: Path
    stores: list[str]

    @property
    def inputs(self) -> list[str]:
        return ["--history", str(self.history), *(part for path in self.known for part in ("--known", str(path)))]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "commands", *arguments]


def run_foreact(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


HALT = """
import sys, threading

class Halt:
    def find_spec(self, name, path=None, target=None):
        if name == {part!r}:
            threading.Event().wait()

sys.meta_path.insert(0, Halt())
"""


def halt_at(part: str, folder: Path) -> dict[str, str]:
    """Return an environment in which Python comes to a halt where it imports that part, until it is stopped."""
    (folder / "sitecustomize.py").write_text(HALT.format(part=part))
    return {**os.environ, "PYTHONPATH": str(folder)}


def write_chain(folder: Path, stores: int, items: int) -> Chain:
    demo = write_demo(folder / "data", date(2026, 3, 31), stores=stores, items=items, days=420)
    return Chain(demo.history, demo.known, folder / "workspace", demo.chain.stores)


@pytest.fixture(scope="session")
def foreact() -> Foreact:
    return run_foreact


@pytest.fixture(scope="session")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Return a chain of one store, published once."""
    chain = write_chain(tmp_path_factory.mktemp("one"), stores=1, items=4)
    done = run_foreact("run", "retrain-all", *chain.inputs, "--workspace", str(chain.workspace))
    assert done.returncode == 0, done.stderr
    return chain


@pytest.fixture(scope="session")
def three_stores(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Return a chain of three stores, published once, as of the day before its last."""
    chain = write_chain(tmp_path_factory.mktemp("three"), stores=3, items=6)
    place = ("--workspace", str(chain.workspace))
    done = run_foreact("run", "retrain-all", *chain.inputs, "--as-of", "2026-03-30", *place)
    assert done.returncode == 0, done.stderr
    return chain
