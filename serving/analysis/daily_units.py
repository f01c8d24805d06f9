"""Units by date, cut to the dates that are asked for: of one store's series, or of several stores side by side.

Days are periods here: weeks or months where the data has those.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from foreact.spacing import Spacing
from serving.publication import StoreData
from serving.publication.tables import Days, Floats

TotalColumn = Literal["total_mean", "total_p10", "total_p90"]


def list_past_dates(arrays: StoreData, first: int, end: int = 0) -> Days:
    """Return the dates of periods before the first one ahead, by their places from it: -1 is the last known one."""
    return arrays.spacing.date_periods(arrays.dates[0], np.arange(first, end))


def move_back_a_year(spacing: Spacing, dates: Days) -> Days:
    """Return the dates of the same periods a year before; of days, the same weekdays."""
    return spacing.date_periods(dates[0], np.arange(len(dates)) - spacing.year)


def units_sold_on(arrays: StoreData, past: Floats, days: Days) -> Floats:
    """Return what was sold on some days, NaN where that is not known."""
    if not len(arrays.past_dates):
        return np.full((len(past), len(days)), np.nan, np.float32)
    places = np.minimum(np.searchsorted(arrays.past_dates, days), len(arrays.past_dates) - 1)
    return np.where(arrays.past_dates[places] == days, past[:, places], np.float32(np.nan))


def stack_totals_sold(stores: Sequence[StoreData], days: Days) -> Floats:
    """Return what was sold in all, stores x days; stores with sales of the same days are looked up at once."""
    sold = np.empty((len(stores), len(days)), np.float32)
    rows_by_dates: dict[bytes, list[int]] = {}
    for row, arrays in enumerate(stores):
        rows_by_dates.setdefault(arrays.past_dates.tobytes(), []).append(row)
    for rows in rows_by_dates.values():
        past = np.array([stores[row].past_total for row in rows])
        sold[rows] = units_sold_on(stores[rows[0]], past, days)
    return sold


def stack_totals_expected(stores: Sequence[StoreData], days: Days, column: TotalColumn = "total_mean") -> Floats:
    """Return a forecast column of the totals, stores x days; every store has to cover all the days."""
    pairs = [(arrays, int(np.searchsorted(arrays.dates, days[0]))) for arrays in stores]
    return np.array([getattr(arrays, column)[start : start + len(days)] for arrays, start in pairs])


def count_known_days(arrays: StoreData) -> int:
    """Return in how many of the periods just past the store's total is known."""
    recent = arrays.past_dates >= list_past_dates(arrays, -arrays.spacing.past)[0]
    return int((recent & ~np.isnan(arrays.past_total)).sum())
