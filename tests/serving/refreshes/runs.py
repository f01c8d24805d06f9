"""A run that refreshes can start in tests: a real process that tells what a run tells, and really publishes.

`python -m tests.serving.refreshes.runs RUNS BLOBS ID STORE HOW`
"""

import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from foreact.blobs.folder import FolderStore
from foreact.publications import Reader
from foreact.runs.events import Events
from foreact.runs.workspace import Request, WorkspaceRuns
from serving.refreshes.embedded import Command, EmbeddedRunner
from serving.refreshes.records import Refresh
from tests.serving import shop


def runner(store: FolderStore, workspace: Path, how: str = "well", parallel: int = 1) -> EmbeddedRunner:
    """Return a runner whose runs fare so."""
    return embedded(workspace, lambda refresh: command(store, workspace, refresh, how), parallel)


def embedded(workspace: Path, command: Command, parallel: int = 1) -> EmbeddedRunner:
    """Return a runner in a workspace where a retrain-all has succeeded."""
    runs = WorkspaceRuns(workspace)
    runs.folder.mkdir(parents=True, exist_ok=True)
    runs.remember_request(Request(pipeline="retrain-all"))
    return EmbeddedRunner(workspace, command, parallel)


def command(store: FolderStore, workspace: Path, refresh: Refresh, how: str) -> list[str]:
    """Return the command of one run."""
    places = [str(workspace / "runs"), str(store.root), refresh.id, refresh.store, how]
    return [sys.executable, "-m", "tests.serving.refreshes.runs", *places]


def main() -> None:
    runs, blobs, run, store, how = sys.argv[1:]
    if how == "refused":
        sys.exit("foreact: No --history is given, and this workspace has no retrain-all to take it from.")
    folder = Path(runs) / run
    folder.mkdir(parents=True)
    events = Events(folder / "events.jsonl")
    try:
        with events.step("run"):
            for step in ("ingest", "validate", "train", "register", "publish"):
                with events.step(step):
                    work(events, step, how)
                    if step == "publish":
                        publish(FolderStore(Path(blobs)), store, run, spoilt=how == "spoils")
    except ValueError:
        sys.exit(1)


def publish(blobs: FolderStore, store: str, run: str, *, spoilt: bool) -> None:
    """Publish other numbers of the store, made of the same data a moment later."""
    before = Reader(blobs).read_current().manifest.stores[store]
    tables = shop.make_tables(store, before.items, before.horizon, before.as_of, sum(run.encode()))
    if spoilt:
        tables["totals"] = tables["totals"].slice(1)
    shop.publish(
        blobs,
        [store],
        run=run,
        items=before.items,
        horizon=before.horizon,
        as_of=before.as_of,
        generated_at=max(datetime.now(UTC), before.generated_at) if before.as_of > shop.AS_OF else None,
        tables={store: tables},
        regions={store: before.attributes.get("region", "")},
    )


def work(events: Events, step: str, how: str) -> None:
    if step == "validate" and how == "bad-data":
        raise ValueError("the column 'units' has 312 negative rows; the report lists them")
    if step == "train":
        events.progress(step, 1, 2, "store")
        if how == "dies":
            import os

            os._exit(9)
        if how == "hangs":
            threading.Event().wait()
        if how.startswith("until:"):
            while not Path(how.removeprefix("until:")).exists():
                time.sleep(0.05)


if __name__ == "__main__":
    main()
