"""The service's metrics; METRICS lists every name and label, and none grows with items or callers."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from foreact.blobs.records import skipped_records
from serving.metrics.objective import OBJECTIVE_METRICS, ObjectiveMetrics
from serving.metrics.runs import RUN_METRICS, RunMetrics
from serving.publication.view import ViewSource

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
REFRESH = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900)

# name -> labels, meaning
METRICS: dict[str, tuple[tuple[str, ...], str]] = {
    "foreact_http_requests_total": (("route", "method", "status"), "Requests by route, never by path"),
    "foreact_http_request_seconds": (("route",), "Time from request to the answer's end"),
    "foreact_publication_version": ((), "The version that is served"),
    "foreact_publication_refused": ((), "1 while the newest publication is not served as a whole"),
    "foreact_blob_store_up": ((), "1 while the blob store answers"),
    "foreact_publication_age_seconds": (("store",), "Since the store's numbers were generated"),
    "foreact_data_age_days": (("store",), "Days from the store's newest sales to today"),
    "foreact_store_stale": (("store",), "1 while the store misses the promise"),
    "foreact_store_damaged": (("store",), "1 while the store's newest numbers are damaged and not served"),
    "foreact_store_held": (("store",), "1 while newer numbers of the store are held back because they are unlikely"),
    "foreact_store_accuracy": (("store", "figure"), "Backtest figures of the model behind the published numbers"),
    "foreact_store_fallback": (
        ("store",),
        "1 while an older model or a baseline stands in, because training failed or did no better than seasonal naive",
    ),
    "foreact_refreshes_total": (("state",), "Refreshes that this process saw end"),
    "foreact_refresh_seconds": ((), "From request to visible numbers"),
    "foreact_refreshes_waiting": ((), "Refreshes that wait or run"),
    "foreact_logins_total": (("method", "outcome"), "Logins tried: succeeded, failed, limited (too many had failed)"),
    "foreact_keys_refused_total": ((), "Requests with an API key, or another authorization, that is not valid"),
    "foreact_event_streams": ((), "Pages that follow a refresh live"),
    "foreact_next_deadline_timestamp_seconds": ((), "When forecasts are due next"),
    "foreact_records_unread": (("kind",), "Stored records that could not be read in the last hour"),
    **OBJECTIVE_METRICS,
    **RUN_METRICS,
}


class Metrics:
    """This process's counters, and gauges that are read from the current view at each scrape."""

    def __init__(self, views: ViewSource, runs: RunMetrics, objective: ObjectiveMetrics) -> None:
        self.registry = CollectorRegistry()
        self.runs = runs
        self.objective = objective

        def labels(name: str) -> tuple[str, ...]:
            return METRICS[name][0]

        def meaning(name: str) -> str:
            return METRICS[name][1]

        def counter(name: str) -> Counter:
            return Counter(name, meaning(name), labels(name), registry=self.registry)

        self.requests = counter("foreact_http_requests_total")
        name = "foreact_http_request_seconds"
        self.latency = Histogram(name, meaning(name), labels(name), registry=self.registry, buckets=LATENCY)
        self.refreshes = counter("foreact_refreshes_total")
        name = "foreact_refresh_seconds"
        self.refresh_seconds = Histogram(name, meaning(name), registry=self.registry, buckets=REFRESH)
        name = "foreact_refreshes_waiting"
        self.waiting = Gauge(name, meaning(name), registry=self.registry)
        self.logins = counter("foreact_logins_total")
        self.keys_refused = counter("foreact_keys_refused_total")
        name = "foreact_event_streams"
        self.streams = Gauge(name, meaning(name), registry=self.registry)
        self.registry.register(_ViewCollector(views))
        self.registry.register(_RecordsCollector())
        self.registry.register(runs)
        self.registry.register(objective)

    def render_text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _ViewCollector(Collector):
    def __init__(self, views: ViewSource) -> None:
        self._views = views

    def collect(self) -> Iterable[Metric]:
        cache, view = self._views.publications, self._views.current
        yield _make_gauge("foreact_publication_refused", float(cache.refused is not None))
        yield _make_gauge("foreact_blob_store_up", float(cache.unreachable is None))
        yield _make_gauge("foreact_publication_version", float(view.snapshot.version if view else 0))
        by_store = {
            name: GaugeMetricFamily(name, METRICS[name][1], labels=METRICS[name][0])
            for name in METRICS.keys() - RUN_METRICS.keys()
            if METRICS[name][0][:1] == ("store",)
        }
        now: datetime = self._views.current_time()
        coming = min((fresh.next_deadline for _, _, fresh in view.judged_stores()) if view else (), default=None)
        coming = coming or self._views.promise.next_deadline(now)
        yield _make_gauge("foreact_next_deadline_timestamp_seconds", coming.timestamp())
        snapshot = cache.current
        if snapshot is not None:
            for store in snapshot.manifest.stores:
                by_store["foreact_store_damaged"].add_metric([store], float(store in snapshot.damaged_stores))
            for store in snapshot.lost_stores:
                by_store["foreact_store_stale"].add_metric([store], 1.0)
        today = now.astimezone(self._views.promise.zone).date()
        for store, arrays, fresh in view.judged_stores() if view else ():
            entry = arrays.entry
            age = max(0.0, now.timestamp() - entry.generated_at.timestamp())
            by_store["foreact_publication_age_seconds"].add_metric([store], age)
            by_store["foreact_data_age_days"].add_metric(
                [store], max(0, (today - entry.spacing.last_day(entry.as_of)).days)
            )
            by_store["foreact_store_stale"].add_metric([store], float(not fresh.is_fresh))
            by_store["foreact_store_fallback"].add_metric([store], float(entry.fallback is not None))
            by_store["foreact_store_held"].add_metric([store], float(entry.held is not None))
            for figure, value in sorted(entry.accuracy.items())[:20]:
                by_store["foreact_store_accuracy"].add_metric([store, figure], value)
        yield from by_store.values()


class _RecordsCollector(Collector):
    def collect(self) -> Iterable[Metric]:
        name = "foreact_records_unread"
        family = GaugeMetricFamily(name, METRICS[name][1], labels=METRICS[name][0])
        for kind, count in sorted(skipped_records.count().items()):
            family.add_metric([kind], count)
        yield family


def _make_gauge(name: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, METRICS[name][1])
    family.add_metric([], value)
    return family
