"""Every command in the README, run as it stands there."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from foreact.demo import write_demo
from tests.services import Process, hold_port

ROOT = Path(__file__).parent.parent
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines()
]
SERVERS = ("foreact serve", "mlflow ui")
# What calls a service that has to be there.
CALLERS = ("foreact smoke", "foreact probe")
# make run is `foreact demo`, which has a test of its own; make test is what runs this.
MAKE = tuple(command for command in COMMANDS if command.startswith("make "))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a user's files, in which forecasts are already published."""
    from datetime import date

    folder = tmp_path_factory.mktemp("readme")
    demo = write_demo(folder, date(2026, 3, 31), stores=1, items=3, days=420)
    with demo.history.open(newline="") as source, (folder / "sales.csv").open("w", newline="") as target:
        rows = csv.reader(source)
        header = [{"date": "Day", "units": "Qty"}.get(name, name) for name in next(rows)]
        writer = csv.writer(target)
        writer.writerow(header)
        writer.writerows(rows)
    for path, name in zip(demo.known, ("calendar.csv", "prices.parquet"), strict=False):
        if path.name != name:
            shutil.move(path, folder / name)
    (folder / "MLproject").symlink_to(ROOT / "MLproject")
    done = run("foreact run retrain-all --history sales.csv --columns date=Day,units=Qty", folder)
    assert done.returncode == 0, done.stderr
    return folder


def environment() -> dict[str, str]:
    """Find the commands of this environment first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", MAKE)
def test_the_two_commands_are_targets(command: str) -> None:
    done = subprocess.run(["make", "--dry-run", *command.split()[1:]], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in MAKE and not c.startswith((*SERVERS, *CALLERS))])
def test_a_command_does_what_it_says(command: str, folder: Path) -> None:
    done = run(command, folder)
    # The made-up sales end in the past, and status says so.
    assert done.returncode == (1 if command == "foreact status" else 0), done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def serve(command: str, port: int, folder: Path, health: str) -> Iterator[None]:
    """Run a server in the folder, as it is typed there, and wait until it works."""
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    shell = ["bash", "-c", f"cd {folder} && exec {command}"]
    process = Process(shell, port, folder / "server.txt", environment() | quiet, health=health)
    process.start()
    try:
        yield
    finally:
        process.stop()


@pytest.fixture
def serving(folder: Path) -> Iterator[int]:
    port = hold_port()
    command = next(c for c in COMMANDS if c.startswith("foreact serve")).replace("8080", str(port))
    with serve(command, port, folder, "/healthz"):
        yield port


@pytest.mark.slow
def test_the_service_serves_and_smoke_finds_nothing(serving: int, folder: Path) -> None:
    (command,) = [c for c in COMMANDS if c.startswith("foreact smoke")]
    done = run(command.replace("8080", str(serving)), folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (command,) = [c for c in COMMANDS if c.startswith("foreact probe")]
    done = run(command.replace("8080", str(serving)), folder)
    assert "refuses the key: set FOREACT_API_KEY" in done.stderr


@pytest.mark.slow
def test_mlflow_shows_the_models(folder: Path) -> None:
    (command,) = [c for c in COMMANDS if c.startswith("mlflow ui")]
    port = hold_port()
    with serve(f"{command} --port {port}", port, folder, "/health"):
        pass
