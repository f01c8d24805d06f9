"""Seasonal items are those of which a quarter brings most of a year."""

from dataclasses import replace

import numpy as np

from foreact.forecasting.inputs.columns import infer_columns
from foreact.forecasting.inputs.traits import ORDINARY, SEASONAL
from foreact.forecasting.reading import read_panel
from tests.foreact.forecasting.panels import make_panel


def test_an_item_that_sells_in_summer_is_seasonal_and_one_that_is_young_or_rare_is_not() -> None:
    panel = make_panel(items=4, days=800, groups=0, events=False, price=False)
    units = panel.units.copy()
    summer = np.arange(panel.days) % 364 // 91 == 2
    units[0, : panel.days] *= np.where(summer, 1.0, 0.1)
    units[1, : panel.days - 100] = 0
    units[2, : panel.days] = np.arange(panel.days) % 180 == 0
    panel = replace(panel, units=units)
    kinds = read_panel(panel, infer_columns(panel)).traits.kinds[:, 0]
    assert kinds.tolist() == [SEASONAL, ORDINARY, ORDINARY, ORDINARY]
