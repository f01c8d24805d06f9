"""From a store's panel to a model, a decision and a forecast."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from foreact.forecasting.backtest import (
    ITEM_ORIGINS,
    Backtest,
    backtest_origins,
    fresh_fits,
    intervals_from,
    learn_items_bias,
    proven_fits,
    run_backtest,
)
from foreact.forecasting.baselines import NAIVE, baseline
from foreact.forecasting.columns import Columns, infer_columns
from foreact.forecasting.forecast import Forecast
from foreact.forecasting.gate import Decision, decide
from foreact.forecasting.intervals import Intervals
from foreact.forecasting.items import ItemsFit, fit_items
from foreact.forecasting.model import Proof, StoreModel, assemble
from foreact.forecasting.panel import Panel
from foreact.forecasting.projection import fit, history_of, read
from foreact.forecasting.scorecard import Published, Score, score_published
from foreact.forecasting.threads import single_thread
from foreact.forecasting.totals import TotalsFit, closed_ahead


@dataclass(frozen=True)
class StoreResult:
    """All that training a store gives; `forecast` is what may be published, whoever made it."""

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
    margin: float = 0.02,
    seed: int = 0,
    previous: Sequence[Published] | None = None,
) -> StoreResult:
    """Train a challenger, judge it against the champion and seasonal naive, and forecast with whoever won."""
    with single_thread():
        model, tested = train_model(panel, seed)
        with _blaming_the_champion():
            champion_figures = None if champion is None else _judge(panel, champion)
        decision = decide(panel.store, tested.figures, champion_figures, margin, champion is not None)
        if decision.promoted:
            forecast = model.predict(panel)
        elif champion is not None:
            with _blaming_the_champion():
                forecast = champion.predict(panel)
        else:
            forecast = naive_forecast(panel, model.columns, model.intervals)
        scorecard = score_published(panel, previous or [])
    return StoreResult(model, forecast, decision, tested, scorecard)


def train_model(panel: Panel, seed: int) -> tuple[StoreModel, Backtest]:
    """Fit the parts that go live, and before them those that prove the recipe on windows they have not seen."""
    columns = infer_columns(panel)
    fits: list[TotalsFit] = []
    proof_items = _proof_items(panel, columns, seed)
    tested = run_backtest(panel, lambda past: read(past, columns), fresh_fits(fits), proof_items)
    reading = read(panel, columns)
    totals = fit(reading)
    model = StoreModel(
        store=panel.store,
        as_of=panel.dates[panel.days - 1],
        horizon=panel.horizon,
        columns=columns,
        totals=totals,
        items=fit_items(history_of(reading, totals), seed) if len(panel.items) > 1 else None,
        intervals=intervals_from(tested.windows),
        items_bias=learn_items_bias(tested.windows),
        proof=Proof(fits, proof_items),
    )
    return model, tested


def _proof_items(panel: Panel, columns: Columns, seed: int) -> ItemsFit | None:
    """Fit the boosting on what was known at the oldest origin at which items are backtested."""
    origins = backtest_origins(panel.days, panel.horizon)[:ITEM_ORIGINS]
    if not origins or len(panel.items) == 1:
        return None
    reading = read(panel.at(origins[-1]), columns)
    return fit_items(history_of(reading, fit(reading)), seed)


def _judge(panel: Panel, champion: StoreModel) -> dict[str, float]:
    """Backtest the champion's proof on the windows that the challenger is judged on."""
    tested = run_backtest(
        panel,
        lambda past: read(past, champion.columns, champion.totals.groups),
        proven_fits(champion.proof.totals),
        champion.proof.items,
    )
    return tested.figures


@contextmanager
def _blaming_the_champion() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ChampionError(str(error)) from error


def fall_back(panel: Panel, champion: StoreModel | None, reason: str) -> StoreResult:
    """Forecast a store that could not be trained: by its champion, or by seasonal naive where it has none."""
    with single_thread():
        if champion is not None:
            forecast, instead = champion.predict(panel), "the live model stays"
        else:
            forecast = naive_forecast(panel, infer_columns(panel), intervals_from([]))
            instead = "seasonal naive is published instead"
    why = f"could not be trained: {reason}"
    return StoreResult(None, forecast, Decision(panel.store, False, why, f"{instead}: the store {why}"))


def naive_forecast(panel: Panel, columns: Columns, intervals: Intervals) -> Forecast:
    """Forecast by seasonal naive, within the intervals at hand: the numbers of last resort."""
    reading = read(panel, columns)
    closed = closed_ahead(panel, reading.demand, columns)
    mean = baseline(NAIVE, reading.demand.units, panel.horizon, closed)
    forecast = assemble(panel, mean, intervals, {})
    return replace(forecast, drivers={"level": np.asarray(mean.sum(0), np.float32)})
