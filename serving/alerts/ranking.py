"""Alerts of stores: peaks and risks of shortage, those with most at stake first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from heapq import merge
from typing import Any, overload

import numpy as np

from foreact.outlines.alerts import KINDS, RECORD, Kind, Records, find_records
from foreact.spacing import Spacing
from serving.analysis.comparison import compare_levels
from serving.analysis.known import known_or_none
from serving.publication import StoreData


@dataclass(frozen=True)
class Alert:
    """One series whose coming week is unusual."""

    kind: Kind
    store: str
    # None: the store as a whole.
    item: str | None
    # The first and the last day of so many days, weeks or months.
    start: date
    end: date
    periods: int
    spacing: Spacing
    expected: float
    # What demand stays below with 90 % probability.
    expected_high: float
    # What the same number of days brought lately, and last year; None: not known.
    recent: float | None
    last_year: float | None
    # Expected units beyond the higher of the two, or beyond a normal delivery.
    at_stake: float
    probability: float
    peak_day: date
    normal_delivery: float | None = None

    @property
    def against(self) -> float:
        """Return what the demand is compared with: the higher of lately and last year, or a normal delivery."""
        known = (self.recent, self.last_year) if self.kind == "peak" else (self.normal_delivery,)
        return max(value for value in known if value is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the alert for an answer."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def rank_alerts(stores: Iterable[StoreData], kind: Kind | None) -> Iterator[Alert]:
    """Return the alerts of stores, those with most at stake first."""
    ranked = merge(*map(find_alerts, stores), key=lambda alert: -alert.at_stake)
    return (alert for alert in ranked if kind is None or alert.kind == kind)


def find_alerts(arrays: StoreData) -> Sequence[Alert]:
    """Return a store's alerts, those with most at stake first."""
    found = arrays.derived.get("alerts")
    if found is None:
        records = arrays.alert_records
        found = arrays.derived["alerts"] = (
            AlertList(arrays, np.frombuffer(records, RECORD)) if records is not None else _list_all(arrays)
        )
    result: Sequence[Alert] = found
    return result


class AlertList(Sequence[Alert]):
    """Alerts that are made of their records when they are looked at; they take a sixth of the memory."""

    def __init__(self, arrays: StoreData, records: Records) -> None:
        self._arrays = arrays
        self._records = records

    @cached_property
    def _dates(self) -> list[date]:
        dates: list[date] = self._arrays.dates.tolist()
        return dates

    @cached_property
    def _period(self) -> tuple[date, date, int]:
        """Return the first and the last day of the window, and its periods."""
        periods = min(self._arrays.spacing.window, len(self._dates))
        return self._dates[0], self._arrays.spacing.last_day(self._dates[periods - 1]), periods

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, place: int) -> Alert: ...

    @overload
    def __getitem__(self, place: slice) -> "AlertList": ...

    def __getitem__(self, place: int | slice) -> "Alert | AlertList":
        if isinstance(place, slice):
            return AlertList(self._arrays, self._records[place])
        kind, row, expected, high, recent, last_year, stake, probability, peak, delivery = self._records[place].item()
        return Alert(
            KINDS[kind],
            self._arrays.store,
            None if row < 0 else self._arrays.name_item(row),
            *self._period,
            self._arrays.spacing,
            expected,
            high,
            known_or_none(recent),
            known_or_none(last_year),
            stake,
            probability,
            self._dates[peak],
            known_or_none(delivery),
        )

    def list_rows(self) -> list[int]:
        """Return the row of each alert's item; -1 for the store as a whole."""
        rows: list[int] = self._records["row"].tolist()
        return rows


def _list_all(arrays: StoreData) -> tuple[Alert, ...]:
    records = find_records(compare_levels(arrays, total=True), compare_levels(arrays, total=False))
    return tuple(AlertList(arrays, records))
