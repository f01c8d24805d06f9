"""What a run of one store asks of the blob store, among few stores and among many."""

import os
import threading
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.publish.step import publish
from components.register.step import list_versions
from foreact.blobs import connect
from foreact.blobs.folder import FolderStore
from foreact.publications import CURRENT, put_object
from foreact.publications.contract import packed_chain_name
from foreact.runs.events import Events
from foreact.runs.ledger import RunLedger
from foreact.runs.trained import TrainedChain
from foreact.settings import PipelineSettings
from pipelines.graph import build_pipeline
from pipelines.one_pod.execution import run_in_one_pod
from tests.shops import days, take_in, write_rows
from tests.trainings import write_training

NIGHTS = 9
LAST = days(1)[0]


class Meter:
    """Counts a store's operations, and the bytes that are read, by the kind of object."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.read: Counter[str] = Counter()
        self._lock = threading.Lock()
        # An operation may be made of others, and objects are written side by side.
        self._inside = threading.local()
        for name in ("read", "read_if_changed", "open", "write", "list", "delete"):
            patch.setattr(FolderStore, name, self._count(getattr(FolderStore, name), name))

    def _count(self, method: Any, operation: str) -> Any:
        def counted(store: FolderStore, name: str = "", *rest: Any, **options: Any) -> Any:
            if getattr(self._inside, "another", False):
                return method(store, name, *rest, **options)
            self._inside.another = True
            try:
                result = method(store, name, *rest, **options)
            finally:
                self._inside.another = False
            kind = name.partition("/")[0]
            with self._lock:
                self.requests[operation, kind] += 1
                self.read[kind] += _size(result)
            return result

        return counted


def _size(result: Any) -> int:
    if hasattr(result, "fileno"):
        return os.fstat(result.fileno()).st_size
    return len(getattr(result, "data", b""))


def spend_nights(folder: Path, stores: list[str], history: Path) -> None:
    """Leave what nights leave: their parameters, today's dataset, publications."""
    settings = PipelineSettings()
    runs = RunLedger(connect(settings))
    runs.note_parameters("night", {"history": str(history), "horizon": 7})
    runs.note_end("night", "succeeded", pipeline="retrain-all")
    take_in(settings.workspace, history, today=date.today())
    for night in range(NIGHTS, 0, -1):
        as_of = LAST - timedelta(days=night)
        run, trained, versions = f"night-{night}", folder / "trained", folder / "versions.json"
        record = write_training(trained, settings, run, {key: {} for key in stores}, as_of=as_of, horizon=7)
        packed = put_object(connect(settings), packed_chain_name(run), b"no model")
        chain = TrainedChain(as_of=as_of, stores=len(stores), rows=100, packed=packed)
        record = record.model_copy(update={"chain": chain})
        record.write(trained)
        list_versions(record, run).write(versions)
        morning = datetime.combine(as_of + timedelta(days=1), time(5), UTC)
        publish(trained=trained, versions=versions, settings=settings, events=Events(), now=lambda at=morning: at)


def measure_refresh(folder: Path, count: int, patch: pytest.MonkeyPatch) -> tuple[Meter, int]:
    """Run one store's steps among so many; return what they asked for, and the size of the manifest."""
    for name, value in {"WORKSPACE": str(folder / "place"), "RUN_ID": "refresh", "PIPELINE": "retrain-store"}.items():
        patch.setenv(f"FOREACT_{name}", value)
    stores = [f"S{number:03d}" for number in range(count)]
    rows = [(day, store, item, 5 + day.weekday()) for day in days(60) for store in stores for item in ("a", "b")]
    spend_nights(folder, stores, write_rows(folder / "sales.csv", rows))
    size = len(connect(PipelineSettings()).read(CURRENT).data)
    meter = Meter(patch)
    inputs = build_pipeline("retrain-store", in_one_pod=True).component_spec.inputs
    parameters = {name: each.default for name, each in inputs.items()}
    run_in_one_pod(parameters | {"store": stores[1]}, {}, lambda name, value: None, run="refresh")
    return meter, size


def _leave_out(requests: Counter[tuple[str, str]], kind: str) -> dict[tuple[str, str], int]:
    return {key: count for key, count in requests.items() if key[1] != kind}


def test_a_refresh_costs_what_its_store_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in (3, 30):
        (tmp_path / str(count)).mkdir()
        with monkeypatch.context() as patch:
            found.append(measure_refresh(tmp_path / str(count), count, patch))
    (few, small), (many, large) = found
    # How often the record of runs is written anew goes by the clock.
    assert _leave_out(many.requests, "telemetry") == _leave_out(few.requests, "telemetry")
    # The manifest that is current, by its readers and its publisher, and those of three ages.
    assert many.read["forecasts"] - few.read["forecasts"] <= 6 * (large - small)
    # The names of every store's parts.
    assert many.read["dataset"] - few.read["dataset"] < 1.5 * (large - small)
