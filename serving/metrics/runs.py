"""Metrics of pipeline runs, from the record that the steps write; a scrape itself reads nothing."""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from foreact.blobs import BlobNotFound, BlobStore
from foreact.errors import ForeactError
from foreact.forecasting.judging.gate import GateOutcome
from foreact.runs.ledger import RUNS, RunHistory, RunRecord, parse_history
from foreact.runs.trained import RUN_FIGURES
from foreact.steps import STEPS
from foreact.telemetry.scorecards import WATCHED_FIGURES, Drift, Point, count_days_out_of_bounds, watch_drift

log = logging.getLogger("foreact.telemetry")

# Labels have only these values, whatever a record holds.
PIPELINES = ("retrain-all", "retrain-store", "reforecast")

# name -> labels, meaning
RUN_METRICS: dict[str, tuple[tuple[str, ...], str]] = {
    "foreact_run_last_success_timestamp_seconds": (("pipeline",), "When a run of the pipeline last ended well"),
    "foreact_run_last_failed": (("pipeline",), "1 if the run that ended last failed"),
    "foreact_run_kept": (("pipeline", "state"), "Runs that the record holds, by how they stand"),
    "foreact_run_running_seconds": (("pipeline",), "How long the oldest unfinished run has been under way; 0: none"),
    "foreact_run_seconds": (("pipeline",), "How long the run took that ended last"),
    "foreact_run_step_seconds": (("pipeline", "step"), "How long each step of it took"),
    "foreact_run_step_failed": (("pipeline", "step"), "1 for the step at which it failed"),
    "foreact_run_rows": (("pipeline", "kind"), "Rows that it took in, and those that it set aside"),
    "foreact_run_stores": (("pipeline", "decision"), "Stores by what the gate decided"),
    "foreact_run_accuracy": (("pipeline", "figure"), "Its backtest figures, averaged over stores"),
    "foreact_store_live": (("store", "figure"), "Accuracy of the store's latest publications on the days since"),
    "foreact_store_drift_days": (("store", "figure"), "Days of data in a row on which the figure was out of bounds"),
    "foreact_store_marked": (("store",), "1 while sustained drift marks the store for retraining"),
}


class RunMetrics(Collector):
    """Turns the record of runs into metrics; a scrape returns what `read_ledger` read last."""

    def __init__(self, store: BlobStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        # An earlier read that ends late must not overwrite a newer one.
        self._reading = threading.Lock()
        self._etag = ""
        self._history = RunHistory()
        self._watch = watch_drift(store)
        self._series: dict[str, list[Point]] = {}
        self._drift: list[Drift] = []

    def read_ledger(self) -> None:
        """Read what changed; while the store is unreachable, what was read before stays."""
        with self._reading:
            try:
                self._read_runs()
                self._series, self._drift = self._watch()
            except ForeactError as problem:
                log.warning("the record of runs cannot be read: %s", problem)

    def _read_runs(self) -> None:
        try:
            blob = self._store.read_if_changed(RUNS, self._etag) if self._etag else self._store.read(RUNS)
        except BlobNotFound:
            self._history, self._etag = RunHistory(), ""
            return
        if blob is not None:
            self._history, self._etag = parse_history(blob.data), blob.etag

    def collect(self) -> Iterable[Metric]:
        """Return all metric families, empty ones included."""
        found = {
            name: GaugeMetricFamily(name, RUN_METRICS[name][1], labels=RUN_METRICS[name][0]) for name in RUN_METRICS
        }

        def add(name: str, value: float | None, *labels: str) -> None:
            if value is not None:
                found["foreact_" + name].add_metric(labels, value)

        now = self._clock().timestamp()
        for pipeline in PIPELINES:
            runs = [run for run in self._history.runs if run.pipeline == pipeline]
            for state in ("running", "succeeded", "failed"):
                add("run_kept", sum(run.state == state for run in runs), pipeline, state)
            started = [run.started_at.timestamp() for run in runs if run.state == "running"]
            add("run_running_seconds", max(0.0, now - min(started)) if started else 0.0, pipeline)
            success = self._history.last_success.get(pipeline)
            add("run_last_success_timestamp_seconds", success.timestamp() if success else None, pipeline)
            ended = self._history.list_ended(pipeline)
            add("run_last_failed", float(bool(ended) and ended[0].state == "failed"), pipeline)
            if ended:
                _add_run(add, pipeline, ended[0])
        for store, points in self._series.items():
            for figure in WATCHED_FIGURES:
                add("store_live", points[-1].figures.get(figure), store, figure)
                add("store_drift_days", count_days_out_of_bounds(points, figure), store, figure)
            add("store_marked", float(any(drift.store == store for drift in self._drift)), store)
        return found.values()


def _add_run(add: Callable[..., None], pipeline: str, run: RunRecord) -> None:
    if run.ended_at is not None:
        add("run_seconds", (run.ended_at - run.started_at).total_seconds(), pipeline)
    for step in STEPS:
        record = run.steps.get(step)
        add("run_step_seconds", record.seconds if record else None, pipeline, step)
        add("run_step_failed", float(record is not None and record.state == "failed"), pipeline, step)
    add("run_rows", run.get_figure("ingest", "rows"), pipeline, "taken")
    rejected = [run.get_figure(step, "rejected_rows") for step in ("ingest", "validate")]
    known = [value for value in rejected if value is not None]
    add("run_rows", sum(known) if known else None, pipeline, "rejected")
    for outcome in GateOutcome:
        add("run_stores", run.get_figure("train", outcome.value), pipeline, outcome.value)
    for figure in RUN_FIGURES:
        add("run_accuracy", run.get_figure("train", figure), pipeline, figure)
