"""A service in a process of its own, over a workspace, and clients that remember what they saw."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from foreact.blobs import BlobStore, connect
from foreact.settings import PlaceSettings
from serving.auth import keys
from serving.auth.principal import Grant
from tests.services import Process, hold_port
from tests.waiting import SECONDS


@dataclass
class Place:
    """A workspace, its blob store, and the service that reads it."""

    workspace: Path
    store: BlobStore
    process: Process
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.process.port}"

    def client(self, timeout: float = 120) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=timeout)

    def memory(self) -> float:
        """Return the service's resident memory in MiB."""
        running = self.process.running
        assert running is not None
        for line in Path(f"/proc/{running.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def settle(self, seconds: float = SECONDS) -> None:
        """Wait until the service has forecasts to serve."""
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    if client.get("/readyz").json().get("publication"):
                        return
                except (httpx.HTTPError, ValueError):
                    pass
                time.sleep(0.1)
        raise RuntimeError(f"the service has no forecasts after {seconds:g} s: {self.process.log.read_text()[-1000:]}")


@contextmanager
def serve(workspace: Path, *prefix: str, **settings: str) -> Iterator[Place]:
    """Start the service over a workspace, begun by a prefix; an administrator's key is made for the occasion."""
    environment = {"FOREACT_WORKSPACE": str(workspace), **settings}
    known = {name.removeprefix("FOREACT_").lower(): value for name, value in environment.items()}
    fields = PlaceSettings.model_fields
    store = connect(PlaceSettings(**{name: value for name, value in known.items() if name in fields}))  # type: ignore[arg-type]
    token, _ = keys.create_key(store, "drill", Grant(role="admin"), created_by="drill")
    port = hold_port()
    command = [*prefix, sys.executable, "-m", "commands", "serve", "--port", str(port), "--workspace", str(workspace)]
    place = Place(workspace, store, Process(command, port, workspace / "serve.txt", environment), token)
    place.process.start()
    try:
        yield place
    finally:
        place.process.stop()


@dataclass
class Seen:
    """What clients saw: how answers ended, how long they took, and what was wrong with any of them."""

    statuses: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    # The newest version among the answers.
    newest: int = 0

    def note(self, status: int | str, seconds: float) -> None:
        self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
        self.seconds.append(seconds)

    def quantile(self, share: float) -> float:
        """Return a quantile of the answers' times in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")

    def rows(self) -> list[tuple[str, str]]:
        """Describe it as rows of a table."""
        return [
            ("requests", f"{len(self.seconds):,}"),
            ("answers by status", ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items()))),
            ("time p50 / p99 / worst", " / ".join(f"{self.quantile(q):.0f} ms" for q in (0.5, 0.99, 1.0))),
            ("wrong answers", f"{len(self.wrong):,}" + (f": {self.wrong[0]}" if self.wrong else "")),
        ]


def run_foreact(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as people do."""
    return subprocess.run(
        [sys.executable, "-m", "commands", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=600,
        check=False,
    )
