"""The first window ahead beside what was sold before: lately, last year, and what a normal delivery would be.

The window is a week of days, four weeks, or three months. Its demand is taken as normal around the sum of the means,
with errors that move together a little; the recent level is the mean of four weeks (of eight where data is weekly, of
six months where it is monthly), last year's that of the same weekdays, weeks or months, and a normal delivery is what
four in five of the last eight windows would have needed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.outlines.past import Dated, list_past_dates, move_back_a_year, units_sold_on
from foreact.outlines.tables import Doubles, Floats
from foreact.spacing import Spacing

RECENT = {Spacing.DAILY: 28, Spacing.WEEKLY: 8, Spacing.MONTHLY: 6}
WINDOWS = 8
# How much the errors of two days of one series are taken to be correlated.
CORRELATION = 0.2
Z80, Z90 = 2.5631, 1.2816


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

    def select_row(self, row: int) -> "Levels":
        """Return the numbers of one series."""
        one = slice(row, row + 1)
        return Levels(
            self.days,
            self.expected[one],
            self.deviation[one],
            self.recent[one],
            self.last_year[one],
            self.normal_delivery[one],
            self.peak[one],
        )


def compute_levels(store: Dated, mean: Floats, p10: Floats, p90: Floats, past: Floats) -> Levels:
    """Compare series that have the dates of a store."""
    days = min(store.spacing.window, len(store.dates))
    ahead = mean[:, :days].astype(np.float64)
    spread = np.maximum((p90 - p10)[:, :days] / Z80, (p90[:, :days] - ahead) / Z90)
    spread = np.maximum(spread, 1e-3)
    variance = (1 - CORRELATION) * (spread**2).sum(1) + CORRELATION * spread.sum(1) ** 2
    recent = units_sold_on(store, past, list_past_dates(store, -RECENT[store.spacing]))
    last_year = units_sold_on(store, past, move_back_a_year(store.spacing, store.dates[:days]))
    windows = [
        _sum_window(units_sold_on(store, past, list_past_dates(store, -(back + 1) * days, -back * days)), days)
        for back in range(WINDOWS)
    ]
    return Levels(
        days,
        ahead.sum(1),
        np.sqrt(variance),
        _sum_window(recent, days),
        _sum_window(last_year, days),
        _column_quantile(np.stack(windows), 0.8),
        ahead.argmax(1),
    )


def _column_quantile(values: Doubles, share: float) -> Doubles:
    """Return a quantile of each column's known values, NaN where none are; `nanquantile` takes seconds for this."""
    ordered = np.sort(values, axis=0)
    known = np.isfinite(values).sum(0)
    place = share * np.maximum(known - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    columns = np.arange(values.shape[1])
    below, above = ordered[low, columns], ordered[high, columns]
    return np.asarray(below + (above - below) * (place - low))


def _sum_window(units: Floats, days: int) -> Doubles:
    """Scale what is known of some days to a whole window; NaN where less than half is."""
    known = np.isfinite(units)
    count = known.sum(1)
    total = np.where(known, units, 0).sum(1, dtype=np.float64)
    return np.where(count * 2 >= units.shape[1], total / np.maximum(count, 1) * days, np.nan)
