"""Units by date, cut to the dates that are asked for: of one store's series, or of several stores side by side.

Days are periods here: weeks or months where the data has those.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from foreact.outlines.past import list_past_dates, units_sold_on
from foreact.outlines.tables import Days, Floats
from serving.publication import StoreData

TotalColumn = Literal["total_mean", "total_p10", "total_p90"]


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
