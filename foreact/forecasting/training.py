"""Training one store: from its panel to a model, a decision and a forecast."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from foreact.forecasting.experts.chain import ChainModel, ChainRows, draw_rows
from foreact.forecasting.experts.evidence import Evidence, add_evidence, learn_weights
from foreact.forecasting.experts.installed import InstalledFit, fit_installed
from foreact.forecasting.experts.pool import Pool, gather_opinions, list_simple_experts
from foreact.forecasting.experts.protocol import CHAIN, STORE
from foreact.forecasting.experts.simple import Simple, SimpleForecaster
from foreact.forecasting.experts.store import fit_store_items, fit_store_totals
from foreact.forecasting.forecast import LEVEL, SHARES, Forecast
from foreact.forecasting.inputs.columns import Columns, infer_columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.intervals import Intervals
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.backtest import (
    ITEM_ORIGINS,
    Backtest,
    BacktestRun,
    Origin,
    backtest_origins,
    iterate_origins,
    learn_items_bias,
    learn_simple_intervals,
    learn_window_intervals,
)
from foreact.forecasting.judging.gate import Decision, GateOutcome, best_simple, decide_outcome
from foreact.forecasting.judging.scorecard import PublishedForecast, Score, score_published
from foreact.forecasting.model import BacktestFits, StoreModel, assemble_forecast
from foreact.forecasting.reading import PanelReading, read_panel, read_panel_like
from foreact.forecasting.totals.closures import predict_closed_days
from foreact.forecasting.totals.model import TotalsFit
from foreact.spacing import Spacing


@dataclass(frozen=True)
class StoreResult:
    """The outcome of training a store; `forecast` is to be published, whichever model made it."""

    # The challenger; None where none could be trained.
    model: StoreModel | None
    forecast: Forecast
    decision: Decision
    backtest: Backtest = field(default_factory=Backtest)
    scorecard: list[Score] = field(default_factory=list)
    # Why installed experts have no say in the challenger, by name.
    left_out: dict[str, str] = field(default_factory=dict)


class ChampionError(Exception):
    """A live model that fails on data on which a new one could be trained."""


def train_store(
    panel: Panel,
    *,
    chain: ChainModel | None = None,
    champion: StoreModel | None = None,
    margin: float = 0.0,
    seed: int = 0,
    previous: Sequence[PublishedForecast] | None = None,
    shares: Sequence[float] = SHARES,
    experts: Sequence[str] = (),
) -> StoreResult:
    """Train a challenger, judge it against the champion and simple methods, and forecast with the winner."""
    with single_thread():
        columns = infer_columns(panel)
        with ThreadPoolExecutor(1) as aside:
            # On a second core, where there is one: it needs nothing of the backtest.
            final = aside.submit(_fit_whole, panel, columns, seed)
            fits, backtest, champion_backtest = _backtest_models(panel, columns, chain, champion, seed, experts)
            reading, totals, items = final.result()
        evidence = _list_evidence(panel, chain)
        weights = backtest.weights or learn_weights([], evidence, _list_experts(panel, chain, experts))
        judged = [name for name in experts if name in weights.experts]
        installed, unfit = fit_installed(judged, reading, seed)
        model = StoreModel(
            store=panel.store,
            as_of=panel.dates[panel.days - 1],
            horizon=panel.horizon,
            columns=columns,
            totals=totals,
            items=items,
            intervals=learn_window_intervals(backtest.windows),
            items_bias=learn_items_bias(backtest.windows),
            weights=weights.select_experts([name for name in weights.experts if name not in unfit]),
            backtest_fits=fits,
            installed=installed,
        )
        champion_accuracy = None if champion is None else champion_backtest.accuracy
        decision = decide_outcome(backtest.accuracy, backtest.baselines, champion_accuracy, margin)
        if decision.outcome is GateOutcome.PROMOTED:
            forecast = model.forecast_reading(reading, chain, shares)
        elif champion is not None and decision.outcome is GateOutcome.KEPT:
            with _as_champion_error():
                forecast = champion.predict(panel, chain, shares)
        else:
            forecast = _forecast_simply(reading, totals, backtest, shares)
        scorecard = score_published(panel, previous or [])
    return StoreResult(model, forecast, decision, backtest, scorecard, backtest.left_out | unfit)


def _fit_whole(panel: Panel, columns: Columns, seed: int) -> tuple[PanelReading, TotalsFit, ItemsFit | None]:
    """Return the whole panel's reading, and the store's own fits on it."""
    reading = read_panel(panel, columns)
    totals = fit_store_totals(reading)
    return reading, totals, fit_store_items(reading, totals, seed)


def judge_registered(
    panel: Panel,
    model: StoreModel,
    *,
    chain: ChainModel | None = None,
    champion: StoreModel | None = None,
    margin: float = 0.0,
    previous: Sequence[PublishedForecast] | None = None,
    shares: Sequence[float] = SHARES,
) -> StoreResult:
    """Judge a registered model in a challenger's place, and forecast with it whatever the gate says."""
    with single_thread():
        columns = infer_columns(panel)
        run, champion_run = BacktestRun(), BacktestRun()
        for origin in iterate_origins(panel):
            reading = read_panel(origin.panel, columns)
            _backtest_registered(model, chain, origin, reading, run)
            if champion is not None:
                with _as_champion_error():
                    _backtest_registered(champion, chain, origin, reading, champion_run)
        backtest = run.judge(_list_evidence(panel, chain))
        with _as_champion_error():
            champion_accuracy = None if champion is None else champion_run.judge(_list_evidence(panel, chain)).accuracy
        decision = decide_outcome(backtest.accuracy, backtest.baselines, champion_accuracy, margin)
        forecast = model.predict(panel, chain, shares)
        scorecard = score_published(panel, previous or [])
    return StoreResult(model, forecast, decision, backtest, scorecard, backtest.left_out)


