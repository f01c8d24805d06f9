"""A worker killed while it trains: its stores are trained again, and the run ends well."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.drills.outcome import Outcome
from tests.drills.retailer import descendants, make


def drill(folder: Path) -> Outcome:
    """Kill the first Ray worker that is seen at work on a store."""
    retailer = make(folder, stores=3, items=12)
    version, before = retailer.check(), retailer.events()
    process = retailer.start()
    retailer.wait_for('"event": "progress", "step": "train"', before, process)
    killed, deadline = 0, time.monotonic() + 120
    while not killed and process.poll() is None and time.monotonic() < deadline:
        for pid in descendants(process.pid):
            with suppress(OSError):
                title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                if title.startswith("ray::train_store_job"):
                    os.kill(pid, signal.SIGKILL)
                    killed = pid
                    break
        time.sleep(0.02)
    said = process.communicate(timeout=600)[1].strip().splitlines()
    after, manifest = retailer.check(), retailer.manifest()
    fallbacks = [store for store, entry in manifest.stores.items() if entry.fallback]
    rows = [
        ("worker killed", "yes, at work on a store" if killed else "none was seen at work"),
        ("the run", "succeeded" if process.returncode == 0 else said[-1] if said else "failed"),
        ("published", f"{len(manifest.stores)} stores, version {after}, {len(fallbacks)} by a fallback"),
    ]
    held = bool(killed) and process.returncode == 0 and after == version + 1 and not fallbacks
    return Outcome("worker", held, rows, "Planners saw fresh forecasts of every store.")
