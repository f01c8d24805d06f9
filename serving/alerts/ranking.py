"""Peaks and risks of shortage among a store's items and in its total.

What is at stake is the expected demand of the first week ahead less what it is compared with, so that a planner can
check it by eye.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from heapq import merge
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from foreact.spacing import Spacing
from serving.analysis.comparison import Z90, compare_levels
from serving.analysis.known import known_or_none
from serving.publication import StoreData
from serving.publication.tables import Doubles

MOST_ALERTS = 200

_erf = np.vectorize(math.erf, otypes=[np.float64])
Kind = Literal["peak", "shortage"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Records = NDArray[np.void]
# An alert without its words; NaN: not known.
RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("row", "<i4"),
        ("expected", "<f8"),
        ("expected_high", "<f8"),
        ("recent", "<f8"),
        ("last_year", "<f8"),
        ("at_stake", "<f8"),
        ("probability", "<f8"),
        ("peak", "<i4"),
        ("normal_delivery", "<f8"),
    ]
)


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


def encode_alerts(arrays: StoreData) -> bytes:
    """Return a store's alerts as records, from which they are made again without its items."""
    return _find_records(arrays).tobytes()


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
    return tuple(AlertList(arrays, _find_records(arrays)))


def _find_records(arrays: StoreData) -> Records:
    """Return a store's alerts as records, those with most at stake first."""
    found = np.concatenate([*_make_records(arrays, total=True), *_make_records(arrays, total=False)])
    return np.asarray(found[np.argsort(-found["at_stake"], kind="stable")])


def _make_records(arrays: StoreData, *, total: bool) -> list[Records]:
    level = compare_levels(arrays, total=total)
    usual = np.fmax(level.recent, level.last_year)
    extra = level.expected - usual
    beyond = _normal_probability(extra / level.deviation)
    # A store as a whole is unusual much sooner than one of its items.
    share = 0.1 if total else 0.25
    peaks = (extra >= np.maximum(3, share * usual)) & (beyond >= 0.8)
    shortfall = level.expected - level.normal_delivery
    risk = _normal_probability(shortfall / level.deviation)
    short = shortfall >= np.maximum(2, share / 2 * level.normal_delivery)
    kinds: list[tuple[Kind, NDArray[np.bool_], Doubles, Doubles]] = [
        ("peak", peaks, extra, beyond),
        ("shortage", short, shortfall, risk),
    ]
    found = []
    for kind, chosen, stake, probability in kinds:
        rows = np.flatnonzero(chosen & np.isfinite(stake))
        rows = rows[np.argsort(-stake[rows], kind="stable")][:MOST_ALERTS]
        records = np.empty(len(rows), RECORD)
        records["kind"] = KINDS.index(kind)
        records["row"] = -1 if total else rows
        records["expected"] = level.expected[rows]
        records["expected_high"] = level.expected[rows] + Z90 * level.deviation[rows]
        records["recent"], records["last_year"] = level.recent[rows], level.last_year[rows]
        records["at_stake"] = stake[rows]
        records["probability"] = np.minimum(probability[rows], 0.99)
        records["peak"] = level.peak[rows]
        records["normal_delivery"] = level.normal_delivery[rows] if kind == "shortage" else np.nan
        found.append(records)
    return found


def _normal_probability(z: Doubles) -> Doubles:
    """Return the probability of a standard normal value below z."""
    return np.asarray((1 + _erf(z / math.sqrt(2))) / 2)
