"""Run a released commit on two made-up stores and pack what it wrote: python -m tests.releases.make COMMIT."""

import io
import json
import math
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.releases.packed import PLACE, WRITTEN, extract, is_text

ROOT = Path(__file__).parents[2]
FIRST, DAYS = date(2026, 7, 23), 120
# Seconds until the old service answers.
PATIENCE = 300.0


def check_out(commit: str, folder: Path) -> Path:
    """Unpack a commit of this repository's history, and return its folder."""
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        extract(archive, folder)
    return folder


def run_release(code: Path, *command: str, workspace: Path) -> str:
    """Run `foreact` of a checked-out release in a workspace, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "foreact", *command, "--workspace", str(workspace)],
        cwd=workspace.parent,
        env=name_environment(code),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"foreact {' '.join(command)} of {code} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def name_environment(code: Path) -> dict[str, str]:
    """Return the environment in which Python finds a release's code first."""
    return {**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}


def write_tables(folder: Path) -> None:
    """Write sales of two stores, a calendar and the stores' regions."""
    chance = random.Random(7)
    rows = ["date,store,item,units"]
    for store in ("Rostock", "Lisboa"):
        for day in (FIRST + timedelta(days=count) for count in range(DAYS)):
            for item, level in (("bread", 30), ("milk", 12)):
                usual = level * (1 + 0.3 * math.sin(2 * math.pi * day.weekday() / 7))
                rows.append(f"{day},{store},{item},{max(0, round(usual + chance.gauss(0, 2)))}")
    (folder / "sales.csv").write_text("\n".join(rows) + "\n")
    days = (FIRST + timedelta(days=count) for count in range(DAYS + 30))
    (folder / "calendar.csv").write_text(
        "".join(["date,fair\n", *(f"{day},{int(day.day in (10, 24))}\n" for day in days)])
    )
    (folder / "stores.csv").write_text("store,region\nRostock,North\nLisboa,South\n")


def make(commit: str, target: Path) -> None:
    """Let the release write a workspace, and pack it with what the release answered from it."""
    with tempfile.TemporaryDirectory() as scratch:
        code, place = check_out(commit, Path(scratch, "code")), Path(scratch, "place")
        place.mkdir()
        write_tables(place)
        workspace = place / "workspace"
        tables = ("--known", str(place / "calendar.csv"), "--known", str(place / "stores.csv"))
        history = ("--history", str(place / "sales.csv"))
        run_release(code, "run", "retrain-all", *history, *tables, "--horizon", "7", workspace=workspace)
        keys = {
            "admin": run_release(code, "keys", "create", "--name", "admin", "--role", "admin", workspace=workspace),
            "planner": run_release(
                code,
                "keys",
                "create",
                "--name",
                "planner",
                "--role",
                "planner",
                "--region",
                "North",
                workspace=workspace,
            ),
        }
        keys = {name: text.strip() for name, text in keys.items()}
        answers = _ask(code, workspace, keys)
        (workspace / "answers.json").write_text(json.dumps({"commit": commit, "keys": keys, **answers}, indent=1))
        _pack(place, target)


def _ask(code: Path, workspace: Path, keys: dict[str, str]) -> dict[str, Any]:
    """Log in by the link and by key, and return what the service answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "foreact", "serve", "--port", str(port), "--workspace", str(workspace)]
    log = workspace.parent / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=workspace.parent, env=name_environment(code), stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            _wait(lambda: client.get("/readyz").status_code == 200)
            admin = {"authorization": f"Bearer {keys['admin']}"}
            once = next(word for word in log.read_text().split() if "/login/once" in word)
            client.get(once)
            cookie = dict(client.cookies)
            client.cookies.clear()
            paths = ["/v1/stores", "/v1/publications", "/v1/forecasts?store=Rostock", "/v1/totals?store=Lisboa"]
            planner = {"authorization": f"Bearer {keys['planner']}"}
            return {
                "cookie": cookie,
                "admin": {path: client.get(path, headers=admin).raise_for_status().json() for path in paths},
                "planner": client.get("/v1/stores", headers=planner).raise_for_status().json(),
            }
    finally:
        server.terminate()
        server.wait(60)


def _wait(is_true: Any) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if is_true():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("The old service did not answer as expected.")


def _pack(place: Path, target: Path) -> None:
    """Pack a place without what runs leave behind, its path replaced by a word, its database as SQL."""
    workspace = place / "workspace"
    with sqlite3.connect(workspace / "mlflow.db") as database:
        (workspace / "mlflow.sql").write_text("\n".join(database.iterdump()))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:xz") as archive:
        for path in sorted(place.rglob("*")):
            parts = path.relative_to(place).parts
            if path.is_dir() or path.name in ("mlflow.db", "mlflow.lock", "serve.log", "log.txt"):
                continue
            if ({".locks", "artifacts"} & set(parts[:4]) and "mlflow-artifacts" not in parts) or "reports" in parts:
                continue
            data = path.read_bytes()
            if is_text(path):
                data = data.replace(str(place).encode(), PLACE)
            entry = tarfile.TarInfo("/".join(parts))
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    make(sys.argv[1], WRITTEN)
