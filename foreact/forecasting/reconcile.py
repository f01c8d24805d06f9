"""Reconciliation: items are scaled to their group's total, day by day."""

from typing import Any

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles

# A group of many items is not scaled by more than this; beyond it the items' own sum holds.
MOST = 3.0
# The weight of the items' own sums in their groups' totals, as logs.
ITEMS_SHARE = 0.3


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
