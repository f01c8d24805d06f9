"""The backtest: forecasts from rolling origins by models that know nothing later, beside the actuals."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from foreact.forecasting.combining.projection import PanelReading, project_store, project_totals
from foreact.forecasting.inputs.arrays import Bools, Dates, Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.traits import Traits
from foreact.forecasting.intervals import (
    BacktestErrors,
    Intervals,
    cell_quantiles,
    learn_intervals,
    total_quantiles,
)
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.accuracy import Accuracy, add_interval_accuracy, mean_accuracy, point_accuracy
from foreact.forecasting.judging.baselines import Baseline, forecast_baseline
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
    # Of the items' means; nothing without items.
    accuracy: Accuracy
    baselines: dict[Baseline, Accuracy]
    # Log of the items' own sum over the actual; None where they have no sum.
    items_excess: float | None


@dataclass(frozen=True)
class Backtest:
    """The windows, newest first, and the mean accuracy over those with items."""

    windows: list[Window] = field(default_factory=list)
    accuracy: Accuracy = field(default_factory=Accuracy)
    baselines: dict[Baseline, Accuracy] = field(default_factory=dict)


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
            errors = BacktestErrors(projection.items, actual, projection.items.sum(0), whole, reading.traits)
            accuracy = point_accuracy(projection.items, actual, reading.scale)
            baselines = _score_baselines(origin, reading)
            window = Window(dates, errors, True, accuracy, baselines, _log_excess(projection.own, whole))
        else:
            none = np.zeros((0, len(dates)))
            total = project_totals(reading, totals).mean.sum(0)
            errors = BacktestErrors(none, none, total, whole, Traits.of_nothing(len(dates)))
            window = Window(dates, errors, False, Accuracy(), {}, None)
        self._windows.insert(0, window)

    def score_windows(self) -> Backtest:
        """Return the windows with their mean accuracy."""
        with_items = [window for window in self._windows if window.has_items]
        accuracy = mean_accuracy([_score_window(window, self._windows) for window in with_items])
        baselines = {each: mean_accuracy([window.baselines[each] for window in with_items]) for each in Baseline}
        return Backtest(self._windows, accuracy, baselines)


def read_actuals(panel: Panel) -> Doubles:
    """Return the units that a forecast may be compared with, without cells that were sold out."""
    units = panel.units[:, : panel.days]
    if panel.stockout is None:
        return np.asarray(units)
    return np.where(panel.stockout[:, : panel.days], np.nan, units)


def _log_excess(own: Doubles | None, actual: Doubles) -> float | None:
    """Return the log of the items' own sum over the actual, where both sold."""
    known = np.isfinite(actual)
    if own is None or own[known].sum() <= 0 or actual[known].sum() <= 0:
        return None
    return float(np.log(own[known].sum() / actual[known].sum()))


def learn_items_bias(windows: list[Window]) -> float | None:
    """Return the mean log of the items' own sums over the actuals, None where no backtest has any."""
    logs = [window.items_excess for window in windows if window.items_excess is not None]
    return float(np.mean(logs)) if logs else None


def learn_window_intervals(windows: list[Window]) -> Intervals:
    """Learn the intervals of cells from the windows with items, and those of the total from all windows."""
    return learn_intervals([w.errors for w in windows if w.has_items], [w.errors for w in windows])


def _score_window(window: Window, windows: list[Window]) -> Accuracy:
    """Score one window; its intervals come from the others, so that none is scored on its own errors."""
    intervals = learn_window_intervals([other for other in windows if other is not window])
    errors = window.errors
    p10, p90 = cell_quantiles(intervals, errors.mean, errors.traits, (0.1, 0.9))
    low, high = total_quantiles(intervals, errors.total_mean, (0.1, 0.9))
    accuracy = add_interval_accuracy(window.accuracy, errors.actual, errors.mean, p10, p90)
    known = np.isfinite(errors.total_actual)
    if known.any():
        inside = (errors.total_actual >= low) & (errors.total_actual <= high)
        accuracy = replace(accuracy, total_coverage=float(inside[known].mean()))
    return accuracy


def _score_baselines(origin: Origin, reading: PanelReading) -> dict[Baseline, Accuracy]:
    """Score the baselines' means from the same origin."""
    units, closed = reading.demand.units, _flagged_closed_days(reading.panel)
    means = {each: forecast_baseline(each, units, reading.panel.horizon, closed) for each in Baseline}
    return {each: point_accuracy(mean, origin.actual, reading.scale) for each, mean in means.items()}


def _flagged_closed_days(panel: Panel) -> Bools:
    """Mark the days ahead that a flag says are closed."""
    if panel.open is None:
        return np.zeros(panel.horizon, bool)
    return np.asarray(~panel.open[:, panel.days :].any(0))
