"""How items behave as of an origin, and on which days ahead: what their errors depend on beside the mean."""

from dataclasses import dataclass

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel

ORDINARY, PROMOTED, NEW, SEASONAL = range(4)
RECENT_WEEKS = 13
# Until then an item has no usual day.
NEW_WEEKS = 8
# An item is seasonal if a quarter of a year brings so much of the year's units.
QUARTER_SHARE = 0.5
# Of fewer units chance makes a season.
FEWEST_UNITS = 30.0
# How many days' worth of changes an item is taken to have that has none.
PRIOR_DAYS = 8.0


@dataclass(frozen=True)
class Traits:
    """What the errors of a panel's items depend on beside the mean."""

    # items: by how many units a day usually differs from the same weekday a week before.
    change: Doubles
    # items x horizon: ORDINARY, PROMOTED, NEW or SEASONAL.
    kinds: Codes

    @classmethod
    def of_nothing(cls, horizon: int) -> "Traits":
        """Return the traits of no items."""
        return cls(np.zeros(0), np.zeros((0, horizon), np.int64))


def read_traits(panel: Panel, columns: Columns, demand: Demand) -> Traits:
    """Read the traits before the origin, and which of the days ahead are promoted."""
    units = demand.units.astype(np.float64)
    units[:, demand.closed] = np.nan
    seen = np.isfinite(units)
    # Zeros before the first sale tell nothing of how an item sells.
    age = panel.days - np.where((units > 0).any(1), (units > 0).argmax(1), panel.days)
    week = panel.spacing.week
    seasonal = _find_seasonal(units, panel.spacing.year) & (age >= panel.spacing.year)
    units = units[:, -RECENT_WEEKS * week :]
    kinds = np.where(seasonal[:, None], SEASONAL, ORDINARY)
    kinds = np.where(_mark_promoted(panel, columns), PROMOTED, kinds)
    # In a history that is itself short, all items are as new.
    is_new = (age < NEW_WEEKS * week) & (panel.days - seen.argmax(1).min(initial=panel.days) >= 2 * NEW_WEEKS * week)
    kinds[is_new] = NEW
    return Traits(_usual_changes(units, week), kinds)


def _find_seasonal(units: Doubles, year: int) -> Bools:
    """Mark the items of which one quarter of the last year sold most; none where there is no year of them."""
    sold = np.nan_to_num(units[:, -year:]).clip(min=0)
    quarter = year // 4
    if sold.shape[1] < year:
        return np.zeros(len(units), bool)
    sums = np.concatenate([np.zeros((len(sold), 1)), np.cumsum(sold, axis=1)], axis=1)
    best = (sums[:, quarter:] - sums[:, :-quarter]).max(1)
    return np.asarray((sums[:, -1] >= FEWEST_UNITS) & (best >= QUARTER_SHARE * sums[:, -1]))


def _usual_changes(units: Doubles, week: int) -> Doubles:
    """Return by how much days differ from a week before, drawn towards what counts of the same mean would do."""
    change = np.abs(units[:, week:] - units[:, :-week]) if units.shape[1] > week else np.zeros((len(units), 0))
    known = np.isfinite(change)
    seen = np.isfinite(units)
    level = np.where(seen, units, 0).sum(1).clip(min=0) / np.maximum(seen.sum(1), 1)
    prior = np.sqrt(np.maximum(level, 1.0 / max(units.shape[1], 1)))
    return np.asarray((np.where(known, change, 0).sum(1) + PRIOR_DAYS * prior) / (known.sum(1) + PRIOR_DAYS))


def _mark_promoted(panel: Panel, columns: Columns) -> np.ndarray:
    """Mark the cells ahead where a flag by item has its rarer value."""
    ahead = np.zeros((len(panel.items), panel.horizon), bool)
    for name in columns.item_flags:
        if name not in panel.known:
            continue
        values = panel.known[name]
        seen = values[:, : panel.days]
        low, high = np.nanmin(seen), np.nanmax(seen)
        rare = high if np.nanmean(seen == high) <= np.nanmean(seen == low) else low
        ahead |= values[:, panel.days :] == rare
    return ahead
