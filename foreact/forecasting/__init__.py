"""Forecasting one store from its panel, without any input or output: models, backtest, gate and forecast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foreact.forecasting.experts.chain import ChainModel
    from foreact.forecasting.experts.simple import Simple
    from foreact.forecasting.forecast import Forecast
    from foreact.forecasting.inputs.panel import Panel
    from foreact.forecasting.judging.accuracy import Accuracy
    from foreact.forecasting.judging.gate import Decision, GateOutcome
    from foreact.forecasting.judging.scorecard import PublishedForecast, Score
    from foreact.forecasting.model import StoreModel
    from foreact.forecasting.training import ChampionError, StoreResult, fall_back, judge_registered, train_store

# Imported on first use, so that reading a panel does not import the models.
_HOMES = {
    "ChampionError": "training",
    "Accuracy": "judging.accuracy",
    "ChainModel": "experts.chain",
    "Decision": "judging.gate",
    "Forecast": "forecast",
    "GateOutcome": "judging.gate",
    "Panel": "inputs.panel",
    "PublishedForecast": "judging.scorecard",
    "Simple": "experts.simple",
    "Score": "judging.scorecard",
    "StoreModel": "model",
    "StoreResult": "training",
    "fall_back": "training",
    "judge_registered": "training",
    "train_store": "training",
}
__all__ = [
    "Accuracy",
    "ChainModel",
    "ChampionError",
    "Decision",
    "Forecast",
    "GateOutcome",
    "Panel",
    "PublishedForecast",
    "Score",
    "Simple",
    "StoreModel",
    "StoreResult",
    "fall_back",
    "judge_registered",
    "train_store",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
