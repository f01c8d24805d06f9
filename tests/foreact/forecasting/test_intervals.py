"""The totals' band: honest about windows whose days miss together, whatever it is shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreact.forecasting.inputs.traits import NEW, PROMOTED, Traits
from foreact.forecasting.intervals import BacktestErrors, cell_quantiles, learn_intervals, total_quantiles

DAYS, WINDOWS = 28, 8
NO_ITEMS = np.zeros((0, DAYS))


def missed(actual: np.ndarray, mean: np.ndarray | None = None) -> BacktestErrors:
    expected = np.full(len(actual), 100.0) if mean is None else mean
    return BacktestErrors(NO_ITEMS, NO_ITEMS, expected, actual, Traits.of_nothing(len(actual)))


def band(windows: list[BacktestErrors], mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = total_quantiles(learn_intervals([], windows), mean, (0.1, 0.9))
    return low, high


@pytest.mark.parametrize("together", [0.0, 0.5, 0.9, 1.0])
def test_four_in_five_new_days_are_inside_however_much_a_window_misses_as_a_whole(together: float) -> None:
    random = np.random.default_rng(7)
    inside = []
    for _ in range(200):
        shared, own = random.normal(size=(WINDOWS + 1, 1)), random.normal(size=(WINDOWS + 1, DAYS))
        actual = 100 * np.exp(0.1 * (np.sqrt(together) * shared + np.sqrt(1 - together) * own))
        low, high = band([missed(window) for window in actual[:-1]], np.full(DAYS, 100.0))
        inside.append(((actual[-1] >= low) & (actual[-1] <= high)).mean())
    # Pooled quantiles alone give 0.73 to 0.78.
    assert 0.77 < np.mean(inside) < 0.87


@pytest.mark.parametrize(("windows", "days"), [(1, 28), (1, 90), (3, 7), (4, 7)])
def test_few_windows_make_no_narrow_band(windows: int, days: int) -> None:
    random = np.random.default_rng(7)
    inside = []
    for _ in range(150):
        shared, own = random.normal(size=(windows + 1, 1)), random.normal(size=(windows + 1, days))
        actual = 100 * np.exp(0.1 * (np.sqrt(0.3) * shared + np.sqrt(0.7) * own))
        low, high = band([missed(window) for window in actual[:-1]], np.full(days, 100.0))
        inside.append(((actual[-1] >= low) & (actual[-1] <= high)).mean())
    # The quantiles of one window alone give 0.59 to 0.70.
    assert 0.72 < np.mean(inside) < 0.96


figures = st.one_of(st.just(0.0), st.just(np.nan), st.floats(1e-3, 1e6))


@settings(deadline=None)
@given(
    actual=st.lists(st.lists(figures, min_size=DAYS, max_size=DAYS), max_size=WINDOWS),
    mean=st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e6)), min_size=DAYS, max_size=DAYS),
    unit=st.floats(0.1, 10),
)
def test_a_band_holds_its_mean_whatever_was_missed(actual: list[list[float]], mean: list[float], unit: float) -> None:
    expected = np.array(mean)
    windows = [missed(np.array(window), expected) for window in actual]
    low, high = band(windows, expected)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()
    assert (low >= 0).all()
    assert (low <= expected.astype(np.float32)).all()
    assert (high >= expected.astype(np.float32)).all()
    in_other_units = [missed(window.total_actual * unit, expected * unit) for window in windows]
    same = band(in_other_units, expected * unit)
    np.testing.assert_allclose(same, (low * unit, high * unit), rtol=1e-4)


def test_a_window_out_of_line_widens_the_band_more_than_its_share_of_days() -> None:
    usual = [missed(100 * np.exp(np.resize([-0.02, 0.0, 0.02], DAYS))) for _ in range(5)]
    off = [missed(np.full(DAYS, 100 * np.exp(shift))) for shift in (0.2, -0.2, 0.2)]
    low, high = band([*usual, *off], np.full(DAYS, 100.0))
    assert high[0] > 120
    assert low[0] < 85
    assert band(usual, np.full(DAYS, 100.0))[1][0] < 103


@pytest.mark.parametrize("items", [30, 50, 300])
def test_large_items_have_bands_of_their_own_in_stores_of_any_size(items: int) -> None:
    random = np.random.default_rng(3)
    mean = np.repeat(random.lognormal(1.5, 1.2, items)[:, None], DAYS, axis=1)
    total = missed(np.full(DAYS, 100.0))
    traits = Traits(np.sqrt(mean[:, 0]), np.zeros(mean.shape, np.int64))
    windows = [
        BacktestErrors(mean, random.poisson(mean).astype(float), total.total_mean, total.total_actual, traits)
        for _ in range(4)
    ]
    intervals = learn_intervals(windows, [total])
    p10, p90 = cell_quantiles(intervals, mean, traits, (0.1, 0.9))
    actual = random.poisson(mean)
    inside, large = (actual >= p10) & (actual <= p90), mean >= 10
    assert 0.74 < inside[large].mean() < 0.89
    assert (actual > p90).mean() < 0.13


def test_any_quantile_is_in_order_and_nothing_where_nothing_is_expected() -> None:
    random = np.random.default_rng(3)
    mean = random.lognormal(0, 1.5, (60, DAYS))
    mean[5, 3] = 0.0
    traits = Traits(np.sqrt(mean.mean(1)), np.zeros(mean.shape, np.int64))
    windows = [
        BacktestErrors(mean, random.poisson(mean).astype(float), mean.sum(0), random.poisson(mean.sum(0)), traits)
        for _ in range(3)
    ]
    shares = (0.005, 0.031, 0.1, 0.5, 0.77, 0.9, 0.995)
    intervals = learn_intervals(windows, windows)
    cells, totals = cell_quantiles(intervals, mean, traits, shares), total_quantiles(intervals, mean.sum(0), shares)
    for quantiles in (cells, totals):
        assert (quantiles >= 0).all()
        assert (np.diff(quantiles, axis=0) >= 0).all()
    assert cells[:, 5, 3].max() == 0


def test_means_with_a_gap_leave_no_bin_without_cells() -> None:
    random = np.random.default_rng(3)
    mean = np.sort(random.lognormal(1, 1, 215 * DAYS))
    # A tenth is hardly ever sold: the edge between two twentieths lies in the gap, and so does that of such cells.
    mean[:602], mean[602:] = random.uniform(0.01, 0.05, 602), np.maximum(mean[602:], 0.4)
    mean = random.permutation(mean).reshape(215, DAYS)
    actual = random.poisson(mean).astype(float)
    traits = Traits(np.sqrt(mean.mean(1)), np.zeros(mean.shape, np.int64))
    windows = [BacktestErrors(mean, actual, mean.sum(0), actual.sum(0), traits)]
    assert np.isfinite(cell_quantiles(learn_intervals(windows, windows), mean, traits, (0.1, 0.9))).all()


def test_promoted_days_new_and_restless_items_have_wider_intervals_at_the_same_mean() -> None:
    random = np.random.default_rng(3)
    mean = np.full((400, DAYS), 20.0)
    kinds = np.zeros(mean.shape, np.int64)
    kinds[100:200], kinds[200:300] = PROMOTED, NEW
    change = np.where(np.arange(400) < 300, 3.0, 12.0)
    spread = np.repeat([0.1, 0.4, 0.6, 0.5], 100)[:, None]
    traits, total = Traits(change, kinds), missed(np.full(DAYS, 100.0))
    actual = [mean * np.exp(spread * random.normal(size=mean.shape)) for _ in range(5)]
    windows = [BacktestErrors(mean, each, total.total_mean, total.total_actual, traits) for each in actual[:4]]
    p10, p90 = cell_quantiles(learn_intervals(windows, [total]), mean, traits, (0.1, 0.9))
    inside = ((actual[4] >= p10) & (actual[4] <= p90)).reshape(4, -1).mean(1)
    # One table for all holds 0.99 of the calm and 0.62 of the new.
    assert ((inside > 0.74) & (inside < 0.86)).all()


@pytest.mark.parametrize("items", [1, 40])
def test_without_a_backtest_intervals_are_as_wide_as_counts_are(items: int) -> None:
    mean = np.full((items, DAYS), 2.0)
    traits = Traits(np.full(items, 1.5), np.zeros(mean.shape, np.int64))
    p10, p90 = cell_quantiles(learn_intervals([], []), mean, traits, (0.1, 0.9))
    sold = np.random.default_rng(3).poisson(mean)
    assert ((sold >= p10) & (sold <= p90)).mean() > 0.75
    assert p90.max() < 8
