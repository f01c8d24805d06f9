"""An item's days ahead taken apart; the parts are sums, not causes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.outlines.past import list_past_dates, units_sold_on
from foreact.outlines.tables import Days, Doubles
from foreact.spacing import Spacing
from serving.publication import StoreData


@dataclass(frozen=True)
class ItemParts:
    """What an item's weekdays add to its recent mean, by day, and what the model adds beyond; weeks have none."""

    weekday: Doubles | None
    rest: Doubles


def split_item(arrays: StoreData, row: int) -> ItemParts | None:
    """Split an item's days into its weekdays' rhythm and the rest; None if nothing of its past is known."""
    past_days = list_past_dates(arrays, -arrays.spacing.past)
    sold = units_sold_on(arrays, arrays.past[row][None], past_days)[0].astype(np.float64)
    if not np.isfinite(sold).any():
        return None
    level = float(np.nanmean(sold))
    mean = arrays.mean[row].astype(np.float64)
    if arrays.spacing is not Spacing.DAILY:
        return ItemParts(None, mean - level)
    weekday = _weekday_rhythm(sold, _weekdays(past_days), level)[_weekdays(arrays.dates)]
    return ItemParts(weekday, mean - level - weekday)


def _weekday_rhythm(sold: Doubles, weekdays: NDArray[np.int64], level: float) -> Doubles:
    """Return by how much each weekday's mean differs from the level; 0 for a weekday of which nothing is known."""
    rhythm = np.zeros(7)
    for weekday in range(7):
        known = sold[(weekdays == weekday) & np.isfinite(sold)]
        rhythm[weekday] = known.mean() - level if len(known) else 0.0
    return rhythm


def _weekdays(days: Days) -> NDArray[np.int64]:
    """Return the days' weekdays, Monday is 0."""
    return (days.astype(np.int64) + 3) % 7
