"""Zeros before a first sale, and items that hardly sell, say nothing of what the others sell."""

from dataclasses import replace

import numpy as np

from foreact.forecasting import Panel, train_store
from foreact.forecasting.forecast import SHARES
from foreact.forecasting.inputs.columns import infer_columns
from tests.foreact.forecasting.panels import make_panel


def sell_only(panel: Panel, item: int | slice, days: slice) -> Panel:
    """Return the panel with zeros of `item` outside of these days."""
    units = panel.units.copy()
    sold = units[item, days].copy()
    units[item, : panel.days] = 0
    units[item, days] = sold
    return replace(panel, units=units)


def test_a_store_that_opened_three_weeks_ago_is_forecast_at_its_level_within_bounds() -> None:
    panel = sell_only(make_panel(items=4, days=500, rate=12.0), slice(None), slice(479, 500))
    forecast = train_store(panel).forecast
    sold = panel.units[:, 479:500].mean(1)
    assert np.allclose(forecast.mean.mean(1) / sold, 1, atol=0.35)
    assert forecast.total_quantiles[SHARES.index(0.9)].max() < 3 * sold.sum()
    assert (forecast.quantiles[SHARES.index(0.9)].max(1) < 6 * sold).all()


def test_an_item_that_began_two_weeks_ago_widens_nobody_s_interval() -> None:
    whole = make_panel(items=4, days=500, rate=20.0)
    panel = sell_only(whole, 1, slice(486, 500))
    forecast, usual = train_store(panel).forecast, train_store(whole).forecast
    for item in (0, 2, 3):
        assert forecast.p90[item].mean() < 1.3 * usual.p90[item].mean()
    assert np.isclose(forecast.mean[1].mean(), panel.units[1, 486:500].mean(), rtol=0.4)


def test_an_item_that_never_sold_leaves_the_others_their_lower_bound() -> None:
    whole = make_panel(items=4, days=500, rate=40.0)
    forecast, usual = train_store(sell_only(whole, 1, slice(0, 0))).forecast, train_store(whole).forecast
    for item in (0, 2, 3):
        assert forecast.p10[item].mean() > 0.7 * usual.p10[item].mean()
    assert forecast.p90[1].max() == 0


def test_what_a_delisted_item_sold_is_taken_over_by_nobody() -> None:
    panel = make_panel(items=4, days=500, rate=20.0, groups=0)
    price = panel.known["price"].copy()
    price[1, panel.days :] = np.nan
    forecast, usual = (
        train_store(replace(panel, known=known)).forecast for known in ({**panel.known, "price": price}, panel.known)
    )
    assert forecast.mean[1].max() == 0
    others = [0, 2, 3]
    assert np.isclose(forecast.mean[others].sum(), usual.mean[others].sum(), rtol=0.04)


def test_two_prices_are_prices_and_no_flag() -> None:
    panel = make_panel(items=3, days=200)
    cheap = np.arange(panel.units.shape[1]) % 40 < 10
    known = {**panel.known, "price": np.where(cheap, 1.99, 2.49) * np.ones((3, 1))}
    columns = infer_columns(replace(panel, known={name: np.float32(values) for name, values in known.items()}))
    assert columns.prices == ["price"]
    assert columns.item_flags == []
