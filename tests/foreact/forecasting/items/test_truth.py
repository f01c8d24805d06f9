"""Items out of the ordinary, held against what the made-up chain's customers truly want."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from foreact.demo import Chain, make_chain, simulate_sales
from foreact.forecasting import Forecast, Panel, train_store
from tests.foreact.forecasting.demo import demo_panel

Truth = NDArray[np.float64]


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain(seed=4, stores=1, items=60, days=600, horizon=14, last=date(2025, 9, 14))


@pytest.fixture(scope="module")
def told(chain: Chain) -> tuple[Panel, Truth, Forecast]:
    panel, truth = demo_panel(chain, simulate_sales(chain, 0))
    return panel, truth, train_store(panel).forecast


def test_the_store_as_a_whole_is_near_the_truth(told: tuple[Panel, Truth, Forecast]) -> None:
    _, truth, forecast = told
    assert forecast.mean.sum() == pytest.approx(truth.sum(), rel=0.06)
    assert np.abs(forecast.mean.sum(0) - truth.sum(0)).sum() < 0.1 * truth.sum()
    assert np.abs(forecast.mean - truth).sum() < 0.25 * truth.sum()


def test_intermittent_items_get_their_rate(chain: Chain, told: tuple[Panel, Truth, Forecast]) -> None:
    _, truth, forecast = told
    rare = (np.arange(len(chain.items)) % 10 == 7) & (truth.sum(1) > 0)
    assert truth[rare].mean() < 1
    assert forecast.mean[rare].sum() == pytest.approx(truth[rare].sum(), rel=0.35)


def test_new_items_are_near_what_they_will_sell(chain: Chain, told: tuple[Panel, Truth, Forecast]) -> None:
    panel, truth, forecast = told
    new = (chain.launch > panel.days - 120) & (chain.launch <= panel.days - 7)
    assert new.any()
    ratio = forecast.mean[new].sum(1) / truth[new].sum(1)
    assert ((ratio > 0.5) & (ratio < 2)).all()


def test_an_item_without_any_past_borrows_from_its_department(told: tuple[Panel, Truth, Forecast]) -> None:
    panel, truth, _ = told
    units = panel.units.copy()
    units[3] = np.nan
    peers = (panel.attributes["department"] == panel.attributes["department"][3]) & (np.arange(len(units)) != 3)
    forecast = train_store(replace(panel, units=units)).forecast
    usual = np.median(truth[peers].mean(1))
    assert 0.2 * usual < forecast.mean[3].mean() < 3 * usual
    assert (forecast.p90[3] > 0).any()


def test_an_item_long_on_offer_that_never_sold_gets_next_to_nothing(told: tuple[Panel, Truth, Forecast]) -> None:
    panel, truth, _ = told
    units, price = panel.units.copy(), panel.known["price"].copy()
    units[3, : panel.days] = 0
    price[3] = 2.0
    forecast = train_store(replace(panel, units=units, known=panel.known | {"price": price})).forecast
    peers = (panel.attributes["department"] == panel.attributes["department"][3]) & (np.arange(len(units)) != 3)
    assert forecast.mean[3].mean() < 0.2 * np.median(truth[peers].mean(1))


def test_an_item_listed_at_zero_before_its_first_price_is_new(told: tuple[Panel, Truth, Forecast]) -> None:
    panel, truth, _ = told
    units, price = panel.units.copy(), panel.known["price"].copy()
    units[3, : panel.days] = 0
    price[3, : panel.days], price[3, panel.days :] = np.nan, 2.0
    forecast = train_store(replace(panel, units=units, known=panel.known | {"price": price})).forecast
    peers = (panel.attributes["department"] == panel.attributes["department"][3]) & (np.arange(len(units)) != 3)
    assert forecast.mean[3].mean() > 0.2 * np.median(truth[peers].mean(1))


def test_a_discontinued_item_decays_to_zero(told: tuple[Panel, Truth, Forecast]) -> None:
    panel, truth, _ = told
    seller = int(np.argmax(truth.sum(1)))
    price = panel.known["price"].copy()
    price[:, panel.days :] = np.where(np.isnan(price[:, panel.days :]), 5.0, price[:, panel.days :])
    # Nothing sold for ten weeks though it is listed; and one of which nothing more is heard.
    zeros, silent = panel.units.copy(), panel.units.copy()
    zeros[seller, panel.days - 70 : panel.days] = 0
    silent[seller, panel.days - 70 : panel.days] = np.nan
    listed = replace(panel, known=panel.known | {"price": price})
    for units in (zeros, silent):
        forecast = train_store(replace(listed, units=units)).forecast
        assert forecast.mean[seller].mean() < 0.05 * truth[seller].mean()


def test_a_stock_out_is_not_learnt_as_no_demand(told: tuple[Panel, Truth, Forecast]) -> None:
    panel, truth, _ = told
    assert panel.stockout is not None
    sellers = np.argsort(truth.sum(1))[-10:-2]
    units, stockout = panel.units.copy(), panel.stockout.copy()
    last = slice(panel.days - 10, panel.days)
    units[sellers, last] = 0
    stockout[sellers, last] = True
    knowing = train_store(replace(panel, units=units, stockout=stockout)).forecast
    unknowing = train_store(replace(panel, units=units, stockout=None)).forecast
    wanted = truth[sellers].sum()
    assert knowing.mean[sellers].sum() == pytest.approx(wanted, rel=0.2)
    assert unknowing.mean[sellers].sum() < 0.75 * wanted


def test_a_closed_day_forecasts_zero(told: tuple[Panel, Truth, Forecast]) -> None:
    panel, _, _ = told
    assert panel.open is not None
    shut = panel.open.copy()
    shut[:, panel.days + 4] = False
    forecast = train_store(replace(panel, open=shut)).forecast
    assert forecast.total_mean[4] == 0
    assert forecast.total_p90[4] == 0
    assert forecast.p90[:, 4].max() == 0
    assert forecast.total_mean[5] > 0


@pytest.mark.parametrize("told", [0.0, np.nan])
def test_a_weekday_and_a_holiday_that_were_always_closed_stay_closed_without_a_flag(told: float) -> None:
    from tests.foreact.forecasting.panels import make_panel

    panel = make_panel(items=8, days=393, horizon=14)
    sunday = np.arange(len(panel.dates)) % 7 == 6
    feast = panel.known["event"] == 1
    units = np.where((sunday | feast)[None, :] & ~np.isnan(panel.units), told, panel.units).astype(np.float32)
    forecast = train_store(replace(panel, units=units)).forecast
    shut = (sunday | feast)[panel.days :]
    assert shut.sum() == 3
    assert (forecast.total_mean[shut] == 0).all()
    assert (forecast.total_mean[~shut] > 0).all()


def test_weeks_of_which_nothing_is_told_close_no_weekday() -> None:
    from tests.foreact.forecasting.panels import make_panel

    panel = make_panel(items=8, days=393, horizon=14)
    units = panel.units.copy()
    units[:, 393 - 190 : 393 - 10] = np.nan
    assert (train_store(replace(panel, units=units)).forecast.total_mean > 0).all()


def test_what_is_told_once_a_week_is_forecast_once_a_week() -> None:
    from tests.foreact.forecasting.panels import make_panel

    panel = make_panel(items=8, days=393, horizon=14)
    monday = np.arange(len(panel.dates)) % 7 == 0
    units = np.where(monday, 7 * panel.units, np.nan).astype(np.float32)
    forecast = train_store(replace(panel, units=units)).forecast
    assert ((forecast.total_mean > 0) == monday[panel.days :]).all()
    assert forecast.total_mean.sum() == pytest.approx(2 * np.nanmedian(units.sum(0)), rel=0.3)
