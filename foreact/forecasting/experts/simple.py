"""Experts that need no fit and never fail: last week or last year again, the mean by weekday, smoothing by weekday."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from foreact.forecasting.inputs.arrays import Doubles, Floats
from foreact.forecasting.reading import PanelReading
from foreact.spacing import Spacing

WEEKS = 8
# Of smoothing: the years read, the weeks that weekday factors come from, and how many weeks of the store's they weigh.
YEARS = 2
FACTOR_WEEKS = 13
PRIOR_WEEKS = 4.0
SMALLEST_FACTOR = 0.1
# The shares of a new day in the level that are tried, how much a past error still counts a day later, and of how many
# days the losses are summed at once.
RATES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6)
MEMORY = 0.997
DAYS_AT_ONCE = 32
# Of last year: how many weeks on either side of a period are averaged, the months that growth is read over, how much of
# the store's growth joins an item's, and the most that is believed.
AROUND = {Spacing.DAILY: 2, Spacing.WEEKLY: 2, Spacing.MONTHLY: 0}
GROWTH_MONTHS = 2
PRIOR_GROWTH = 0.5
MOST_GROWTH = 4.0


class Simple(StrEnum):
    """A forecast without a model."""

    SEASONAL_NAIVE = "seasonal_naive"
    WEEKDAY_MEAN = "weekday_mean"
    SMOOTHING = "smoothing"
    LAST_YEAR = "last_year"

    @property
    def label(self) -> str:
        """The name in sentences."""
        return LABELS[self]


LABELS = {
    Simple.SEASONAL_NAIVE: "seasonal naive",
    Simple.WEEKDAY_MEAN: "the weekday mean",
    Simple.SMOOTHING: "smoothing",
    Simple.LAST_YEAR: "repeating last year",
}


@dataclass(frozen=True)
class SimpleForecaster:
    """A simple method as an expert."""

    method: Simple

    def forecast(self, reading: PanelReading) -> Doubles:
        """Return items x horizon."""
        panel = reading.panel
        return forecast_simply(self.method, since_first_sale(reading.demand.units), panel.horizon, panel.spacing)


def forecast_simply(method: Simple, units: Floats, horizon: int, spacing: Spacing) -> Doubles:
    """Return items x horizon by a simple method, skipping periods without units."""
    if method is Simple.SMOOTHING:
        return _smooth(units, horizon, spacing)
    if method is Simple.LAST_YEAR:
        return _repeat_last_year(units, horizon, spacing)
    week = _weekday_means(units, 1 if method is Simple.SEASONAL_NAIVE else WEEKS, spacing.week)
    return week[:, np.arange(horizon) % spacing.week]


def since_first_sale(units: Floats) -> Floats:
    """Return the units with NaN before each item's first sale, for what lies there says nothing of what it sells."""
    return np.where(np.logical_or.accumulate(units > 0, axis=1), units, np.float32(np.nan))


def _weekday_means(units: Floats, weeks: int, week: int) -> Doubles:
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


def has_last_year(days: int, spacing: Spacing) -> bool:
    """Return whether so long a history has a last year, and how much was sold before it."""
    return days >= spacing.year + GROWTH_MONTHS * spacing.month


def _repeat_last_year(units: Floats, horizon: int, spacing: Spacing) -> Doubles:
    """Return last year's sales around each period times the growth since, or the weekday mean without a last year."""
    days, week = units.shape[1], spacing.week
    usual = forecast_simply(Simple.WEEKDAY_MEAN, units, horizon, spacing)
    if not has_last_year(days, spacing):
        return usual
    then = days - spacing.year
    shifts = np.arange(-AROUND[spacing], AROUND[spacing] + 1) * week
    around = np.full((len(shifts), len(units), horizon), np.nan)
    for each, shift in zip(around, shifts, strict=True):
        place = then + np.arange(horizon) + shift
        here = place < days
        each[:, here] = units[:, place[here]]
    seen = np.isfinite(around)
    mean = np.nansum(around, axis=0) / np.maximum(seen.sum(0), 1)
    span = GROWTH_MONTHS * spacing.month
    now, before = units[:, days - span :].astype(np.float64), units[:, then - span : then].astype(np.float64)
    both = np.isfinite(now) & np.isfinite(before)
    now, before = (np.where(both, each, 0.0).sum(1) for each in (now, before))
    of_store = now.sum() / before.sum() if before.sum() > 0 else 1.0
    prior = PRIOR_GROWTH * before
    growth = np.clip((now + prior * of_store) / np.maximum(before + prior, 1e-9), 1 / MOST_GROWTH, MOST_GROWTH)
    return np.where(seen.any(0) & (before > 0)[:, None], mean * growth[:, None], usual)


