"""A simple method that beats the models is published as it is judged: silences, bounds and all."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from foreact.forecasting import Panel, StoreResult, train_store
from foreact.forecasting.judging.gate import GateOutcome, best_simple
from tests.foreact.forecasting.panels import make_panel


def draw_panels() -> Iterator[Panel]:
    """Yield panels of which nothing can be learnt: every day is drawn alike, and one item falls silent."""
    panel = make_panel(items=4, days=300, rate=30.0, events=False, price=False)
    for seed in range(30):
        units = np.random.default_rng(seed).poisson(30.0, panel.units.shape).astype(np.float32)
        units[:, panel.days :] = np.nan
        units[2, panel.days - 60 : panel.days] = 0
        yield replace(panel, units=units)


@pytest.fixture(scope="module")
def fallen() -> tuple[Panel, StoreResult]:
    return next(
        (panel, result)
        for panel in draw_panels()
        if (result := train_store(panel)).decision.outcome is GateOutcome.FALLBACK
    )


def test_silent_items_fade_and_the_bounds_hold(fallen: tuple[Panel, StoreResult]) -> None:
    panel, result = fallen
    forecast = result.forecast
    assert forecast.mean[2].max() < 3
    assert np.allclose(forecast.mean[[0, 1, 3]].mean(1), 30, rtol=0.2)
    past = panel.units[[0, 1, 3], panel.days - 100 : panel.days]
    inside = (past >= forecast.p10[[0, 1, 3]].mean()) & (past <= forecast.p90[[0, 1, 3]].mean())
    assert 0.65 < inside.mean() < 0.95


def test_a_live_model_that_loses_too_is_not_published(fallen: tuple[Panel, StoreResult]) -> None:
    panel, result = fallen
    again = train_store(panel, champion=result.model)
    assert again.decision.outcome is GateOutcome.FALLBACK
    assert best_simple(again.decision.baselines).label in str(again.decision.fallback)
    assert "so is the live one's" in again.decision.reason
    np.testing.assert_array_equal(again.forecast.mean, result.forecast.mean)
