"""The accuracy of a forecast: a scaled error like the M5's, WAPE, bias, coverage and pinball loss."""

from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from foreact.forecasting.inputs.arrays import Doubles, Floats
from foreact.forecasting.inputs.scale import Scale

LARGE = 10.0


@dataclass(frozen=True)
class Accuracy:
    """The figures of a forecast compared with the actuals; None: not measured."""

    # The shares of cells outside either quantile, and inside both.
    above_p90: float | None = None
    below_p10: float | None = None
    bias: float | None = None
    coverage: float | None = None
    # The coverage of cells whose mean is large.
    large_coverage: float | None = None
    pinball: float | None = None
    scaled_error: float | None = None
    # Coverage and WAPE of the store's total by day.
    total_coverage: float | None = None
    total_wape: float | None = None
    wape: float | None = None

    def to_figures(self) -> dict[str, float]:
        """Return the measured figures by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Contribution:
    """What one expert brought: its share of the totals, and its error had it forecast alone."""

    share: float
    scaled_error: float


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


def point_accuracy(mean: Doubles, actual: Doubles, scale: Scale) -> Accuracy:
    """Return the scaled error, WAPE, bias and the WAPE of the store's total by day."""
    known = np.isfinite(actual)
    sold = float(actual[known].sum())
    forecast = float(mean[known].sum())
    by_day = np.where(known, mean - np.nan_to_num(actual), 0.0).sum(0)
    divisor = max(sold, 1e-9)
    return Accuracy(
        scaled_error=scaled_error(mean, actual, scale),
        wape=float(np.abs(mean[known] - actual[known]).sum()) / divisor if sold else float(forecast > 0),
        bias=forecast / divisor - 1 if sold else float(forecast > 0),
        total_wape=float(np.abs(by_day).sum()) / divisor if sold else float(forecast > 0),
    )


def add_interval_accuracy(point: Accuracy, actual: Doubles, mean: Doubles, p10: Floats, p90: Floats) -> Accuracy:
    """Add the shares of cells outside either quantile, the coverage of large cells and the pinball loss."""
    known = np.isfinite(actual)
    if not known.any():
        return point
    y, low, high, size = actual[known], p10[known], p90[known], mean[known]
    inside = (y >= low) & (y <= high)
    large = size >= LARGE
    return replace(
        point,
        above_p90=float((y > high).mean()),
        below_p10=float((y < low).mean()),
        coverage=float(inside.mean()),
        pinball=float((_pinball_loss(y, low, 0.1) + _pinball_loss(y, high, 0.9)).mean() / 2),
        large_coverage=float(inside[large].mean()) if large.any() else None,
    )


def _pinball_loss(actual: Doubles, quantile: Floats, share: float) -> Doubles:
    gap = actual - quantile
    return np.maximum(share * gap, (share - 1) * gap)


def mean_accuracy(windows: list[Accuracy]) -> Accuracy:
    """Return the mean of each figure over the windows that have it."""
    measured = {each.name: [getattr(window, each.name) for window in windows] for each in fields(Accuracy)}
    known = {name: [value for value in values if value is not None] for name, values in measured.items()}
    return Accuracy(**{name: float(np.mean(values)) for name, values in known.items() if values})