def _smooth(units: Floats, horizon: int, spacing: Spacing) -> Doubles:
    """Return smoothed sales times weekday factors, each item at the rate that would have forecast it best."""
    recent = units[:, -YEARS * spacing.year :].astype(np.float64)
    days = recent.shape[1]
    weekday = (np.arange(days) - days) % spacing.week
    factors = _weekday_factors(recent, weekday, spacing.week)
    factor = factors[:, weekday]
    usable = np.isfinite(recent) & (factor > SMALLEST_FACTOR)
    level_seen = np.where(usable, np.nan_to_num(recent) / np.maximum(factor, SMALLEST_FACTOR), 0.0)
    first = usable & (usable.cumsum(1) <= spacing.month)
    start = np.where(first, level_seen, 0.0).sum(1) / np.maximum(first.sum(1), 1)
    level = np.repeat(start[None, :], len(RATES), axis=0)
    loss, step = np.zeros_like(level), np.empty_like(level)
    errors, gains = np.empty((2, DAYS_AT_ONCE, *level.shape))
    faded = MEMORY ** np.arange(DAYS_AT_ONCE - 1, -1, -1.0)
    by_day = [np.ascontiguousarray(each.T)[:, None] for each in (level_seen, usable, usable * factor)]
    # A day after the other, in place and in as few calls as can be, and the losses of several days at once: with few
    # items the calls cost more than the numbers.
    for day in range(0, days, DAYS_AT_ONCE):
        seen, used, weight = (each[day : day + DAYS_AT_ONCE] for each in by_day)
        ahead = errors[: len(seen)]
        np.multiply(used, np.array(RATES)[:, None], out=gains[: len(seen)])
        for error, (of_day,), gain in zip(ahead, seen, gains, strict=False):
            np.subtract(of_day, level, out=error)
            np.multiply(error, gain, out=step)
            level += step
        ahead *= weight
        ahead *= ahead
        loss *= MEMORY ** len(seen)
        loss += np.einsum("d,dri->ri", faded[-len(seen) :], ahead)
    best = level[loss.argmin(0), np.arange(len(recent))]
    return np.asarray(best[:, None] * factors[:, np.arange(horizon) % spacing.week])


def _weekday_factors(recent: Doubles, weekday: Doubles, week: int) -> Doubles:
    """Return items x 7: sales by weekday over the mean, starting with the origin's, steadied by the store's."""
    if week == 1:
        return np.ones((len(recent), 1))
    tail, place = recent[:, -FACTOR_WEEKS * week :], weekday[-FACTOR_WEEKS * week :]
    known = np.isfinite(tail)
    filled = np.nan_to_num(tail)
    mean = filled.sum(1) / np.maximum(known.sum(1), 1)
    sold = np.stack([filled[:, place == day].sum(1) for day in range(week)], axis=1)
    seen = np.stack([known[:, place == day].sum(1) for day in range(week)], axis=1)
    of_store = sold.sum(0) / np.maximum(seen.sum(0), 1)
    of_store = of_store / of_store.mean() if of_store.any() else np.ones(week)
    usual = mean[:, None]
    factors = (sold + PRIOR_WEEKS * usual * of_store) / np.maximum((seen + PRIOR_WEEKS) * usual, 1e-9)
    return np.where(usual > 0, factors, 1.0)
