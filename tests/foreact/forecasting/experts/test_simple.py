"""What the simple methods make of little, late and uneven histories."""

from dataclasses import replace

import numpy as np

from foreact.forecasting import Panel, Simple, train_store
from foreact.forecasting.experts.simple import forecast_simply
from foreact.spacing import Spacing
from tests.foreact.forecasting.panels import make_panel

WEEK = np.array([10, 10, 10, 10, 20, 40, 0], np.float32)


def test_smoothing_keeps_the_week_and_follows_a_new_level() -> None:
    units = np.tile(WEEK, 40)[None, :].copy()
    units[:, -70:] *= 2
    mean = forecast_simply(Simple.SMOOTHING, units, 14, Spacing.DAILY)
    np.testing.assert_allclose(mean[0], np.tile(2 * WEEK, 2), rtol=0.15, atol=0.5)


def test_smoothing_starts_with_an_item_s_own_first_days() -> None:
    units = np.full((1, 300), np.nan, np.float32)
    units[:, -20:] = 5
    np.testing.assert_allclose(forecast_simply(Simple.SMOOTHING, units, 14, Spacing.DAILY), 5, rtol=0.02)


def test_last_year_brings_its_season_back_at_today_s_level() -> None:
    days = np.arange(2 * 364)
    units = (20 + 10 * np.sin(2 * np.pi * days / 364))[None, :].astype(np.float32)
    units[:, 364:] *= 3
    mean = forecast_simply(Simple.LAST_YEAR, np.vstack([units[:, :700], units[:, :700]]), 14, Spacing.DAILY)
    np.testing.assert_allclose(mean, np.tile(units[:, 700:714], (2, 1)), rtol=0.1)


def test_without_a_last_year_the_week_is_repeated() -> None:
    units = np.tile(WEEK, 60)[None, :].copy()
    units[0, :300] = np.nan
    for short in (units[:, :350], units):
        mean = forecast_simply(Simple.LAST_YEAR, short, 14, Spacing.DAILY)
        np.testing.assert_allclose(mean[0], np.tile(WEEK, 2))


def test_last_year_of_months_is_the_same_month() -> None:
    units = np.tile(np.arange(1, 13, dtype=np.float32), 3)[None, :]
    mean = forecast_simply(Simple.LAST_YEAR, units, 4, Spacing.MONTHLY)
    np.testing.assert_allclose(mean[0], [1, 2, 3, 4])


def test_periods_longer_than_days_have_no_weekday() -> None:
    units = np.arange(1, 61, dtype=np.float32)[None, :]
    mean = forecast_simply(Simple.SEASONAL_NAIVE, units, 4, Spacing.WEEKLY)
    np.testing.assert_array_equal(mean, 60)


def test_rows_of_zero_before_an_opening_close_nothing() -> None:
    """A store that opened late has zeros before; they are no evidence of closed days."""
    panel = make_panel(items=4, days=700, groups=0)
    units = panel.units.copy()
    units[:, :400] = 0
    opened = train_store(replace(panel, units=units)).forecast.mean.sum()
    assert opened > 0.8 * np.nansum(panel.units[:, -28 - panel.horizon : -panel.horizon]) / 2


def test_three_weeks_are_enough_for_a_forecast() -> None:
    whole: Panel = make_panel(items=8, days=60)
    short = replace(
        whole,
        dates=whole.dates[39:],
        days=21,
        units=whole.units[:, 39:],
        known={name: values[..., 39:] for name, values in whole.known.items()},
    )
    mean = train_store(short).forecast.mean
    sold = float(np.nanmean(short.units[:, :21]))
    assert 0.6 * sold < mean.mean() < 1.5 * sold
