"""Units by day, cut to the days that are asked for: of one store's series, or of several stores side by side."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from serving.publication import StoreData
from serving.publication.tables import Days, Floats

DAY = np.timedelta64(1, "D")
# The same weekdays a year before.
YEAR = np.timedelta64(364, "D")
# How far back charts and comparisons go.
PAST_DAYS = np.timedelta64(56, "D")

TotalColumn = Literal["total_mean", "total_p10", "total_p90"]


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
    starts = ((days[0] - np.array([arrays.dates[0] for arrays in stores])) // DAY).tolist()
    pairs = zip(stores, starts, strict=True)
    return np.array([getattr(arrays, column)[start : start + len(days)] for arrays, start in pairs])


def count_known_days(arrays: StoreData) -> int:
    """Return on how many of the last eight weeks' days the store's total is known."""
    recent = arrays.past_dates >= arrays.dates[0] - PAST_DAYS
    return int((recent & ~np.isnan(arrays.past_total)).sum())
