"""Reconciliation: items are scaled to their group's total, day by day, and their quantiles agree with the store's."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles, Floats

# A group of many items is not scaled by more than this; beyond it the items' own sum holds.
MOST = 3.0
# The weight of the items' own sums in their groups' totals, as logs.
ITEMS_SHARE = 0.3
# Of an item's mean, so that a quantile can be raised where none is above it.
LEAST_ROOM = 1e-6


def sum_by_group(items: Doubles, codes: Codes, groups: int) -> Doubles:
    """Return the items' sums by group: groups x horizon."""
    membership = np.zeros((groups, len(codes)))
    membership[codes, np.arange(len(codes))] = 1.0
    return np.asarray(membership @ items)


def blend_totals(totals: Doubles, sums: Doubles, bias: float | None) -> Doubles:
    """Blend totals with the items' own sums, less their usual bias; where that is unknown the level stays as it is."""
    if bias is None:
        bias = _log_or_zero(sums.sum()) - _log_or_zero(totals.sum())
    gap = np.clip(_log_or_zero(sums) - _log_or_zero(totals) - bias, -np.log(MOST), np.log(MOST))
    return np.asarray(totals * np.exp(ITEMS_SHARE * gap * ((totals > 0) & (sums > 0))))


def _log_or_zero(values: Any) -> Any:
    return np.log(np.where(values > 0, values, 1.0))


def reconcile_items(items: Doubles, totals: Doubles, codes: Codes, closed: Bools) -> Doubles:
    """Return items x horizon whose sums by group are the groups' totals; closed days are zero."""
    sums = sum_by_group(items, codes, len(totals))
    ratio = np.divide(totals, sums, out=np.ones_like(totals), where=sums > 0)
    many = np.bincount(codes, minlength=len(totals)) > 1
    ratio[many] = np.clip(ratio[many], 1 / MOST, MOST)
    return np.asarray(items * ratio[codes] * ~closed)


def tie_quantiles(items: Floats, totals: Floats, mean: Doubles, shares: Sequence[float]) -> Floats:
    """Return the items' quantiles (shares x items x horizon), moved apart where they disagree with the totals'.

    A day on which every item sells its p90 is no worse for the store than its own p90, and one on which every item
    sells its p10 no better than its own p10. Shares go from low to high.
    """
    tied = items.astype(np.float64)
    for place, share in enumerate(shares):
        sums, total = tied[place].sum(0), totals[place].astype(np.float64)
        if share > 0.5:
            missing = np.maximum(total - sums, 0.0)
            # What an item may sell beyond its mean says how much more it may; the mean itself, where none may.
            room = np.maximum(tied[place] - mean, 0.0) + LEAST_ROOM * mean
            whole = room.sum(0)
            tied[place] += room * np.divide(missing, whole, out=np.zeros_like(whole), where=whole > 0)
        elif share < 0.5:
            tied[place] *= np.minimum(1.0, np.divide(total, sums, out=np.ones_like(sums), where=sums > 0))
    middle = int(np.searchsorted(shares, 0.5))
    tied[middle:] = np.maximum.accumulate(tied[middle:], axis=0)
    tied[: middle + 1] = np.minimum.accumulate(tied[: middle + 1][::-1], axis=0)[::-1]
    return tied.astype(np.float32)
