"""What changes in a chain's demand is followed, and what was only a spell does not set the month."""

from dataclasses import replace

import numpy as np
import pytest

from foreact.forecasting import Panel, train_store
from tests.foreact.forecasting.panels import make_panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(items=6, days=600, horizon=28, rate=30.0, events=False, price=False)


def test_a_weekday_that_became_strong_twelve_weeks_ago_is_forecast_strong(panel: Panel) -> None:
    units, days = panel.units.copy(), np.arange(panel.units.shape[1])
    strong = (days % 7 == 6) & (days >= panel.days - 84)
    units[:, strong] *= 2
    mean = train_store(replace(panel, units=units)).forecast.mean.sum(0)
    sundays = days[panel.days :] % 7 == 6
    assert np.isclose(mean[sundays].mean(), units[:, strong & (days < panel.days)].sum(0).mean(), rtol=0.15)


def test_a_hot_fortnight_does_not_set_the_month(panel: Panel) -> None:
    """Such spells came before, and went."""
    units = panel.units.copy()
    for start in (100, 220, 330, 450, panel.days - 14):
        units[:, start : start + 14] *= 1.6
    hot, usual = (train_store(replace(panel, units=each)).forecast.mean.sum() for each in (units, panel.units))
    assert 1 <= hot / usual < 1.3
