"""The backtest: forecasts from rolling origins by models that know nothing later, beside the actuals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from foreact.forecasting.experts.evidence import Evidence, Weights, gather_evidence, learn_weights
from foreact.forecasting.experts.pool import Opinions, Pool, gather_opinions
from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.experts.store import project_totals
from foreact.forecasting.inputs.arrays import Dates, Doubles, Floats
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.scale import Scale
from foreact.forecasting.inputs.traits import Traits
from foreact.forecasting.intervals import (
    BacktestErrors,
    Intervals,
    cell_quantiles,
    learn_intervals,
    total_quantiles,
)
from foreact.forecasting.judging.accuracy import (
    Accuracy,
    Contribution,
    add_interval_accuracy,
    mean_accuracy,
    point_accuracy,
    scaled_error,
)
from foreact.forecasting.reading import PanelReading
from foreact.forecasting.totals.design import SEASON_MONTHS
from foreact.spacing import Spacing

ORIGINS = 8
# The newest origins are backtested down to the items; those before them give totals alone.
ITEM_ORIGINS = 4
# The share of the whole past that an origin needs before it.
LEAST_PAST = 1 / 3


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
class Band:
    """The 80 % intervals of a window's cells and totals, learned from the others, so that it is not its own judge."""

    # items x horizon, and horizon
    low: Floats
    high: Floats
    total_low: Floats
    total_high: Floats


@dataclass(frozen=True)
class Window:
    """The forecast from one origin beside the actuals."""

    dates: Dates
    errors: BacktestErrors
    # What the experts said of the items; None where only the totals were forecast.
    opinions: Opinions | None = None
    evidence: Evidence | None = None
    scale: Scale | None = None
    # Of the items' means, and of the simple methods and each expert alone; nothing without items.
    accuracy: Accuracy = field(default_factory=Accuracy)
    baselines: dict[Simple, Accuracy] = field(default_factory=dict)
    # Log of the items' own sum over the actual; None where they have no sum.
    items_excess: float | None = None
    # None before it is judged, or without items.
    band: Band | None = None


@dataclass(frozen=True)
class Backtest:
    """The windows, newest first, and the mean accuracy over those with items."""

    windows: list[Window] = field(default_factory=list)
    accuracy: Accuracy = field(default_factory=Accuracy)
    baselines: dict[Simple, Accuracy] = field(default_factory=dict)
    # From all windows; each of them was combined by the weights of the others.
    weights: Weights | None = None
    experts: dict[str, Contribution] = field(default_factory=dict)
    # Why installed experts were left out, by name.
    left_out: dict[str, str] = field(default_factory=dict)


def backtest_origins(days: int, horizon: int, spacing: Spacing) -> list[int]:
    """Return the origins, newest first: a horizon apart, at least a week, each with a past to learn from.

    Beyond the newest, the errors of a model that knew much less, or no seasons yet, say little about one that does.
    """
    stride = max(spacing.week, horizon)
    origins = [days - horizon - stride * step for step in range(ORIGINS)]
    season = spacing.year + SEASON_MONTHS * spacing.month
    early = season if days >= season else 0
    least = max(4 * spacing.week, horizon)
    return [
        origin
        for rank, origin in enumerate(origins)
        if origin >= least and (rank == 0 or origin >= LEAST_PAST * days) and (rank < ITEM_ORIGINS or origin >= early)
    ]


def iterate_origins(panel: Panel) -> Iterator[Origin]:
    """Return the origins of a panel, oldest first; nothing after an origin is in the panel that it is forecast from."""
    truth = read_actuals(panel)
    sold = (truth > 0).any(0)
    # Zeros before a store's first sale are no past to learn from.
    opened = int(sold.argmax()) if sold.any() else 0
    days = [opened + day for day in backtest_origins(panel.days - opened, panel.horizon, panel.spacing)]
    with_items = days[:ITEM_ORIGINS]
    for day in reversed(days):
        actual = truth[:, day : day + panel.horizon].astype(np.float64)
        yield Origin(panel.truncate_at(day), actual, has_items=day in with_items, first_items=day == with_items[-1])


