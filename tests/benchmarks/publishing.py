"""How long publishing and registering take, and how many requests: python -m tests.benchmarks.publishing [STORES]...

Prints one row a case: place, stores, what, seconds, seconds of processor of this process, requests. Starts its
own Azurite, PostgreSQL and MLflow server.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.publish.step import publish
from components.register.step import register
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.settings import PipelineSettings
from tests.services import serve_azurite, serve_mlflow, serve_postgres
from tests.trainings import write_training

SIZES = (10, 1115)
requests: Counter[str] = Counter()


def count_requests(event: str, arguments: tuple[Any, ...]) -> None:
    """Count what leaves this process for a server, and what it writes to a disk."""
    if event == "http.client.send":
        line = arguments[1][:8] if isinstance(arguments[1], bytes) else b""
        if line.split(b" ")[0] in (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE", b"PATCH"):
            requests["http"] += 1
    elif event == "os.rename":
        requests["writes"] += 1


@contextmanager
def measured(place: str, stores: int, what: str) -> Iterator[None]:
    """Print what the block took."""
    requests.clear()
    started, used = time.monotonic(), time.process_time()
    yield
    seconds, used = time.monotonic() - started, time.process_time() - used
    sys.stdout.write(f"{place:8} {stores:6} {what:40} {seconds:8.2f} s {used:8.2f} s {dict(requests)}\n")
    sys.stdout.flush()


def run_case(place: str, settings: PipelineSettings, folder: Path, stores: int) -> None:
    """Retrain all stores twice, then refresh one."""
    events = Events(folder / "events")
    for turn, chosen in ((1, stores), (2, stores), (3, 1)):
        trained, versions = folder / f"trained-{turn}", folder / f"versions-{turn}.json"
        run = f"{place}-{stores}-{turn}"
        what = "one store's refresh" if chosen == 1 else ("first of all stores" if turn == 1 else "next of all stores")
        with measured(place, stores, f"write objects, {what}"):
            write_training(trained, settings, run, {str(number): {} for number in range(chosen)}, scale=turn)
        with measured(place, stores, f"register, {what}"):
            register(trained=trained, versions=versions, origin=RunOrigin(run=run), settings=settings, events=events)
        with measured(place, stores, f"publish, {what}"):
            publish(trained=trained, versions=versions, settings=settings, events=events)
    with measured(place, stores, "load all champions"):
        from foreact.registry import Registry

        Registry.connect(settings).load_champions([str(number) for number in range(stores)])


def main() -> None:
    """Run every case."""
    import foreact.registry.client

    foreact.registry.client.make_client("sqlite://")  # Importing MLflow is not what is measured.
    sys.addaudithook(count_requests)
    cases: list[tuple[str, Callable[[Path], PipelineSettings]]] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        serve_azurite(Path(scratch)) as azurite,
        serve_postgres() as postgres,
        # As many workers as `kustomize/platform/mlflow` gives it.
        serve_mlflow(postgres, azurite, Path(scratch), workers=2) as mlflow,
    ):
        cases = [
            ("folder", lambda folder: PipelineSettings(workspace=folder)),
            ("azure", lambda folder: PipelineSettings(workspace=folder, mlflow_uri=mlflow.url, **azurite.settings())),
        ]
        for stores in [int(size) for size in sys.argv[1:]] or SIZES:
            for place, settings in cases:
                folder = Path(scratch) / f"{place}-{stores}"
                folder.mkdir()
                run_case(place, settings(folder), folder, stores)


if __name__ == "__main__":
    main()
