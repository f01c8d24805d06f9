"""Alerts put together by series, so that a peak of an item and its risk of shortage are one line."""

from collections.abc import Iterable, Iterator
from heapq import merge

from serving.alerts.ranking import Alert, find_alerts
from serving.publication import StoreData

AlertGroup = list[Alert]


def merge_alert_groups(stores: Iterable[StoreData]) -> Iterator[AlertGroup]:
    """Return the alerts of each series together; those with most at stake first, among and within series."""
    return merge(*map(_group_alerts, stores), key=lambda group: -group[0].at_stake)


def count_alert_groups(stores: Iterable[StoreData]) -> int:
    """Return how many series have alerts."""
    return sum(len(_group_alerts(arrays)) for arrays in stores)


def _group_alerts(arrays: StoreData) -> list[AlertGroup]:
    found = arrays.derived.get("alert_groups")
    if found is None:
        by_series: dict[str | None, AlertGroup] = {}
        for alert in find_alerts(arrays):
            by_series.setdefault(alert.item, []).append(alert)
        found = arrays.derived["alert_groups"] = list(by_series.values())
    result: list[AlertGroup] = found
    return result