class BacktestRun:
    """One model's backtest, from the oldest origin to the newest."""

    def __init__(self) -> None:
        self._windows: list[Window] = []

    def forecast_origin(self, origin: Origin, reading: PanelReading, pool: Pool) -> None:
        """Add the window of one origin, forecast by fits that know nothing later."""
        actual = origin.actual
        dates = origin.panel.dates[origin.panel.days :]
        whole = np.where(np.isfinite(actual).any(0), np.nansum(actual, axis=0), np.nan)
        if not origin.has_items:
            none = np.zeros((0, len(dates)))
            totals = project_totals(reading, pool.totals).mean.sum(0)
            errors = BacktestErrors(none, none, totals, whole, Traits.of_nothing(len(dates)))
            self._windows.insert(0, Window(dates, errors))
            return
        opinions, projection = gather_opinions(reading, pool, learn_items_bias(self._windows))
        begun = reading.history.first_sale < origin.panel.days
        window = Window(
            dates,
            BacktestErrors(projection.items, actual, projection.items.sum(0), whole, reading.traits, begun),
            opinions=opinions,
            evidence=gather_evidence(opinions.means, actual, reading.scale, opinions.kinds, Simple.WEEKDAY_MEAN),
            scale=reading.scale,
            baselines={
                method: point_accuracy(opinions.follow(method), actual, reading.scale) for method in opinions.simple
            },
            items_excess=_log_excess(projection.own, whole),
        )
        self._windows.insert(0, window)

    def judge(self, chain: Sequence[Evidence]) -> Backtest:
        """Return the windows, each combined by the weights that the others and other stores make likely."""
        with_items = [window for window in self._windows if window.opinions is not None]
        opinions = [window.opinions for window in with_items if window.opinions is not None]
        left_out = {name: why for each in opinions for name, why in each.left_out.items()}
        # An expert without an opinion in one window is judged in none.
        known = opinions[0].means if opinions else {}
        experts = [name for name in known if all(name in each.means for each in opinions)]
        evidence = [window.evidence for window in with_items if window.evidence is not None]

        def combine_window(window: Window) -> Window:
            if window.opinions is None or window.scale is None:
                return window
            others = [other for other in evidence if other is not window.evidence]
            mean = window.opinions.combine(learn_weights(others, chain, experts))
            errors = replace(window.errors, mean=mean, total_mean=mean.sum(0))
            return replace(window, errors=errors, accuracy=point_accuracy(mean, errors.actual, window.scale))

        windows = _add_bands([combine_window(window) for window in self._windows])
        combined = [window for window in windows if window.opinions is not None]
        accuracy = mean_accuracy([_score_window(window) for window in combined])
        baselines = {each: mean_accuracy([window.baselines[each] for window in combined]) for each in Simple}
        weights = learn_weights(evidence, chain, experts) if experts else None
        contributions = {} if weights is None else _list_contributions(combined, weights)
        return Backtest(windows, accuracy, baselines, weights, contributions, left_out)


def _list_contributions(windows: list[Window], weights: Weights) -> dict[str, Contribution]:
    """Return what each expert brought, by the windows with items."""
    result = {}
    for name, share in weights.list_shares().items():
        alone = [
            scaled_error(window.opinions.means[name], window.errors.actual, window.scale)
            for window in windows
            if window.opinions is not None and window.scale is not None
        ]
        result[name] = Contribution(share, float(np.mean(alone)))
    return result


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


def learn_simple_intervals(windows: list[Window], method: Simple) -> Intervals:
    """Learn the intervals of a simple method from what it would have forecast in the windows with items."""
    errors = []
    for window in windows:
        if window.opinions is not None:
            mean = window.opinions.follow(method)
            errors.append(replace(window.errors, mean=mean, total_mean=mean.sum(0)))
    return learn_intervals(errors, errors)


def learn_window_intervals(windows: list[Window]) -> Intervals:
    """Learn the intervals of cells from the windows with items, and those of the total from all windows."""
    return learn_intervals([w.errors for w in windows if w.opinions is not None], [w.errors for w in windows])


def _add_bands(windows: list[Window]) -> list[Window]:
    """Return the windows, each with items with the intervals that the others promise it."""

    def add_band(window: Window) -> Window:
        if window.opinions is None:
            return window
        errors, shares = window.errors, (0.1, 0.9)
        intervals = learn_window_intervals([other for other in windows if other is not window])
        cells = cell_quantiles(intervals, errors.mean, errors.traits, shares)
        return replace(window, band=Band(*cells, *total_quantiles(intervals, errors.total_mean, shares)))

    return [add_band(window) for window in windows]


def _score_window(window: Window) -> Accuracy:
    """Score one window by its means and its band."""
    errors, band = window.errors, window.band
    if band is None:
        return window.accuracy
    accuracy = add_interval_accuracy(window.accuracy, errors.actual, errors.mean, band.low, band.high)
    known = np.isfinite(errors.total_actual)
    if known.any():
        inside = (errors.total_actual >= band.total_low) & (errors.total_actual <= band.total_high)
        accuracy = replace(accuracy, total_coverage=float(inside[known].mean()))
    return accuracy
