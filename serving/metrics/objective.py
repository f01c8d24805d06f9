"""Metrics of the objective: store-days due and kept over some windows, from the record of each deadline."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from foreact.blobs import BlobStore
from foreact.errors import ForeactError
from foreact.objective import SETTLING, WINDOW_DAYS, Outcome, count_deadlines, tally_outcomes
from foreact.publications.freshness import Promise

log = logging.getLogger("foreact.telemetry")

# The last deadline alone, a few days, a week, and the window of the objective.
WINDOWS = (1, 3, 7, WINDOW_DAYS)

# name -> labels, meaning
OBJECTIVE_METRICS: dict[str, tuple[tuple[str, ...], str]] = {
    "foreact_store_days": (
        ("days", "state"),
        "Store-days up to the deadline counted last: due; kept, stale, incomplete or outside their intervals",
    ),
}


class ObjectiveMetrics(Collector):
    """Turns the outcomes of deadlines into metrics; a scrape returns what `count_deadlines` counted last."""

    def __init__(
        self, store: BlobStore, state: BlobStore, promise: Promise, clock: Callable[[], datetime], keep_days: int
    ) -> None:
        self._store = store
        self._state = state
        self._promise = promise
        self._clock = clock
        self._keep_days = keep_days
        self._outcomes: list[Outcome] = []

    def count_deadlines(self) -> None:
        """Count what passed since; while the store is unreachable, what was counted before stays."""
        now = self._clock()
        if self._outcomes and self._outcomes[-1].deadline == self._promise.last_deadline(now - SETTLING):
            return
        try:
            self._outcomes = count_deadlines(
                self._store, self._state, self._promise, now, self._outcomes, keep_days=self._keep_days
            )
        except ForeactError as problem:
            log.warning("the deadlines that passed cannot be counted: %s", problem)

    def collect(self) -> Iterable[Metric]:
        """Return the store-days by window; none before the first deadline is counted."""
        labels, meaning = OBJECTIVE_METRICS["foreact_store_days"]
        family = GaugeMetricFamily("foreact_store_days", meaning, labels=labels)
        for days in WINDOWS:
            tally = tally_outcomes(self._outcomes, days)
            for state, count in tally.list_states() if tally else ():
                family.add_metric([str(days), state], count)
        yield family
