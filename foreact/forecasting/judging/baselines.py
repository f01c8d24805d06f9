"""The baselines: last week repeated, and the mean of eight weeks by weekday; a longer period is its own weekday."""

from enum import StrEnum

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Doubles, Floats
from foreact.spacing import Spacing

WEEKS = 8


class Baseline(StrEnum):
    """A forecast without a model."""

    SEASONAL_NAIVE = "seasonal_naive"
    WEEKDAY_MEAN = "weekday_mean"


def forecast_baseline(
    baseline: Baseline, units: Floats, horizon: int, closed: Bools, spacing: Spacing = Spacing.DAILY
) -> Doubles:
    """Return items x horizon by a baseline, skipping days without units."""
    weeks = 1 if baseline is Baseline.SEASONAL_NAIVE else WEEKS
    week = weekday_means(units, weeks, spacing.week)
    return np.asarray(week[:, np.arange(horizon) % spacing.week] * ~closed)


def weekday_means(units: Floats, weeks: int, week: int) -> Doubles:
    """Return items x 7: the mean by weekday, starting with the origin's; longer back where the recent past is empty."""
    items, days = units.shape
    result = np.full((items, week), np.nan)
    for reach in (weeks, 8, 60):
        span = min(reach, -(-days // week)) * week
        if span == 0:
            break
        recent = np.full((items, span), np.nan)
        have = min(span, days)
        recent[:, span - have :] = units[:, days - have :]
        cube = recent.reshape(items, -1, week)
        seen = np.isfinite(cube).sum(1)
        mean = np.divide(np.nansum(cube, axis=1), seen, out=np.full(seen.shape, np.nan), where=seen > 0)
        result = np.where(np.isnan(result), mean, result)
        if not np.isnan(result).any():
            break
    seen = np.isfinite(result).sum(1, keepdims=True)
    overall = np.nansum(result, axis=1, keepdims=True) / np.maximum(seen, 1)
    return np.where(np.isnan(result), overall, result)
