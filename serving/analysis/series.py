"""One series by day, of an item or of stores' totals: expected with its band, sold lately, and sold last year."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.analysis.comparison import WINDOW
from serving.analysis.daily_units import (
    DAY,
    PAST_DAYS,
    YEAR,
    stack_totals_expected,
    stack_totals_sold,
    units_sold_on,
)
from serving.analysis.known import round_known
from serving.publication import StoreData
from serving.publication.tables import Days, Doubles, Floats


@dataclass(frozen=True)
class Series:
    """Units by day, rounded: the days ahead, the same days last year, and the days just past."""

    dates: list[str]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]
    past_dates: list[str]
    past: list[float | None]
    last_year: list[float | None]
    # How many stores' bands were added up; of more than one, the sum is at least as wide as the band of the total.
    bands: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, for the chart's script."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def find_stores_in_step(stores: Sequence[StoreData]) -> list[StoreData]:
    """Return the stores that have numbers for the week that the newest forecast begins with.

    A store that runs have left behind for so long is in no sum, because a sum has to be of the same days.
    """
    newest = max(stores, key=lambda arrays: arrays.dates[0])
    last = newest.dates[min(WINDOW, len(newest.dates)) - 1]
    return [arrays for arrays in stores if arrays.dates[-1] >= last]


def sum_totals(stores: Sequence[StoreData]) -> Series:
    """Add up the totals of stores in step by day; days that not every store covers are left out."""
    first = max(arrays.dates[0] for arrays in stores)
    last = min(arrays.dates[-1] for arrays in stores)
    days: Days = np.arange(first, last + DAY)
    past_days = np.arange(first - PAST_DAYS, first)
    return Series(
        dates=[str(day) for day in days],
        mean=round_known(_sum_stores(stack_totals_expected(stores, days, "total_mean"))),
        low=round_known(_sum_stores(stack_totals_expected(stores, days, "total_p10"))),
        high=round_known(_sum_stores(stack_totals_expected(stores, days, "total_p90"))),
        past_dates=[str(day) for day in past_days],
        past=round_known(_sum_stores(stack_totals_sold(stores, past_days))),
        last_year=round_known(_sum_stores(stack_totals_sold(stores, days - YEAR))),
        bands=len(stores),
    )


def item_series(arrays: StoreData, row: int) -> Series:
    """Return the series of one item."""
    past_days = np.arange(arrays.dates[0] - PAST_DAYS, arrays.dates[0])
    past = arrays.past[row][None]
    return Series(
        dates=list(arrays.days),
        mean=round_known(arrays.mean[row]),
        low=round_known(arrays.p10[row]),
        high=round_known(arrays.p90[row]),
        past_dates=[str(day) for day in past_days],
        past=round_known(units_sold_on(arrays, past, past_days)[0]),
        last_year=round_known(units_sold_on(arrays, past, arrays.dates - YEAR)[0]),
        bands=1,
    )


def _sum_stores(units: Floats) -> Doubles:
    return np.asarray(units.sum(0, dtype=np.float64))
