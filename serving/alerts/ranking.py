"""Peaks and risks of shortage among a store's items and in its total.

The window is the first week ahead. Its demand is taken as normal around the sum of the means, with daily errors
that move together a little; the recent level is the mean of the last four weeks, last year's that of the same
weekdays, and a normal delivery is what four in five of the last eight weeks would have needed. What is at stake is the
expected demand less what it is held against, so that a planner can check it by eye.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from serving.cache import StoreArrays
from serving.cache.tables import Days, Floats

WINDOW = 7
RECENT = 28
WEEKS = 8
# The same weekdays a year before.
YEAR = np.timedelta64(364, "D")
# How much the errors of two days of one series move together.
TOGETHER = 0.2
Z80, Z90 = 2.5631, 1.2816
KEPT = 200

Doubles = NDArray[np.float64]
_erf = np.vectorize(math.erf, otypes=[np.float64])
Kind = Literal["peak", "shortage"]


@dataclass(frozen=True)
class Alert:
    """One thing to look at."""

    kind: Kind
    store: str
    # None: the store as a whole.
    item: str | None
    start: date
    end: date
    expected: float
    # What demand stays below with 90 %.
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
        """Give what the expected demand is held against: the higher of lately and last year, or a normal delivery."""
        known = (self.recent, self.last_year) if self.kind == "peak" else (self.normal_delivery,)
        return max(value for value in known if value is not None)

    def to_json(self) -> dict[str, Any]:
        """Give it for an answer."""
        return asdict(self)


@dataclass(frozen=True)
class Levels:
    """A window's expected demand beside what it was before; one number a series."""

    days: int
    expected: Doubles
    deviation: Doubles
    recent: Doubles
    last_year: Doubles
    normal_delivery: Doubles
    peak: NDArray[np.int64]


def levels(arrays: StoreArrays, *, total: bool) -> Levels:
    """Compare the first week ahead with before, for the store's items or for its total."""
    key = f"levels-{total}"
    found = arrays.derived.get(key)
    if found is None:
        found = arrays.derived[key] = _levels(arrays, total=total)
    result: Levels = found
    return result


def _levels(arrays: StoreArrays, *, total: bool) -> Levels:
    days = min(WINDOW, len(arrays.dates))
    if total:
        mean, p10, p90 = arrays.total_mean[None], arrays.total_p10[None], arrays.total_p90[None]
        past = arrays.past_total[None]
    else:
        mean, p10, p90, past = arrays.mean, arrays.p10, arrays.p90, arrays.past
    ahead = mean[:, :days].astype(np.float64)
    spread = np.maximum((p90 - p10)[:, :days] / Z80, (p90[:, :days] - ahead) / Z90)
    spread = np.maximum(spread, 1e-3)
    variance = (1 - TOGETHER) * (spread**2).sum(1) + TOGETHER * spread.sum(1) ** 2
    first = arrays.dates[0]
    recent = sold_on(arrays, past, np.arange(first - RECENT, first))
    last_year = sold_on(arrays, past, arrays.dates[:days] - YEAR)
    weeks = [
        _sum(sold_on(arrays, past, np.arange(first - (week + 1) * days, first - week * days)), days)
        for week in range(WEEKS)
    ]
    return Levels(
        days,
        ahead.sum(1),
        np.sqrt(variance),
        _sum(recent, days),
        _sum(last_year, days),
        _quantile(np.stack(weeks), 0.8),
        ahead.argmax(1),
    )


def _quantile(values: Doubles, share: float) -> Doubles:
    """Give a quantile of each column's known values, NaN where there are none; `nanquantile` takes seconds for this."""
    ordered = np.sort(values, axis=0)
    known = np.isfinite(values).sum(0)
    place = share * np.maximum(known - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    columns = np.arange(values.shape[1])
    below, above = ordered[low, columns], ordered[high, columns]
    return np.asarray(below + (above - below) * (place - low))


def sold_on(arrays: StoreArrays, past: Floats, days: Days) -> Floats:
    """Give what was sold on some days, NaN where that is not known."""
    if not len(arrays.past_dates):
        return np.full((len(past), len(days)), np.nan, np.float32)
    places = np.minimum(np.searchsorted(arrays.past_dates, days), len(arrays.past_dates) - 1)
    return np.where(arrays.past_dates[places] == days, past[:, places], np.float32(np.nan))


def _sum(units: Floats, days: int) -> Doubles:
    """Scale what is known of some days to a whole window; NaN where less than half is."""
    known = np.isfinite(units)
    count = known.sum(1)
    total = np.where(known, units, 0).sum(1, dtype=np.float64)
    return np.where(count * 2 >= units.shape[1], total / np.maximum(count, 1) * days, np.nan)


def ranked(stores: Iterable[StoreArrays], kind: Kind | None) -> list[Alert]:
    """Give the alerts of stores, those with most at stake first."""
    found = [alert for arrays in stores for alert in alerts_of(arrays) if kind is None or alert.kind == kind]
    return sorted(found, key=lambda alert: -alert.at_stake)


def alerts_of(arrays: StoreArrays) -> tuple[Alert, ...]:
    """Give a store's alerts, those with most at stake first."""
    found = arrays.derived.get("alerts")
    if found is None:
        made = [*_alerts(arrays, total=True), *_alerts(arrays, total=False)]
        found = arrays.derived["alerts"] = tuple(sorted(made, key=lambda alert: -alert.at_stake))
    result: tuple[Alert, ...] = found
    return result


def _alerts(arrays: StoreArrays, *, total: bool) -> list[Alert]:
    level = levels(arrays, total=total)
    usual = np.fmax(level.recent, level.last_year)
    extra = level.expected - usual
    beyond = _probability(extra / level.deviation)
    # A store as a whole is unusual much sooner than one of its items.
    share = 0.1 if total else 0.25
    peaks = (extra >= np.maximum(3, share * usual)) & (beyond >= 0.8)
    lacking = level.expected - level.normal_delivery
    risk = _probability(lacking / level.deviation)
    short = lacking >= np.maximum(2, share / 2 * level.normal_delivery)
    kinds: list[tuple[Kind, NDArray[np.bool_], Doubles, Doubles]] = [
        ("peak", peaks, extra, beyond),
        ("shortage", short, lacking, risk),
    ]
    made = []
    for kind, chosen, stake, probability in kinds:
        rows = np.flatnonzero(chosen & np.isfinite(stake))
        for row in rows[np.argsort(-stake[rows], kind="stable")][:KEPT]:
            made.append(_alert(arrays, level, int(row), kind, float(stake[row]), float(probability[row]), total=total))
    return made


def _alert(
    arrays: StoreArrays, level: Levels, row: int, kind: Kind, stake: float, probability: float, *, total: bool
) -> Alert:
    first: date = arrays.dates[0].astype(object)
    return Alert(
        kind,
        arrays.store,
        None if total else arrays.items[row],
        first,
        first + timedelta(days=level.days - 1),
        float(level.expected[row]),
        float(level.expected[row] + Z90 * level.deviation[row]),
        known(level.recent[row]),
        known(level.last_year[row]),
        stake,
        min(probability, 0.99),
        first + timedelta(days=int(level.peak[row])),
        known(level.normal_delivery[row]) if kind == "shortage" else None,
    )


def known(value: float) -> float | None:
    """Give a number, or nothing for one that is not known."""
    return float(value) if math.isfinite(value) else None


def _probability(z: Doubles) -> Doubles:
    """Give the normal distribution's share below."""
    return np.asarray((1 + _erf(z / math.sqrt(2))) / 2)
