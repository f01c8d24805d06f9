"""A small retailer whose forecasts are published by the very command that people type."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from foreact.blobs import BlobStore, connect
from foreact.demo import write_demo
from foreact.publications import Manifest, Reader
from foreact.runs.ledger import RunLedger
from foreact.settings import PlaceSettings


@dataclass
class Retailer:
    """Its files, its workspace, and the runs over them."""

    history: Path
    known: list[Path]
    workspace: Path
    stores: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    # The container of its publications, where they are not in the workspace.
    place: dict[str, str] = field(default_factory=dict)
    # What each command is begun by.
    prefix: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of its place, as a process reads them."""
        return {f"FOREACT_{name.upper()}": value for name, value in self.place.items()}

    @property
    def blobs(self) -> BlobStore:
        return connect(PlaceSettings(workspace=self.workspace, **self.place))  # type: ignore[arg-type]

    @property
    def pages(self) -> list[str]:
        """What a planner looks at."""
        store = self.stores[0]
        return [f"/v1/totals?store={store}", "/", f"/stores/{store}", "/export.csv"]

    @property
    def reader(self) -> Reader:
        return Reader(self.blobs)

    def manifest(self) -> Manifest:
        return self.reader.read_current().manifest

    def check(self) -> int:
        """Read every published object, its bytes held against its hash; gives the version."""
        manifest = self.manifest()
        for entry in manifest.stores.values():
            for published in entry.objects.values():
                self.reader.read_object(published)
        return manifest.version

    def start(
        self, *arguments: str, pipeline: str = "retrain-all", history: Path | None = None
    ) -> subprocess.Popen[str]:
        known = [part for path in self.known for part in ("--known", str(path))]
        command = [sys.executable, "-m", "commands", "run", pipeline, "--history", str(history or self.history), *known]
        return subprocess.Popen(
            [*self.prefix, *command, "--workspace", str(self.workspace), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.settings, **self.environment},
            start_new_session=True,
        )

    def run(self, *arguments: str, **options: object) -> tuple[int, str]:
        """Run to the end; gives the exit code and the last words."""
        process = self.start(*arguments, **options)  # type: ignore[arg-type]
        _, said = process.communicate(timeout=600)
        lines = said.strip().splitlines()
        return process.returncode, lines[-1] if lines else ""

    def events(self) -> str:
        """Return what the latest run has told."""
        runs = sorted((self.workspace / "runs").glob("*/events.jsonl"))
        return runs[-1].read_text() if runs else ""

    def wait_for(self, text: str, before: str, process: subprocess.Popen[str], seconds: float = 240) -> bool:
        """Wait until the run that began after `before` has told something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            told = self.events()
            if told != before and text in told:
                return True
            time.sleep(0.02)
        return False

    def ledger(self) -> list[str]:
        """Return the states of all runs that are recorded, oldest first."""
        return [run.state for run in RunLedger(self.blobs).read_history().runs]


def make(folder: Path, stores: int = 1, items: int = 4, **place: str) -> Retailer:
    """Make up a retailer and publish its forecasts once, in the workspace or in a container."""
    demo = write_demo(folder / "data", date(2026, 3, 31), stores=stores, items=items, days=420)
    retailer = Retailer(demo.history, demo.known, folder / "workspace", demo.chain.stores, place=place)
    code, said = retailer.run()
    if code:
        raise RuntimeError(said)
    return retailer


def descendants(pid: int) -> Iterator[int]:
    """Return the processes that a process began, theirs too."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from descendants(int(child))


def kill_tree(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it began, as a machine that fails would."""
    for pid in [*descendants(process.pid), process.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(30)
