"""Items, groups and totals that agree: items are scaled to their group's total, day by day."""

from typing import Any

import numpy as np

from foreact.forecasting.inputs.columns import Codes
from foreact.forecasting.inputs.demand import Bools, Doubles

# A group of many items is not stretched beyond this; what is left over stays with the items' own sum.
MOST = 3.0
# What the items' own sums weigh in their groups' totals, as logs.
ITEMS_SHARE = 0.3


def sum_by_group(items: Doubles, codes: Codes, groups: int) -> Doubles:
    """Return groups x horizon."""
    membership = np.zeros((groups, len(codes)))
    membership[codes, np.arange(len(codes))] = 1.0
    return np.asarray(membership @ items)


def blend_totals(totals: Doubles, sums: Doubles, bias: float | None) -> Doubles:
    """Mix totals with the items' own sums, less what those are usually over by; unknown, they leave the level alone."""
    if bias is None:
        bias = _safe_log(sums.sum()) - _safe_log(totals.sum())
    gap = np.clip(_safe_log(sums) - _safe_log(totals) - bias, -np.log(MOST), np.log(MOST))
    return np.asarray(totals * np.exp(ITEMS_SHARE * gap * ((totals > 0) & (sums > 0))))


def _safe_log(values: Any) -> Any:
    return np.log(np.where(values > 0, values, 1.0))


def reconcile_items(items: Doubles, totals: Doubles, codes: Codes, closed: Bools) -> Doubles:
    """Return items x horizon whose sums by group are the groups' totals; closed days are zero."""
    sums = sum_by_group(items, codes, len(totals))
    ratio = np.divide(totals, sums, out=np.ones_like(totals), where=sums > 0)
    many = np.bincount(codes, minlength=len(totals)) > 1
    ratio[many] = np.clip(ratio[many], 1 / MOST, MOST)
    return np.asarray(items * ratio[codes] * ~closed)
