"""One series by day, of an item or of stores' totals: expected with its band, sold lately, and sold last year."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foreact.outlines.past import list_past_dates, move_back_a_year, units_sold_on
from foreact.outlines.tables import Days, Doubles, Floats
from foreact.spacing import Spacing
from serving.analysis.daily_units import stack_totals_expected, stack_totals_sold
from serving.analysis.known import round_known
from serving.publication import StoreData


@dataclass(frozen=True)
class Series:
    """Units by date, rounded: the periods ahead, the same periods last year, and those just past."""

    spacing: Spacing
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
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "window": self.spacing.window}


def find_stores_in_step(stores: Sequence[StoreData]) -> list[StoreData]:
    """Return the stores that have numbers for the window that the newest forecast begins with.

    A store that runs have left behind for so long is in no sum, because a sum has to be of the same dates.
    """
    newest = max(stores, key=lambda arrays: arrays.dates[0])
    last = newest.dates[min(newest.spacing.window, len(newest.dates)) - 1]
    return [arrays for arrays in stores if arrays.spacing is newest.spacing and arrays.dates[-1] >= last]


def sum_totals(stores: Sequence[StoreData]) -> Series:
    """Add up the totals of stores in step by day; days that not every store covers are left out."""
    newest = max(stores, key=lambda arrays: arrays.dates[0])
    last = min(arrays.dates[-1] for arrays in stores)
    days: Days = newest.dates[newest.dates <= last]
    past_days = list_past_dates(newest, -newest.spacing.past)
    return Series(
        spacing=newest.spacing,
        dates=[str(day) for day in days],
        mean=round_known(_sum_stores(stack_totals_expected(stores, days, "total_mean"))),
        low=round_known(_sum_stores(stack_totals_expected(stores, days, "total_p10"))),
        high=round_known(_sum_stores(stack_totals_expected(stores, days, "total_p90"))),
        past_dates=[str(day) for day in past_days],
        past=round_known(_sum_stores(stack_totals_sold(stores, past_days))),
        last_year=round_known(_sum_stores(stack_totals_sold(stores, move_back_a_year(newest.spacing, days)))),
        bands=len(stores),
    )


def item_series(arrays: StoreData, row: int) -> Series:
    """Return the series of one item."""
    past_days = list_past_dates(arrays, -arrays.spacing.past)
    past = arrays.past[row][None]
    return Series(
        spacing=arrays.spacing,
        dates=list(arrays.days),
        mean=round_known(arrays.mean[row]),
        low=round_known(arrays.p10[row]),
        high=round_known(arrays.p90[row]),
        past_dates=[str(day) for day in past_days],
        past=round_known(units_sold_on(arrays, past, past_days)[0]),
        last_year=round_known(units_sold_on(arrays, past, move_back_a_year(arrays.spacing, arrays.dates))[0]),
        bands=1,
    )


def _sum_stores(units: Floats) -> Doubles:
    return np.asarray(units.sum(0, dtype=np.float64))
