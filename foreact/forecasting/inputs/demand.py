"""Demand: units without the cells that are no evidence of it, and their totals by group."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles, Floats
from foreact.forecasting.inputs.panel import Panel

# A day that sold less than this share of its neighbours' median was no normal day of business.
CLOSED_SHARE = 0.2
# Below this median a day without sales is chance.
CLOSED_MEDIAN = 10.0


@dataclass(frozen=True)
class Demand:
    """The history as evidence: `units` before the origin, NaN where a cell says nothing about demand."""

    units: Floats
    # items x days of history: the item could be sold, as far as anybody knows.
    alive: Bools
    # groups x days of history, NaN on days that say nothing.
    totals: Doubles
    # days of history on which the store was closed, by flag or judging by its sales.
    closed: Bools


def read_demand(panel: Panel, codes: Codes, groups: int) -> Demand:
    """Drop the cells that are unknown, closed or sold out, and sum the rest with an estimate for the dropped ones."""
    days = panel.days
    raw = panel.units[:, :days]
    known = ~np.isnan(raw)
    alive = _mark_alive(known)
    evidence = known
    if panel.open is not None:
        evidence = evidence & panel.open[:, :days]
        alive = alive & panel.open[:, :days]
    if panel.stockout is not None:
        evidence = evidence & ~panel.stockout[:, :days]
    complete = evidence is known
    units = raw if complete else np.where(evidence, raw, np.float32(np.nan))
    totals = _sum_by_group(raw, evidence, alive, codes, groups)
    totals[~_mark_begun(totals)] = np.nan
    closed = _mark_closed(panel, np.nansum(totals, axis=0), np.asarray(np.isnan(totals).all(0)))
    totals[:, closed] = np.nan
    return Demand(units, alive, totals, closed)


def _mark_alive(known: Bools) -> Bools:
    """Mark the cells between each item's first known one and its last."""
    if known.shape[1] == 0:
        return known
    return np.logical_or.accumulate(known, axis=1) & np.logical_or.accumulate(known[:, ::-1], axis=1)[:, ::-1]


def _mark_begun(totals: Doubles) -> Bools:
    """Mark each group's days from its first sale on: rows of zero before an opening are no evidence."""
    return np.logical_or.accumulate(np.nan_to_num(totals) > 0, axis=1)


def _sum_by_group(raw: Floats, evidence: Bools, alive: Bools, codes: Codes, groups: int) -> Doubles:
    """Sum by group; a cell without evidence within an item's life counts as the item's usual share."""
    filled = np.where(evidence, raw, np.float32(0))
    missing = alive & ~evidence
    any_missing = bool(missing.any())
    seen = evidence.sum(1)
    usual = np.divide(filled.sum(1, dtype=np.float64), seen, out=np.zeros(len(seen)), where=seen > 0)
    totals = np.full((groups, raw.shape[1]), np.nan)
    for group in range(groups):
        rows = np.flatnonzero(codes == group)
        if not len(rows):
            continue
        total = filled[rows].sum(0, dtype=np.float64)
        living = alive[rows].any(0)
        if any_missing:
            of_all = usual[rows] @ alive[rows]
            absent = usual[rows] @ missing[rows]
            share = np.divide(absent, of_all, out=np.zeros_like(absent), where=of_all > 0)
            # With half the group's usual business unseen, the day says too little.
            living = living & (share <= 0.5) & evidence[rows].any(0)
            sold_anyway = np.where(missing[rows], np.nan_to_num(raw[rows]), 0).sum(0, dtype=np.float64)
            total = np.maximum(total / np.maximum(1 - share, 0.5), total + sold_anyway)
        totals[group] = np.where(living, total, np.nan)
    return totals


def _mark_closed(panel: Panel, total: Doubles, unseen: Bools) -> Bools:
    """Mark the days closed by flag, or with sales far below their neighbours'."""
    days = panel.days
    by_flag = np.zeros(days, bool) if panel.open is None else ~panel.open[:, :days].any(0)
    sold = np.where((total > 0) & ~unseen & ~by_flag, total, np.nan)
    local = _local_median(sold, 6 * panel.spacing.week, 2 * panel.spacing.week)
    return by_flag | (~unseen & (local >= CLOSED_MEDIAN) & (total < CLOSED_SHARE * local))


def _local_median(values: Doubles, reach: int, stride: int) -> Doubles:
    """Return the median of the days around each day, from what is there."""
    days = len(values)
    if not np.isfinite(values).any():
        return np.zeros(days)
    padded = np.pad(values, (reach, reach + stride), constant_values=np.nan)
    windows = np.sort(sliding_window_view(padded, 2 * reach + 1)[: days + stride : stride], axis=1)
    count = np.isfinite(windows).sum(1)
    medians = np.where(count > 0, windows[np.arange(len(windows)), np.maximum(count - 1, 0) // 2], np.nan)
    known = np.flatnonzero(np.isfinite(medians))
    return np.interp(np.arange(days), known * stride, medians[known])
