"""Training one store: from its panel to a model, a decision and a forecast."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from foreact.forecasting.combining.projection import (
    PanelReading,
    fit_store_items,
    fit_store_totals,
    read_panel,
    read_panel_like,
)
from foreact.forecasting.forecast import LEVEL, SHARES, Forecast
from foreact.forecasting.inputs.columns import Columns, infer_columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.intervals import Intervals
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.backtest import (
    Backtest,
    BacktestRun,
    Origin,
    iterate_origins,
    learn_items_bias,
    learn_window_intervals,
)
from foreact.forecasting.judging.baselines import Baseline, forecast_baseline
from foreact.forecasting.judging.gate import Decision, GateOutcome, decide_outcome
from foreact.forecasting.judging.scorecard import PublishedForecast, Score, score_published
from foreact.forecasting.model import BacktestFits, StoreModel, assemble_forecast
from foreact.forecasting.totals.closures import predict_closed_days
from foreact.forecasting.totals.model import TotalsFit


@dataclass(frozen=True)
class StoreResult:
    """The outcome of training a store; `forecast` is to be published, whichever model made it."""

    # The challenger; None where none could be trained.
    model: StoreModel | None
    forecast: Forecast
    decision: Decision
    backtest: Backtest = field(default_factory=Backtest)
    scorecard: list[Score] = field(default_factory=list)


class ChampionError(Exception):
    """A live model that fails on data on which a new one could be trained."""


def train_store(
    panel: Panel,
    *,
    champion: StoreModel | None = None,
    margin: float = 0.0,
    seed: int = 0,
    previous: Sequence[PublishedForecast] | None = None,
    shares: Sequence[float] = SHARES,
) -> StoreResult:
    """Train a challenger, judge it against the champion and seasonal naive, and forecast with the winner."""
    with single_thread():
        columns = infer_columns(panel)
        fits, backtest, champion_backtest = _backtest_models(panel, columns, champion, seed)
        reading = read_panel(panel, columns)
        totals = fit_store_totals(reading)
        model = StoreModel(
            store=panel.store,
            as_of=panel.dates[panel.days - 1],
            horizon=panel.horizon,
            columns=columns,
            totals=totals,
            items=fit_store_items(reading, totals, seed),
            intervals=learn_window_intervals(backtest.windows),
            items_bias=learn_items_bias(backtest.windows),
            backtest_fits=fits,
        )
        champion_accuracy = None if champion is None else champion_backtest.accuracy
        decision = decide_outcome(backtest.accuracy, backtest.baselines, champion_accuracy, margin)
        if decision.outcome is GateOutcome.PROMOTED:
            forecast = model.forecast_reading(reading, shares)
        elif champion is not None:
            with _as_champion_error():
                forecast = champion.predict(panel, shares)
        else:
            forecast = forecast_naive(panel, model.columns, model.intervals, shares)
        scorecard = score_published(panel, previous or [])
    return StoreResult(model, forecast, decision, backtest, scorecard)


def _backtest_models(
    panel: Panel, columns: Columns, champion: StoreModel | None, seed: int
) -> tuple[BacktestFits, Backtest, Backtest]:
    """Backtest the challenger, and the champion beside it, on windows that their fits have not seen."""
    run, champion_run = BacktestRun(), BacktestRun()
    fits: list[TotalsFit] = []
    items: ItemsFit | None = None
    for origin in iterate_origins(panel):
        reading = read_panel(origin.panel, columns)
        totals = fit_store_totals(reading)
        fits.append(totals)
        if origin.first_items:
            items = fit_store_items(reading, totals, seed)
        run.forecast_origin(origin, reading, totals, items)
        if champion is not None:
            with _as_champion_error():
                _backtest_champion(champion, origin, reading, champion_run)
    with _as_champion_error():
        judged = champion_run.score_windows()
    return BacktestFits(fits, items), run.score_windows(), judged


def _backtest_champion(champion: StoreModel, origin: Origin, reading: PanelReading, run: BacktestRun) -> None:
    """Forecast by the newest of the champion's fits that has not seen the window; without one there is no window."""
    days = origin.panel.dates[0] + np.timedelta64(origin.panel.days, "D")
    usable = [totals for totals in champion.backtest_fits.totals if totals.origin <= days]
    if usable:
        totals = max(usable, key=lambda one: one.origin)
        reading = read_panel_like(reading, champion.columns, champion.totals.groups)
        run.forecast_origin(origin, reading, totals, champion.backtest_fits.items)


@contextmanager
def _as_champion_error() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ChampionError(str(error)) from error


def fall_back(panel: Panel, champion: StoreModel | None, reason: str, shares: Sequence[float] = SHARES) -> StoreResult:
    """Forecast a store that could not be trained: by its champion, or by seasonal naive where it has none."""
    with single_thread():
        if champion is not None:
            forecast, instead = champion.predict(panel, shares), "the live model stays"
        else:
            forecast = forecast_naive(panel, infer_columns(panel), learn_window_intervals([]), shares)
            instead = "seasonal naive is published instead"
    why = f"could not be trained: {reason}"
    return StoreResult(None, forecast, Decision(GateOutcome.FALLBACK, why, f"{instead}: the store {why}"))


def forecast_naive(panel: Panel, columns: Columns, intervals: Intervals, shares: Sequence[float]) -> Forecast:
    """Forecast by seasonal naive, within the given intervals: the forecast of last resort."""
    reading = read_panel(panel, columns)
    closed = predict_closed_days(panel, reading.demand, columns)
    mean = forecast_baseline(Baseline.SEASONAL_NAIVE, reading.demand.units, panel.horizon, closed)
    forecast = assemble_forecast(reading, mean, intervals, {}, shares)
    return replace(forecast, drivers={LEVEL: np.asarray(mean.sum(0), np.float32)})
