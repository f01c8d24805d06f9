"""Rolling origins before the day of forecasting: each is seen by parts of a model that know nothing later."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from foreact.forecasting.combining.projection import PanelReading, project_store, project_totals
from foreact.forecasting.inputs.demand import Bools, Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.accuracy import interval_figures, mean_figures, point_figures, scaled_error
from foreact.forecasting.judging.baselines import BASELINES, forecast_baseline
from foreact.forecasting.judging.intervals import (
    BacktestErrors,
    Intervals,
    apply_to_cells,
    apply_to_totals,
    learn_intervals,
)
from foreact.forecasting.totals.design import SEASON_DAYS, Days
from foreact.forecasting.totals.model import TotalsFit

ORIGINS = 8
# The newest origins are backtested down to the items; those before them give totals alone.
ITEM_ORIGINS = 4
FEWEST_DAYS = 28


@dataclass(frozen=True)
class Origin:
    """A day to forecast from once more: what was known by then, and what came."""

    panel: Panel
    # items x horizon
    actual: Doubles
    # Whether the items are forecast too, and whether that is the first time.
    has_items: bool
    first_items: bool


@dataclass(frozen=True)
class Window:
    """What was forecast from one origin, and what came."""

    dates: Days
    misses: BacktestErrors
    has_items: bool
    # What the items' means are worth, beside the baselines'.
    figures: dict[str, float]
    # The log by which the items' own sum was over, if they had one.
    items_over: float | None


@dataclass(frozen=True)
class Backtest:
    """What the windows say, newest first."""

    windows: list[Window] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


def backtest_origins(days: int, horizon: int) -> list[int]:
    """Return the origins, newest first: a horizon apart, at least a week, each with a past to learn from.

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


def walk_origins(panel: Panel) -> Iterator[Origin]:
    """Return the origins of a panel, oldest first; nothing after an origin is in the panel that it is forecast from."""
    truth = read_truth(panel)
    days = backtest_origins(panel.days, panel.horizon)
    with_items = days[:ITEM_ORIGINS]
    for day in reversed(days):
        actual = truth[:, day : day + panel.horizon].astype(np.float64)
        yield Origin(panel.cut_at(day), actual, has_items=day in with_items, first_items=day == with_items[-1])


class Trial:
    """One model's way through the origins, oldest first."""

    def __init__(self) -> None:
        self._windows: list[Window] = []

    def forecast(self, origin: Origin, reading: PanelReading, totals: TotalsFit, items: ItemsFit | None) -> None:
        """Forecast from an origin by what knows nothing later, and compare."""
        actual = origin.actual
        dates = origin.panel.dates[origin.panel.days :]
        whole = np.where(np.isfinite(actual).any(0), np.nansum(actual, axis=0), np.nan)
        if origin.has_items:
            ahead = project_store(reading, totals, items, learn_items_bias(self._windows))
            misses = BacktestErrors(ahead.items, actual, ahead.items.sum(0), whole)
            figures = _point_figures(ahead.items, origin, reading)
            window = Window(dates, misses, True, figures, _log_excess(ahead.own, whole))
        else:
            none = np.zeros((0, len(dates)))
            misses = BacktestErrors(none, none, project_totals(reading, totals).mean.sum(0), whole)
            window = Window(dates, misses, False, {}, None)
        self._windows.insert(0, window)

    def judge(self) -> Backtest:
        """Score the windows."""
        return Backtest(self._windows, _mean_window_figures(self._windows))


def read_truth(panel: Panel) -> Doubles:
    """Return what may be held against a forecast: not what was closed to it or sold out."""
    units = panel.units[:, : panel.days]
    if panel.stockout is None:
        return np.asarray(units)
    return np.where(panel.stockout[:, : panel.days], np.nan, units)


def _log_excess(own: Doubles | None, actual: Doubles) -> float | None:
    kept = np.isfinite(actual)
    if own is None or own[kept].sum() <= 0 or actual[kept].sum() <= 0:
        return None
    return float(np.log(own[kept].sum() / actual[kept].sum()))


def learn_items_bias(windows: list[Window]) -> float | None:
    """Return the log by which the items' own sums are usually over, as far as backtests tell."""
    logs = [window.items_over for window in windows if window.items_over is not None]
    return float(np.mean(logs)) if logs else None


def intervals_from(windows: list[Window]) -> Intervals:
    """Learn the intervals of cells from the windows with items, those of the total from all."""
    return learn_intervals([w.misses for w in windows if w.has_items], [w.misses for w in windows])


def _mean_window_figures(windows: list[Window]) -> dict[str, float]:
    by_origin = []
    for window in (w for w in windows if w.has_items):
        others = [w for w in windows if w is not window]
        by_origin.append(_window_figures(window, intervals_from(others)))
    return mean_figures(by_origin)


def _window_figures(window: Window, intervals: Intervals) -> dict[str, float]:
    """Score one window; its intervals come from the others, so that nothing grades its own work."""
    misses = window.misses
    p10, _, p90 = apply_to_cells(intervals, misses.mean)
    low, high = apply_to_totals(intervals, misses.total_mean)
    figures = {**window.figures, **interval_figures(misses.actual, misses.mean, p10, p90)}
    kept = np.isfinite(misses.total_actual)
    if kept.any():
        inside = (misses.total_actual >= low) & (misses.total_actual <= high)
        figures["total_coverage"] = float(inside[kept].mean())
    return figures


def _point_figures(mean: Doubles, origin: Origin, reading: PanelReading) -> dict[str, float]:
    """Score an origin's means beside what anybody could do."""
    units, closed = reading.demand.units, _closed_ahead(reading.panel)
    means = {f"{name}_": forecast_baseline(name, units, reading.panel.horizon, closed) for name in BASELINES}
    figures = {}
    for prefix, each in {"": mean, **means}.items():
        figures[f"{prefix}scaled_error"] = scaled_error(each, origin.actual, reading.scale)
        figures |= {f"{prefix}{key}": value for key, value in point_figures(each, origin.actual).items()}
    return figures


def _closed_ahead(panel: Panel) -> Bools:
    if panel.open is None:
        return np.zeros(panel.horizon, bool)
    return np.asarray(~panel.open[:, panel.days :].any(0))
