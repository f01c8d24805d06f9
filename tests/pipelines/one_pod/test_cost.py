"""What a run of one store asks of the blob store, among few stores and among many."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.publish.step import publish
from components.register.step import list_versions
from foreact.blobs import connect
from foreact.blobs.folder import FolderStore
from foreact.publications import Outcome, Publisher, StoreEntry, put_object
from foreact.publications.contract import packed_chain_name
from foreact.runs.events import Events
from foreact.runs.ledger import RunLedger
from foreact.runs.trained import TrainedChain
from foreact.settings import PipelineSettings
from pipelines.graph import build_pipeline
from pipelines.one_pod.execution import run_in_one_pod
from tests.benchmarks.manifests import make_entry
from tests.shops import days, take_in, write_rows
from tests.trainings import write_training

NIGHTS = 9
# The bytes of one published object of a store of 3,049 items.
M5_FORECASTS = 2_569_432
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


def publish_beside(others: int) -> Callable[..., Outcome]:
    """Return a way to publish that adds so many stores, made up and of the size that real ones have."""
    publish_alone = Publisher.publish

    def publish_all(publisher: Publisher, entries: dict[str, StoreEntry], **options: Any) -> Outcome:
        given = next(iter(entries.values()))
        same = {"as_of": given.as_of, "generated_at": given.generated_at, "chain": given.chain}
        names = [f"Other {number:04d}" for number in range(others)]
        entries.update({name: make_entry(name, given.as_of.day).model_copy(update=same) for name in names})
        return publish_alone(publisher, entries, **options)

    return publish_all


def measure_refresh(folder: Path, count: int, others: int, patch: pytest.MonkeyPatch) -> Meter:
    """Run one store's steps among so many, of which others are published alone; return what they asked for."""
    for name, value in {"WORKSPACE": str(folder / "place"), "RUN_ID": "refresh", "PIPELINE": "retrain-store"}.items():
        patch.setenv(f"FOREACT_{name}", value)
    stores = [f"S{number:03d}" for number in range(count)]
    rows = [(day, store, item, 5 + day.weekday()) for day in days(60) for store in stores for item in ("a", "b")]
    with pytest.MonkeyPatch.context() as nights:
        nights.setattr(Publisher, "publish", publish_beside(others))
        spend_nights(folder, stores, write_rows(folder / "sales.csv", rows))
    meter = Meter(patch)
    inputs = build_pipeline("retrain-store", in_one_pod=True).component_spec.inputs
    parameters = {name: each.default for name, each in inputs.items()}
    run_in_one_pod(parameters | {"store": stores[1]}, {}, lambda name, value: None, run="refresh")
    return meter


def test_a_refresh_costs_what_its_store_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten stores are published, and a thousand."""
    found = []
    for count, others in ((3, 7), (30, 970)):
        (tmp_path / str(count)).mkdir()
        with monkeypatch.context() as patch:
            found.append(measure_refresh(tmp_path / str(count), count, others, patch))
    few, many = found
    # How often the record of runs is written anew goes by the clock.
    others = {key: many.requests[key] - few.requests[key] for key in many.requests if key[1] != "telemetry"}
    # Of the manifests that are read, those of two ages and the current one by three, each a group; one is written anew.
    assert {key: more for key, more in others.items() if more} == {("read", "forecasts"): 5, ("write", "forecasts"): 1}
    # A tenth of what the numbers of one of M5's stores have, which are read at four ages.
    assert many.read["forecasts"] - few.read["forecasts"] < 0.1 * M5_FORECASTS
    # The names of every store's parts, in the record of the dataset of all.
    assert many.read["dataset"] - few.read["dataset"] < 27 * 600
