"""The weights and scales of scaled errors: each series' share of units and its usual daily change."""

from dataclasses import dataclass

import numpy as np

from foreact.forecasting.inputs.arrays import Codes, Doubles, Floats


@dataclass(frozen=True)
class Scale:
    """Weights and mean squared daily changes of items, groups and the total, read before the origin."""

    codes: Codes
    groups: int
    weights: list[Doubles]
    scales: list[Doubles]


def read_scale(units: Floats, totals: Doubles, codes: Codes, recent_periods: int) -> Scale:
    """Weigh by the recent periods' units; scale by the mean squared change since the first sale."""
    filled = np.nan_to_num(units)
    recent = filled[:, -recent_periods:].sum(1, dtype=np.float64)
    groups = np.bincount(codes, recent, len(totals))
    whole = np.nansum(totals, axis=0)[None, :]
    weights = [recent, groups, recent.sum(keepdims=True)]
    scales = [_mean_squared_changes(filled), _mean_squared_changes(np.nan_to_num(totals)), _mean_squared_changes(whole)]
    return Scale(codes, len(totals), [w / max(float(w.sum()), 1e-9) for w in weights], scales)


def _mean_squared_changes(values: Floats | Doubles) -> Doubles:
    """Return each series' mean squared change from day to day since its first sale; 1 where there is none."""
    if values.shape[1] < 2:
        return np.ones(len(values))
    sold = values > 0
    first = np.where(sold.any(1), sold.argmax(1), values.shape[1])
    change = np.diff(values, axis=1)
    counted = np.arange(1, values.shape[1]) > first[:, None]
    squares = np.einsum("ij,ij->i", np.where(counted, change, 0), change, dtype=np.float64)
    mean = squares / np.maximum(counted.sum(1), 1)
    return np.where(mean > 0, mean, 1.0)
