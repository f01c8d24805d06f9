"""From a store's panel to a model, a decision and a forecast."""

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
from foreact.forecasting.forecast import Forecast
from foreact.forecasting.inputs.columns import Columns, infer_columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.backtest import Backtest, Origin, Trial, intervals_from, learn_items_bias, walk_origins
from foreact.forecasting.judging.baselines import NAIVE, forecast_baseline
from foreact.forecasting.judging.gate import Decision, decide_promotion
from foreact.forecasting.judging.intervals import Intervals
from foreact.forecasting.judging.scorecard import Published, Score, score_published
from foreact.forecasting.model import Proof, StoreModel, assemble_forecast
from foreact.forecasting.totals.model import TotalsFit, closed_ahead


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
        columns = infer_columns(panel)
        proof, tested, judged = _backtest_both(panel, columns, champion, seed)
        reading = read_panel(panel, columns)
        totals = fit_store_totals(reading)
        model = StoreModel(
            store=panel.store,
            as_of=panel.dates[panel.days - 1],
            horizon=panel.horizon,
            columns=columns,
            totals=totals,
            items=fit_store_items(reading, totals, seed),
            intervals=intervals_from(tested.windows),
            items_bias=learn_items_bias(tested.windows),
            proof=proof,
        )
        decision = decide_promotion(panel.store, tested.figures, judged.figures, margin, champion is not None)
        if decision.promoted:
            forecast = model.forecast(reading)
        elif champion is not None:
            with _blaming_the_champion():
                forecast = champion.predict(panel)
        else:
            forecast = naive_forecast(panel, model.columns, model.intervals)
        scorecard = score_published(panel, previous or [])
    return StoreResult(model, forecast, decision, tested, scorecard)


def _backtest_both(
    panel: Panel, columns: Columns, champion: StoreModel | None, seed: int
) -> tuple[Proof, Backtest, Backtest]:
    """Prove the recipe on windows that its parts have not seen, and the champion beside it."""
    ours, theirs = Trial(), Trial()
    fits: list[TotalsFit] = []
    items: ItemsFit | None = None
    for origin in walk_origins(panel):
        reading = read_panel(origin.panel, columns)
        totals = fit_store_totals(reading)
        fits.append(totals)
        if origin.first_items:
            items = fit_store_items(reading, totals, seed)
        ours.forecast(origin, reading, totals, items)
        if champion is not None:
            with _blaming_the_champion():
                _try_champion(champion, origin, reading, theirs)
    with _blaming_the_champion():
        judged = theirs.judge()
    return Proof(fits, items), ours.judge(), judged


def _try_champion(champion: StoreModel, origin: Origin, reading: PanelReading, trial: Trial) -> None:
    """Forecast by the newest of the champion's fits that has not seen the window; without one it cannot be judged."""
    days = origin.panel.dates[0] + np.timedelta64(origin.panel.days, "D")
    past = [totals for totals in champion.proof.totals if totals.origin <= days]
    if past:
        totals = max(past, key=lambda one: one.origin)
        reading = read_panel_like(reading, champion.columns, champion.totals.groups)
        trial.forecast(origin, reading, totals, champion.proof.items)


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
    reading = read_panel(panel, columns)
    closed = closed_ahead(panel, reading.demand, columns)
    mean = forecast_baseline(NAIVE, reading.demand.units, panel.horizon, closed)
    forecast = assemble_forecast(panel, mean, intervals, {})
    return replace(forecast, drivers={"level": np.asarray(mean.sum(0), np.float32)})