def _backtest_models(
    panel: Panel,
    columns: Columns,
    chain: ChainModel | None,
    champion: StoreModel | None,
    seed: int,
    experts: Sequence[str],
) -> tuple[BacktestFits, Backtest, Backtest]:
    """Backtest the challenger, and the champion beside it, on windows that their fits have not seen."""
    run, champion_run = BacktestRun(), BacktestRun()
    fits: list[TotalsFit] = []
    items: ItemsFit | None = None
    installed: dict[str, InstalledFit] = {}
    unfit: dict[str, str] = {}
    for origin in iterate_origins(panel):
        reading = read_panel(origin.panel, columns)
        totals = fit_store_totals(reading)
        fits.append(totals)
        if origin.first_items:
            items = fit_store_items(reading, totals, seed)
            installed, unfit = fit_installed(experts, reading, seed)
        earlier = None if chain is None else chain.earlier
        run.forecast_origin(origin, reading, Pool(totals, items, earlier, installed))
        if champion is not None:
            with _as_champion_error():
                _backtest_registered(champion, chain, origin, reading, champion_run)
    with _as_champion_error():
        judged = champion_run.judge(_list_evidence(panel, chain))
    backtest = run.judge(_list_evidence(panel, chain))
    backtest = replace(backtest, left_out=unfit | backtest.left_out)
    return BacktestFits(fits, items, installed), backtest, judged


def _list_evidence(panel: Panel, chain: ChainModel | None) -> list[Evidence]:
    return [] if chain is None else chain.list_evidence(panel.store)


def _list_experts(panel: Panel, chain: ChainModel | None, experts: Sequence[str]) -> list[str]:
    """Return the experts of a store without a backtest: of the installed ones those that the chain's evidence knows."""
    known = [name for name in experts if any(name in each.experts for each in _list_evidence(panel, chain))]
    return [STORE, *([] if chain is None else [CHAIN]), *list_simple_experts(panel), *known]


