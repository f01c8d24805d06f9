"""Rolling origins before the day of forecasting: each is seen by parts of a model that know nothing later."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from foreact.forecasting.accuracy import (
    interval_figures,
    mean_figures,
    point_figures,
    read_scale,
    scaled_error,
)
from foreact.forecasting.baselines import BASELINES, baseline
from foreact.forecasting.demand import Doubles
from foreact.forecasting.design import SEASON_DAYS
from foreact.forecasting.intervals import Intervals, Misses, apply_cells, apply_totals, learn_intervals
from foreact.forecasting.items import ItemsFit
from foreact.forecasting.panel import Panel
from foreact.forecasting.projection import Reading, fit, project, project_totals
from foreact.forecasting.totals import TotalsFit

ORIGINS = 8
# The newest origins are backtested down to the items; those before them give totals alone.
ITEM_ORIGINS = 4
FEWEST_DAYS = 28


@dataclass(frozen=True)
class Window:
    """One origin: what was forecast and what came; items only at the newest origins."""

    origin: int
    reading: Reading
    misses: Misses
    has_items: bool
    # The log by which the items' own sum was over, if they had one.
    items_over: float | None


@dataclass(frozen=True)
class Backtest:
    """What the windows say, newest first."""

    windows: list[Window] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


def backtest_origins(days: int, horizon: int) -> list[int]:
    """Give the origins, newest first: a horizon apart, at least a week, each with a past to learn from.

    Beyond the newest, what a model missed that could not know the seasons yet says little of one that does.
    """
    stride = max(7, horizon)
    origins = [days - horizon - stride * step for step in range(ORIGINS)]
    early = SEASON_DAYS if days >= SEASON_DAYS else 0
    return [
        origin
        for rank, origin in enumerate(origins)
        if origin >= max(FEWEST_DAYS, horizon) and (rank < ITEM_ORIGINS or origin >= early)
    ]


# Gives what the model would have been at the origin, or None if it cannot be judged there.
FitAt = Callable[[Reading], TotalsFit | None]


def run_backtest(panel: Panel, read_at: Callable[[Panel], Reading], fit_at: FitAt, items: ItemsFit | None) -> Backtest:
    """Forecast from every origin and compare; nothing after an origin is in the panel that it is forecast from."""
    truth = read_truth(panel)
    windows: list[Window] = []
    for rank, origin in reversed(list(enumerate(backtest_origins(panel.days, panel.horizon)))):
        reading = read_at(panel.at(origin))
        totals = fit_at(reading)
        if totals is None:
            continue
        actual = truth[:, origin : origin + panel.horizon].astype(np.float64)
        whole = np.where(np.isfinite(actual).any(0), np.nansum(actual, axis=0), np.nan)
        if rank < ITEM_ORIGINS:
            ahead = project(reading, totals, items, learn_items_bias(windows))
            misses = Misses(ahead.items, actual, ahead.items.sum(0), whole)
            windows.insert(0, Window(origin, reading, misses, True, _over(ahead.own, whole)))
        else:
            none = np.zeros((0, panel.horizon))
            misses = Misses(none, none, project_totals(reading, totals).mean.sum(0), whole)
            windows.insert(0, Window(origin, reading, misses, False, None))
    return Backtest(windows, _figures(windows))


def read_truth(panel: Panel) -> Doubles:
    """Give what may be held against a forecast: not what was closed to it or sold out."""
    units = panel.units[:, : panel.days]
    if panel.stockout is None:
        return np.asarray(units)
    return np.where(panel.stockout[:, : panel.days], np.nan, units)


def _over(own: Doubles | None, actual: Doubles) -> float | None:
    kept = np.isfinite(actual)
    if own is None or own[kept].sum() <= 0 or actual[kept].sum() <= 0:
        return None
    return float(np.log(own[kept].sum() / actual[kept].sum()))


def learn_items_bias(windows: list[Window]) -> float | None:
    """Give the log by which the items' own sums are usually over, as far as backtests tell."""
    logs = [window.items_over for window in windows if window.items_over is not None]
    return float(np.mean(logs)) if logs else None


def intervals_from(windows: list[Window]) -> Intervals:
    """Learn the intervals of cells from the windows with items, those of the total from all."""
    return learn_intervals([w.misses for w in windows if w.has_items], [w.misses for w in windows])


def _figures(windows: list[Window]) -> dict[str, float]:
    by_origin = []
    for window in (w for w in windows if w.has_items):
        others = [w for w in windows if w is not window]
        by_origin.append(_window_figures(window, intervals_from(others)))
    return mean_figures(by_origin)


def _window_figures(window: Window, intervals: Intervals) -> dict[str, float]:
    """Score one window; its intervals come from the others, so that nothing grades its own work."""
    reading, misses = window.reading, window.misses
    scale = read_scale(reading.demand.units, reading.demand.totals, reading.codes)
    p10, _, p90 = apply_cells(intervals, misses.mean)
    low, high = apply_totals(intervals, misses.total_mean)
    figures = {
        "scaled_error": scaled_error(misses.mean, misses.actual, scale),
        **point_figures(misses.mean, misses.actual),
        **interval_figures(misses.actual, misses.mean, p10, p90),
    }
    kept = np.isfinite(misses.total_actual)
    if kept.any():
        inside = (misses.total_actual >= low) & (misses.total_actual <= high)
        figures["total_coverage"] = float(inside[kept].mean())
    closed = _closed(reading, misses)
    for name in BASELINES:
        mean = baseline(name, reading.demand.units, misses.mean.shape[1], closed)
        figures[f"{name}_scaled_error"] = scaled_error(mean, misses.actual, scale)
        figures |= {f"{name}_{key}": value for key, value in point_figures(mean, misses.actual).items()}
    return figures


def _closed(reading: Reading, misses: Misses) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    panel = reading.panel
    if panel.open is None:
        return np.zeros(panel.horizon, bool)
    return np.asarray(~panel.open[:, panel.days :].any(0))


def fresh_fits(kept: list[TotalsFit]) -> FitAt:
    """Fit at every origin anew, keeping each fit."""

    def fit_at(reading: Reading) -> TotalsFit:
        kept.append(fit(reading))
        return kept[-1]

    return fit_at


def proven_fits(fits: list[TotalsFit]) -> FitAt:
    """Take the newest of a model's fits that has not seen the window; without one the model cannot be judged there."""

    def fit_at(reading: Reading) -> TotalsFit | None:
        origin = reading.panel.dates[0] + np.timedelta64(reading.panel.days, "D")
        past = [one for one in fits if one.origin <= origin]
        return max(past, key=lambda one: one.origin) if past else None

    return fit_at
