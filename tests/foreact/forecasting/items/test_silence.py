"""Items that have fallen silent fade, unless their season or the plan says that they come back."""

from dataclasses import replace

import numpy as np
import pytest

from foreact.forecasting import Panel, train_store
from tests.foreact.forecasting.panels import make_panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(items=12, days=800, rate=4.0)


def forecast_with(panel: Panel, item: int, quiet: slice, promotion: bool = False) -> tuple[float, float]:
    """Return the item's mean forecast, and what it sold on a day before; `quiet` days have sold nothing."""
    units = panel.units.copy()
    before = float(np.nanmean(units[item, :600]))
    units[item, quiet] = 0
    known = dict(panel.known)
    if promotion:
        flags = np.zeros(units.shape, np.float32)
        flags[:, ::40] = 1
        flags[:, panel.days :] = 0
        flags[item, panel.days + 2 :] = 1
        known["promotion"] = flags
    made = train_store(replace(panel, units=units, known=known)).forecast
    return float(made.mean[item].mean()), before


def test_an_item_silent_for_eight_weeks_is_next_to_dead(panel: Panel) -> None:
    mean, before = forecast_with(panel, 3, slice(panel.days - 56, panel.days))
    assert mean < 0.1 * before


def test_an_item_whose_season_comes_is_not_dead(panel: Panel) -> None:
    """It was as silent last year, and then sold."""
    units = panel.units.copy()
    for end in (panel.days, panel.days - 364):
        units[3, end - 120 : end] = 0
    mean = float(train_store(replace(panel, units=units)).forecast.mean[3].mean())
    assert mean > 0.2 * float(np.nanmean(panel.units[3, :500]))


def test_a_promotion_ahead_speaks_for_an_item(panel: Panel) -> None:
    silent = slice(panel.days - 56, panel.days)
    alone, _ = forecast_with(panel, 3, silent)
    promoted, _ = forecast_with(panel, 3, silent, promotion=True)
    assert promoted > 3 * alone