def _backtest_registered(
    model: StoreModel, chain: ChainModel | None, origin: Origin, reading: PanelReading, run: BacktestRun
) -> None:
    """Forecast by the newest of a model's fits that has not seen the window; without one there is no window."""
    days = origin.panel.dates[origin.panel.days]
    usable = [totals for totals in model.backtest_fits.totals if totals.origin <= days]
    if usable:
        totals = max(usable, key=lambda one: one.origin)
        reading = read_panel_like(reading, model.columns, model.totals.groups)
        earlier = None if chain is None else chain.earlier
        fits = model.backtest_fits
        run.forecast_origin(origin, reading, Pool(totals, fits.items, earlier, fits.installed))


@contextmanager
def _as_champion_error() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ChampionError(str(error)) from error


def fall_back(
    panel: Panel,
    champion: StoreModel | None,
    reason: str,
    chain: ChainModel | None = None,
    shares: Sequence[float] = SHARES,
) -> StoreResult:
    """Forecast a store that was not trained: by its champion, or by the weekday mean where it has none."""
    with single_thread():
        if champion is not None:
            forecast, instead = champion.predict(panel, chain, shares), "the live model stays"
        else:
            intervals = learn_window_intervals([])
            forecast = forecast_without_model(panel, infer_columns(panel), intervals, Simple.WEEKDAY_MEAN, shares)
            instead = f"{Simple.WEEKDAY_MEAN.label} is published instead"
    return StoreResult(None, forecast, Decision(GateOutcome.FALLBACK, reason, f"{instead}: the store {reason}"))


def _forecast_simply(reading: PanelReading, totals: TotalsFit, backtest: Backtest, shares: Sequence[float]) -> Forecast:
    """Forecast by the simple method that did best in the backtest, within intervals of its own errors."""
    method = best_simple(backtest.baselines)
    opinions, _ = gather_opinions(reading, Pool(totals), None)
    mean = opinions.follow(method)
    forecast = assemble_forecast(reading, mean, learn_simple_intervals(backtest.windows, method), {}, shares)
    return replace(forecast, drivers={LEVEL: np.asarray(mean.sum(0), np.float32)})


def forecast_without_model(
    panel: Panel, columns: Columns, intervals: Intervals, method: Simple, shares: Sequence[float]
) -> Forecast:
    """Forecast by a simple method, within the given intervals: the forecast of last resort."""
    reading = read_panel(panel, columns)
    closed = predict_closed_days(panel, reading.demand, columns)
    mean = SimpleForecaster(method).forecast(reading) * ~closed
    forecast = assemble_forecast(reading, mean, intervals, {}, shares)
    return replace(forecast, drivers={LEVEL: np.asarray(mean.sum(0), np.float32)})


def draw_chain_rows(panel: Panel, budget: int, seed: int, held_back: int) -> tuple[ChainRows | None, ChainRows | None]:
    """Return a store's share of the rows for the chain's fit, and for the earlier fit that backtests need.

    The earlier one knows nothing of the last days that are held back, in no store.
    """
    with single_thread():
        columns = infer_columns(panel)
        origin = panel.days - held_back
        earlier = _draw_rows(panel.truncate_at(origin), columns, budget, seed) if origin > 0 else None
        return _draw_rows(panel, columns, budget, seed), earlier


def count_held_back(days: int, horizon: int, spacing: Spacing) -> int:
    """Return how many of the last days are forecast in the backtests with items of a chain with so long a history."""
    origins = backtest_origins(days, horizon, spacing)[:ITEM_ORIGINS]
    return days - origins[-1] if origins else days


def _draw_rows(panel: Panel, columns: Columns, budget: int, seed: int) -> ChainRows | None:
    reading = read_panel(panel, columns)
    return draw_rows(reading, fit_store_totals(reading), budget, seed)


def weigh_experts(panel: Panel, chain: ChainModel, seed: int, experts: Sequence[str] = ()) -> Evidence | None:
    """Return what one store's backtest says of all experts."""
    with single_thread():
        _, backtest, _ = _backtest_models(panel, infer_columns(panel), chain, None, seed, experts)
        return add_evidence([window.evidence for window in backtest.windows if window.evidence is not None])
