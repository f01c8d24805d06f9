"""Each store's days ahead beside what the same weekdays brought lately; weeks and months beside those just past."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foreact.outlines.tables import Days, Doubles
from serving.analysis.daily_units import stack_totals_expected, stack_totals_sold
from serving.publication import StoreData

USUAL_WEEKS = np.arange(1, 9)


@dataclass(frozen=True)
class WeekdayComparison:
    """Stores x days: expected units, and by what share they are above or below the usual; NaN where that is unknown."""

    expected: Doubles
    change: Doubles


def compare_weekdays(stores: Sequence[StoreData], days: Days) -> WeekdayComparison:
    """Compare each store's days with the mean of the same weekdays in its last eight weeks."""
    expected = stack_totals_expected(stores, days).astype(np.float64)
    usual = _mean_of_weekdays(stores, days)
    with np.errstate(all="ignore"):
        change = np.where(usual > 0, expected / usual - 1, np.nan)
    return WeekdayComparison(expected, change)


def _mean_of_weekdays(stores: Sequence[StoreData], days: Days) -> Doubles:
    """Return the mean of the same weekdays in the eight weeks before each store's first day ahead."""
    usual = np.empty((len(stores), len(days)))
    firsts = np.array([arrays.dates[0] for arrays in stores])
    for first in np.unique(firsts):
        rows = np.flatnonzero(firsts == first).tolist()
        spacing = stores[rows[0]].spacing
        # The days themselves moved back into the week from the first day ahead on.
        first_week = spacing.count_periods(first, days) % spacing.week
        past_days = spacing.date_periods(first, (first_week - USUAL_WEEKS[:, None] * spacing.week).ravel())
        sold = stack_totals_sold([stores[row] for row in rows], past_days).reshape(len(rows), len(USUAL_WEEKS), -1)
        known = np.isfinite(sold)
        total = np.where(known, sold, 0).sum(1, dtype=np.float64)
        usual[rows] = np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)
    return usual
