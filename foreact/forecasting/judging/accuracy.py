"""Figures of how a forecast did: a scaled error like the M5's, WAPE, bias, coverage and pinball loss."""

import numpy as np

from foreact.forecasting.inputs.arrays import Doubles, Floats
from foreact.forecasting.inputs.scale import Scale

LARGE = 10.0


def scaled_error(mean: Doubles, actual: Doubles, scale: Scale) -> float:
    """Return the mean over items, groups and the total of the weighted root mean squared scaled error."""
    miss = np.where(np.isfinite(actual), mean - np.nan_to_num(actual), 0.0)
    by_group = np.zeros((scale.groups, miss.shape[1]))
    np.add.at(by_group, scale.codes, miss)
    parts = [miss, by_group, miss.sum(0, keepdims=True)]
    errors = [
        float((weight * np.sqrt((part**2).mean(1) / level)).sum())
        for part, weight, level in zip(parts, scale.weights, scale.scales, strict=True)
    ]
    return float(np.mean(errors))


def point_figures(mean: Doubles, actual: Doubles) -> dict[str, float]:
    """Return WAPE, bias and the error of the store's total by day."""
    kept = np.isfinite(actual)
    sold = float(actual[kept].sum())
    forecast = float(mean[kept].sum())
    by_day = np.where(kept, mean - np.nan_to_num(actual), 0.0).sum(0)
    divisor = max(sold, 1e-9)
    return {
        "wape": float(np.abs(mean[kept] - actual[kept]).sum()) / divisor if sold else float(forecast > 0),
        "bias": forecast / divisor - 1 if sold else float(forecast > 0),
        "total_wape": float(np.abs(by_day).sum()) / divisor if sold else float(forecast > 0),
    }


def interval_figures(actual: Doubles, mean: Doubles, p10: Floats, p90: Floats) -> dict[str, float]:
    """Return the shares of cells outside either quantile, the coverage of large cells and the pinball loss."""
    kept = np.isfinite(actual)
    if not kept.any():
        return {}
    y, low, high, size = actual[kept], p10[kept], p90[kept], mean[kept]
    figures = {
        "above_p90": float((y > high).mean()),
        "below_p10": float((y < low).mean()),
        "coverage": float(((y >= low) & (y <= high)).mean()),
        "pinball": float((_pinball_loss(y, low, 0.1) + _pinball_loss(y, high, 0.9)).mean() / 2),
    }
    large = size >= LARGE
    if large.any():
        figures["large_coverage"] = float(((y >= low) & (y <= high))[large].mean())
    return figures


def _pinball_loss(actual: Doubles, quantile: Floats, share: float) -> Doubles:
    gap = actual - quantile
    return np.maximum(share * gap, (share - 1) * gap)


def mean_figures(windows: list[dict[str, float]]) -> dict[str, float]:
    """Average figures over origins, each where it is known."""
    names = sorted({name for window in windows for name in window})
    return {name: float(np.mean([window[name] for window in windows if name in window])) for name in names}
