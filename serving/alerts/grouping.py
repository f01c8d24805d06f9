"""Alerts put together by series, so that a peak of an item and its risk of shortage are one line."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Any

from serving.alerts.ranking import Alert, AlertList, find_alerts
from serving.publication import StoreData

AlertGroup = list[Alert]


def merge_alert_groups(stores: Iterable[StoreData]) -> Iterator[AlertGroup]:
    """Return the alerts of each series together; those with most at stake first, among and within series."""
    return merge(*map(_group_alerts, stores), key=lambda group: -group[0].at_stake)


def count_alert_groups(stores: Iterable[StoreData]) -> int:
    """Return how many series have alerts."""
    return sum(len(_group_alerts(arrays)) for arrays in stores)


def _group_alerts(arrays: StoreData) -> "Sequence[AlertGroup]":
    found = arrays.derived.get("alert_groups")
    if found is None:
        alerts = find_alerts(arrays)
        rows = alerts.list_rows() if isinstance(alerts, AlertList) else [alert.item for alert in alerts]
        places: dict[str | int | None, list[int]] = {}
        for place, row in enumerate(rows):
            places.setdefault(row, []).append(place)
        groups = _Groups(alerts, list(places.values()))
        # Alerts that are at hand are put together once.
        found = arrays.derived["alert_groups"] = groups if isinstance(alerts, AlertList) else list(groups)
    result: Sequence[AlertGroup] = found
    return result


class _Groups(Sequence[AlertGroup]):
    """Groups of alerts, each put together when it is looked at."""

    def __init__(self, alerts: Sequence[Alert], places: list[list[int]]) -> None:
        self._alerts = alerts
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        return [self._alerts[place] for place in self._places[number]]
