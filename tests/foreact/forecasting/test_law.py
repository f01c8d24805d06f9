"""The law: nothing after the origin in units, stock-outs or past columns changes a feature or a forecast."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foreact.forecasting import Panel, train_store
from foreact.forecasting.experts.store import build_item_history, fit_store_totals
from foreact.forecasting.items.levels import item_levels
from foreact.forecasting.items.model import build_features
from foreact.forecasting.reading import PanelReading, read_panel
from foreact.forecasting.totals.design import NEIGHBOURS
from foreact.spacing import Spacing
from tests.foreact.forecasting.panels import make_panel

SMALL = make_panel(items=12, days=300, horizon=7, seed=5)
# How many days before an event its coming is felt.
REACH = -min(NEIGHBOURS[Spacing.DAILY])
quick = settings(max_examples=12, deadline=None)


def disturbed(panel: Panel, origin: int, seed: int) -> Panel:
    """Return the panel with other units and stock-outs from the origin on."""
    random = np.random.default_rng(seed)
    units = panel.units.copy()
    units[:, origin:] = random.choice([0.0, 1.0, 1e6, np.nan], units[:, origin:].shape)
    stockout = np.zeros(units.shape, bool)
    stockout[:, origin:] = random.random(stockout[:, origin:].shape) < 0.5
    return replace(panel, units=units, stockout=stockout)


def seen_from(panel: Panel, origin: int) -> PanelReading:
    from foreact.forecasting.inputs.columns import infer_columns

    past = panel.truncate_at(origin)
    return read_panel(past, infer_columns(past))


@quick
@given(origin=st.integers(60, 293), seed=st.integers(0, 99))
def test_no_feature_sees_the_future(origin: int, seed: int) -> None:
    honest = replace(SMALL, stockout=np.zeros(SMALL.units.shape, bool))
    readings = [seen_from(honest, origin), seen_from(disturbed(SMALL, origin, seed), origin)]
    rows, days = np.arange(12), np.full(12, origin + 3)
    shown = []
    for reading in readings:
        history = build_item_history(reading, fit_store_totals(reading))
        shown.append((item_levels(history, origin), *build_features(history, origin, rows, days)[1:]))
    for one, other in zip(*shown, strict=True):
        np.testing.assert_array_equal(one, other)


@quick
@given(origin=st.integers(40, 280), lead=st.integers(0, 6))
def test_a_row_learnt_from_looks_like_the_row_forecast_from(origin: int, lead: int) -> None:
    """What training reads out of the long history is what was to be seen on the day.

    Days that feel an event just beyond that day's horizon are left out: the calendar, known ahead, now names it.
    """
    felt = slice(origin + SMALL.horizon, origin + lead + REACH + 1)
    assume(not SMALL.known["event"][felt].any())
    whole = read_panel(SMALL, seen_from(SMALL, SMALL.days).columns)
    totals = fit_store_totals(whole)
    then = read_panel(SMALL.truncate_at(origin), whole.columns)
    rows, days = np.arange(12), np.full(12, origin + lead)
    sold_by_then = SMALL.units[:, :origin].sum(1) > 0
    _, learnt, _ = build_features(build_item_history(whole, totals), origin, rows, days)
    _, forecast, _ = build_features(build_item_history(then, totals), origin, rows, days)
    np.testing.assert_allclose(learnt[sold_by_then], forecast[sold_by_then], rtol=1e-5, atol=1e-6)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 99))
def test_no_forecast_sees_the_future(seed: int) -> None:
    origin = 286
    honest = replace(SMALL, stockout=np.zeros(SMALL.units.shape, bool))
    one = train_store(honest.truncate_at(origin)).forecast
    other = train_store(disturbed(SMALL, origin, seed).truncate_at(origin)).forecast
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.p90, other.p90)
    np.testing.assert_array_equal(one.total_p90, other.total_p90)
