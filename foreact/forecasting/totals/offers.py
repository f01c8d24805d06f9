"""Promotions and prices of single items as regressors of their group's total."""

from dataclasses import dataclass

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel


@dataclass(frozen=True)
class Offers:
    """By column: groups x all days; promotions as shares of the usual business, prices as mean logs against usual."""

    names: list[str]
    # columns x groups x all days
    values: Doubles


def read_offers(panel: Panel, columns: Columns, codes: Codes, groups: int, demand: Demand) -> Offers:
    """Return every group's offers, each item weighted by its usual units in the history."""
    names = [name for name in (*columns.item_flags, *columns.prices) if name in panel.known]
    days, end = panel.days, len(panel.dates)
    values = np.zeros((len(names), groups, end))
    if len(panel.items) == 1 or not names or days == 0:
        return Offers([], values[:0])
    recent = demand.units[:, max(0, days - panel.spacing.year) : days]
    seen = np.isfinite(recent)
    usual = np.nan_to_num(recent).sum(1, dtype=np.float64) / np.maximum(seen.sum(1), 1)
    weights = np.zeros((groups, len(codes)), np.float32)
    weights[codes, np.arange(len(codes))] = usual
    for i, name in enumerate(names):
        known = panel.known[name]
        if name in columns.prices:
            known = np.log(known, out=np.full(known.shape, np.nan, np.float32), where=known > 0)
            listed: Bools = np.isfinite(known)
            past: Bools = listed[:, :days]
            mean = np.where(past, known[:, :days], 0).sum(1) / np.maximum(past.sum(1), 1)
            ever = past.any(axis=1, keepdims=True)
            level = np.where(listed & ever, known - mean[:, None], 0)
        else:
            listed = np.isfinite(known)
            high = np.nanmax(known) if listed.any() else 0
            level = (known == high).astype(np.float32)
        total = weights @ listed.astype(np.float32)
        share = weights @ level.astype(np.float32)
        values[i] = np.divide(share, total, out=np.zeros(share.shape), where=total > 0)
    return Offers(names, values)
