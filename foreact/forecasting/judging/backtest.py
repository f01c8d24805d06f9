"""The backtest: forecasts from rolling origins by models that know nothing later, beside the actuals."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from foreact.forecasting.combining.projection import PanelReading, project_store, project_totals
from foreact.forecasting.inputs.arrays import Bools, Dates, Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.intervals import (
    BacktestErrors,
    Intervals,
    cell_quantiles,
    learn_intervals,
    total_interval,
)
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.accuracy import interval_figures, mean_figures, point_figures, scaled_error
from foreact.forecasting.judging.baselines import BASELINES, forecast_baseline
from foreact.forecasting.totals.design import SEASON_DAYS
from foreact.forecasting.totals.model import TotalsFit

ORIGINS = 8
# The newest origins are backtested down to the items; those before them give totals alone.
ITEM_ORIGINS = 4
FEWEST_DAYS = 28


@dataclass(frozen=True)
class Origin:
    """A past day to forecast from: the panel as known by then, and the actuals."""

    panel: Panel
    # items x horizon
    actual: Doubles
    # Whether the items are forecast too, and whether that is the first time.
    has_items: bool
    first_items: bool


@dataclass(frozen=True)
class Window:
    """The forecast from one origin beside the actuals."""

    dates: Dates
    errors: BacktestErrors
    has_items: bool
    # Figures of the items' means and of the baselines'.
    figures: dict[str, float]
    # Log of the items' own sum over the actual; None where they have no sum.
    items_excess: float | None


@dataclass(frozen=True)
class Backtest:
    """The windows, newest first, and their figures."""

    windows: list[Window] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


def backtest_origins(days: int, horizon: int) -> list[int]:
    """Return the origins, newest first: a horizon apart, at least a week, each with a past to learn from.

    Beyond the newest, the errors of a model that could not know the seasons yet say little about one that does.
    """
    stride = max(7, horizon)
    origins = [days - horizon - stride * step for step in range(ORIGINS)]
    early = SEASON_DAYS if days >= SEASON_DAYS else 0
    return [
        origin
        for rank, origin in enumerate(origins)
        if origin >= max(FEWEST_DAYS, horizon) and (rank < ITEM_ORIGINS or origin >= early)
    ]


def iterate_origins(panel: Panel) -> Iterator[Origin]:
    """Return the origins of a panel, oldest first; nothing after an origin is in the panel that it is forecast from."""
    truth = read_actuals(panel)
    days = backtest_origins(panel.days, panel.horizon)
    with_items = days[:ITEM_ORIGINS]
    for day in reversed(days):
        actual = truth[:, day : day + panel.horizon].astype(np.float64)
        yield Origin(panel.truncate_at(day), actual, has_items=day in with_items, first_items=day == with_items[-1])


class BacktestRun:
    """One model's backtest, from the oldest origin to the newest."""

    def __init__(self) -> None:
        self._windows: list[Window] = []

    def forecast_origin(self, origin: Origin, reading: PanelReading, totals: TotalsFit, items: ItemsFit | None) -> None:
        """Add the window of one origin, forecast by fits that know nothing later."""
        actual = origin.actual
        dates = origin.panel.dates[origin.panel.days :]
        whole = np.where(np.isfinite(actual).any(0), np.nansum(actual, axis=0), np.nan)
        if origin.has_items:
            projection = project_store(reading, totals, items, learn_items_bias(self._windows))
            errors = BacktestErrors(projection.items, actual, projection.items.sum(0), whole)
            figures = _point_figures(projection.items, origin, reading)
            window = Window(dates, errors, True, figures, _log_excess(projection.own, whole))
        else:
            none = np.zeros((0, len(dates)))
            errors = BacktestErrors(none, none, project_totals(reading, totals).mean.sum(0), whole)
            window = Window(dates, errors, False, {}, None)
        self._windows.insert(0, window)

    def score_windows(self) -> Backtest:
        """Return the windows with their mean figures."""
        return Backtest(self._windows, _mean_figures(self._windows))


def read_actuals(panel: Panel) -> Doubles:
    """Return the units that a forecast may be compared with, without cells that were sold out."""
    units = panel.units[:, : panel.days]
    if panel.stockout is None:
        return np.asarray(units)
    return np.where(panel.stockout[:, : panel.days], np.nan, units)


def _log_excess(own: Doubles | None, actual: Doubles) -> float | None:
    """Return the log of the items' own sum over the actual, where both sold."""
    kept = np.isfinite(actual)
    if own is None or own[kept].sum() <= 0 or actual[kept].sum() <= 0:
        return None
    return float(np.log(own[kept].sum() / actual[kept].sum()))


def learn_items_bias(windows: list[Window]) -> float | None:
    """Return the mean log of the items' own sums over the actuals, None where no backtest has any."""
    logs = [window.items_excess for window in windows if window.items_excess is not None]
    return float(np.mean(logs)) if logs else None


def learn_window_intervals(windows: list[Window]) -> Intervals:
    """Learn the intervals of cells from the windows with items, and those of the total from all windows."""
    return learn_intervals([w.errors for w in windows if w.has_items], [w.errors for w in windows])


def _mean_figures(windows: list[Window]) -> dict[str, float]:
    by_origin = []
    for window in (w for w in windows if w.has_items):
        others = [w for w in windows if w is not window]
        by_origin.append(_window_figures(window, learn_window_intervals(others)))
    return mean_figures(by_origin)


def _window_figures(window: Window, intervals: Intervals) -> dict[str, float]:
    """Score one window; its intervals come from the others, so that none is scored on its own errors."""
    errors = window.errors
    p10, _, p90 = cell_quantiles(intervals, errors.mean)
    low, high = total_interval(intervals, errors.total_mean)
    figures = {**window.figures, **interval_figures(errors.actual, errors.mean, p10, p90)}
    kept = np.isfinite(errors.total_actual)
    if kept.any():
        inside = (errors.total_actual >= low) & (errors.total_actual <= high)
        figures["total_coverage"] = float(inside[kept].mean())
    return figures


def _point_figures(mean: Doubles, origin: Origin, reading: PanelReading) -> dict[str, float]:
    """Score an origin's means beside what anybody could do."""
    units, closed = reading.demand.units, _flagged_closed_days(reading.panel)
    means = {f"{name}_": forecast_baseline(name, units, reading.panel.horizon, closed) for name in BASELINES}
    figures = {}
    for prefix, each in {"": mean, **means}.items():
        figures[f"{prefix}scaled_error"] = scaled_error(each, origin.actual, reading.scale)
        figures |= {f"{prefix}{key}": value for key, value in point_figures(each, origin.actual).items()}
    return figures


def _flagged_closed_days(panel: Panel) -> Bools:
    if panel.open is None:
        return np.zeros(panel.horizon, bool)
    return np.asarray(~panel.open[:, panel.days :].any(0))
