"""Which days are taken for sold out, on made-up items that sell fast."""

from collections.abc import Callable

import numpy as np
import pytest

from foreact.forecasting.inputs.arrays import Floats
from foreact.forecasting.inputs.stockouts import find_stockouts, resume_stockouts

DAYS = 400
DAY = np.arange(DAYS)


def make_units() -> Floats:
    """Return nine items: the first sells about twelve a day and more on weekends, all of them make the store."""
    rng = np.random.default_rng(5)
    week = np.where(DAY % 7 < 5, 0.8, 1.5)
    rate = np.array([12, 30, 25, 20, 14, 9, 5, 1, 0.3])[:, None] * week
    return rng.poisson(rate * rng.gamma(20, 1 / 20, rate.shape)).astype(np.float32)


def sell_out(units: Floats) -> None:
    units[0, 300:303] = 0


def run_out_at_noon(units: Floats) -> None:
    units[0, 299] = 3
    units[0, 300:303] = 0


def sell_out_thrice(units: Floats) -> None:
    for begin in (300, 320, 396):
        units[0, begin : begin + 4] = 0


def sell_out_around_a_closed_day(units: Floats) -> None:
    units[0, 300:305] = 0
    units[:, 302] = 0


def leave_the_shelf(units: Floats) -> None:
    units[0, 300:] = 0


def fade_away(units: Floats) -> None:
    units[0] = np.round(units[0] * np.clip((310 - DAY) / 60, 0, 1))


def rest_on_sundays(units: Floats) -> None:
    units[0, DAY % 7 == 6] = 0


def sell_by_promotion(units: Floats) -> None:
    units[0] = np.where(DAY % 28 < 7, units[0] * 4, 0)


def close_the_store(units: Floats) -> None:
    units[:, 300:303] = 0


def snow_in(units: Floats) -> None:
    units[:, 300:303] = np.where(units[:, 300:303] > 20, 1, 0)


def know_nothing(units: Floats) -> None:
    units[0, 300:303] = np.nan


@pytest.mark.parametrize(
    ("change", "doubted"),
    [
        (sell_out, [300, 301, 302]),
        (run_out_at_noon, [299, 300, 301, 302]),
        (sell_out_thrice, [*range(300, 304), *range(320, 324), *range(396, 400)]),
        (sell_out_around_a_closed_day, [300, 301, 303, 304]),
        *((change, []) for change in (leave_the_shelf, fade_away, rest_on_sundays, sell_by_promotion)),
        *((change, []) for change in (close_the_store, snow_in, know_nothing)),
    ],
)
def test_only_what_the_rate_makes_next_to_impossible(change: Callable[[Floats], None], doubted: list[int]) -> None:
    units = make_units()
    change(units)
    found = find_stockouts(units)
    assert np.flatnonzero(found[0]).tolist() == doubted
    assert not found[1:].any()


def test_what_comes_after_a_run_changes_nothing() -> None:
    units = make_units()
    sell_out(units)
    later = units.copy()
    later[:, 310:] = 0
    assert (find_stockouts(later)[:, :310] == find_stockouts(units)[:, :310]).all()
    assert find_stockouts(units[:, :0]).shape == (9, 0)
    assert find_stockouts(units[:0]).shape == (0, DAYS)


def test_a_look_that_is_resumed_finds_the_same() -> None:
    rng = np.random.default_rng(5)
    units = make_units()
    for row in range(len(units)):
        for start in rng.integers(60, DAYS - 30, 12):
            units[row, start : start + rng.integers(1, 9)] = 0
    units[rng.random(units.shape) < 0.1] = np.nan
    everything = find_stockouts(units)
    assert everything[:7].any(axis=1).all()
    for cut in range(250, DAYS, 7):
        sold = [np.flatnonzero(row[:cut] > 0)[-1] for row in units]
        window = np.arange(DAYS) >= cut - 84
        settled = everything & (np.arange(DAYS) < np.array(sold)[:, None])
        found = resume_stockouts(units[:, window], settled[:, window], np.array(sold) - (cut - 84))
        assert found is not None
        assert (found == everything[:, window]).all()


def test_a_run_that_begins_before_all_days_is_not_judged_by_them() -> None:
    units = make_units()
    units[0, 250:340] = np.nan
    units[0, [240, 245]] = 0
    units[0, 246:340] = np.nan
    since = np.full(len(units), -1)
    assert resume_stockouts(units[:, 240:], np.zeros_like(units[:, 240:], bool), since) is None
