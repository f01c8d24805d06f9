"""Prediction intervals from backtest errors: quantiles of actual over mean, by size of the mean and lead."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Doubles, Floats

# Of one window's days: actual over mean, and which part of the horizon they are in.
Ratios = tuple[Doubles, NDArray[np.int64]]

QUANTILES = (0.1, 0.5, 0.9)
# Cells are binned by the size of their mean, finer at the top, where few cells sell most.
MOST_BINS = 20
TOP_CUTS = (0.97, 0.98, 0.987, 0.993, 0.997)
ROWS_A_BIN = 150
LEADS = 2
# Fewer errors than this say nothing about a quantile.
FEWEST = 20
# However wrong a window was, the band of the totals is widened no more than this, as a log.
WIDEST = 3.0
# Where no backtest was possible: as wide as counts are, and a fifth either way.
SPREAD = 0.3


@dataclass(frozen=True)
class Intervals:
    """Ratios of quantile to mean: leads x bins x quantiles for cells, leads x 2 for the store's total."""

    edges: Doubles
    cells: Doubles
    totals: Doubles

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by field name."""
        return {"edges": self.edges, "cells": self.cells, "totals": self.totals}


@dataclass(frozen=True)
class BacktestErrors:
    """Backtested cells (items x horizon) and totals (horizon) of one origin beside the actuals."""

    mean: Doubles
    actual: Doubles
    total_mean: Doubles
    total_actual: Doubles


def learn_intervals(cells: list[BacktestErrors], totals: list[BacktestErrors]) -> Intervals:
    """Learn the tables of quantiles from backtest errors."""
    mean, ratio, lead = _actual_ratios([(errors.mean, errors.actual) for errors in cells])
    band = _learn_total_band(totals)
    if cells and all(len(errors.mean) == 1 for errors in cells):
        # The one item is the total, of which more windows are known.
        middle = np.clip(np.median(ratio) if len(ratio) else 1.0, band[:, 0], band[:, 1])
        return Intervals(np.zeros(0), np.stack([band[:, 0], middle, band[:, 1]], axis=1)[:, None], band)
    edges = _bin_edges(mean)
    place = np.searchsorted(edges, mean, side="right")
    table = np.ones((LEADS, len(edges) + 1, len(QUANTILES)))
    for half in range(LEADS):
        for bin_ in range(len(edges) + 1):
            here = ratio[(lead == half) & (place == bin_)]
            if len(here) < FEWEST:
                here = ratio[place == bin_]
            table[half, bin_] = np.quantile(here, QUANTILES) if len(here) >= FEWEST else _default_ratios()
    return Intervals(edges, table, band)


def _bin_edges(mean: Doubles) -> Doubles:
    """Return the edges between bins of the mean; fewer where there are few cells."""
    most = len(mean) / (ROWS_A_BIN * LEADS)
    bins = int(np.clip(most, 1, MOST_BINS))
    cuts = [i / bins for i in range(1, bins)] + [cut for cut in TOP_CUTS if (1 - cut) * most >= 1]
    return np.unique(np.quantile(mean, cuts)) if cuts else np.zeros(0)


def _default_ratios() -> Doubles:
    return np.array([max(0.0, 1 - 1.28 * SPREAD), 1.0, 1 + 1.28 * SPREAD])


def _actual_ratios(pairs: list[tuple[Doubles, Doubles]]) -> tuple[Doubles, Doubles, NDArray[np.int64]]:
    means, ratios, leads = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.int64)]
    for mean, actual in pairs:
        usable = np.isfinite(actual) & (mean > 0)
        lead = np.broadcast_to(_lead_halves(mean.shape[-1]), mean.shape)
        means.append(mean[usable])
        ratios.append(actual[usable] / mean[usable])
        leads.append(lead[usable])
    return np.concatenate(means), np.concatenate(ratios), np.concatenate(leads)


def _lead_halves(horizon: int) -> NDArray[np.int64]:
    return (np.arange(horizon) * LEADS) // max(horizon, 1)


def _learn_total_band(totals: list[BacktestErrors]) -> Doubles:
    """Return the band of all windows, widened by as much as each window needed beyond the band of the others.

    Errors within one window are correlated, so that eight windows are nearer to eight errors than to all their days.
    """
    windows = [_actual_ratios([(errors.total_mean, errors.total_actual)])[1:] for errors in totals]
    table = _quantile_band(windows)
    sizes = [len(window[0]) for window in windows]
    if sum(sizes) - max(sizes, default=0) >= FEWEST:
        reaches = [
            _required_widening(window, _quantile_band(windows[:i] + windows[i + 1 :]))
            for i, window in enumerate(windows)
        ]
        table **= np.clip(np.quantile(np.concatenate(reaches), QUANTILES[2] - QUANTILES[0]), 1.0, WIDEST)
    else:
        # Windows without others to compare with say how far errors go, not which way.
        far = np.abs(table - 1.0).max(1)
        table = np.stack([np.maximum(1.0 - far, 0.0), 1.0 + far], axis=1)
    return table


def _quantile_band(windows: list[Ratios]) -> Doubles:
    """Return the quantiles of actual over mean by lead, around 1."""
    ratio = np.concatenate([np.zeros(0), *(window[0] for window in windows)])
    lead = np.concatenate([np.zeros(0, np.int64), *(window[1] for window in windows)])
    table = np.tile(_default_ratios()[[0, 2]], (LEADS, 1))
    for half in range(LEADS):
        here = ratio[lead == half]
        if len(here) < 60:
            here = ratio
        if len(here) >= FEWEST:
            low, high = np.quantile(here, (QUANTILES[0], QUANTILES[2]))
            table[half] = min(low, 1.0), max(high, 1.0)
    return table


def _required_widening(window: Ratios, band: Doubles) -> Doubles:
    """Return by day how many times as wide the band must be, as a log, to hold the actual; `WIDEST` at most."""
    ratio, lead = window
    edge = np.where(ratio < 1, band[lead, 0], band[lead, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.log(ratio) / np.log(edge)
    # An edge at zero contains any actual, and any edge contains one that was forecast exactly.
    return np.asarray(np.minimum(np.nan_to_num(reach, nan=0.0, posinf=WIDEST), WIDEST))


def cell_quantiles(intervals: Intervals, mean: Doubles) -> tuple[Floats, Floats, Floats]:
    """Return p10, p50 and p90 of items x horizon: in order and never negative."""
    place = np.searchsorted(intervals.edges, mean, side="right")
    ratios = intervals.cells[_lead_halves(mean.shape[1])[None, :], place]
    quantiles = np.maximum.accumulate(np.maximum(ratios * mean[..., None], 0.0), axis=-1).astype(np.float32)
    return quantiles[..., 0], quantiles[..., 1], quantiles[..., 2]


def total_interval(intervals: Intervals, total: Doubles) -> tuple[Floats, Floats]:
    """Return p10 and p90 of the total by day."""
    ratios = intervals.totals[_lead_halves(len(total))]
    return (total * ratios[:, 0]).astype(np.float32), (total * ratios[:, 1]).astype(np.float32)
