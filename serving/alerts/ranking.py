"""Peaks and risks of shortage among a store's items and in its total.

What is at stake is the expected demand of the first week ahead less what it is compared with, so that a planner can
check it by eye.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from heapq import merge
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foreact.spacing import Spacing
from serving.analysis.comparison import Z90, Levels, compare_levels
from serving.analysis.known import known_or_none
from serving.publication import StoreData
from serving.publication.tables import Doubles

MOST_ALERTS = 200

_erf = np.vectorize(math.erf, otypes=[np.float64])
Kind = Literal["peak", "shortage"]


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


def find_alerts(arrays: StoreData) -> tuple[Alert, ...]:
    """Return a store's alerts, those with most at stake first."""
    found = arrays.derived.get("alerts")
    if found is None:
        alerts = [*_make_alerts(arrays, total=True), *_make_alerts(arrays, total=False)]
        found = arrays.derived["alerts"] = tuple(sorted(alerts, key=lambda alert: -alert.at_stake))
    result: tuple[Alert, ...] = found
    return result


def _make_alerts(arrays: StoreData, *, total: bool) -> list[Alert]:
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
    alerts = []
    for kind, chosen, stake, probability in kinds:
        rows = np.flatnonzero(chosen & np.isfinite(stake))
        for row in rows[np.argsort(-stake[rows], kind="stable")][:MOST_ALERTS]:
            alerts.append(
                _make_alert(arrays, level, int(row), kind, float(stake[row]), float(probability[row]), total=total)
            )
    return alerts


def _make_alert(
    arrays: StoreData, level: Levels, row: int, kind: Kind, stake: float, probability: float, *, total: bool
) -> Alert:
    first: date = arrays.dates[0].astype(object)
    return Alert(
        kind,
        arrays.store,
        None if total else arrays.items[row],
        first,
        arrays.spacing.last_day(arrays.dates[level.days - 1].astype(object)),
        level.days,
        arrays.spacing,
        float(level.expected[row]),
        float(level.expected[row] + Z90 * level.deviation[row]),
        known_or_none(level.recent[row]),
        known_or_none(level.last_year[row]),
        stake,
        min(probability, 0.99),
        arrays.dates[level.peak[row]].astype(object),
        known_or_none(level.normal_delivery[row]) if kind == "shortage" else None,
    )


def _normal_probability(z: Doubles) -> Doubles:
    """Return the probability of a standard normal value below z."""
    return np.asarray((1 + _erf(z / math.sqrt(2))) / 2)
