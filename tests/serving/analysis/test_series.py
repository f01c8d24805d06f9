"""Stores' totals added up by day, and their coming week in a few numbers."""

from datetime import timedelta

import numpy as np
import pytest

from serving.analysis.series import find_stores_in_step, item_series, sum_totals
from serving.analysis.week import summarize_week
from serving.publication import StoreData
from tests.serving import shop
from tests.serving.analysis.conftest import Load


def sold_on(arrays: StoreData, day: str) -> float:
    return float(arrays.past_total[arrays.past_days.index(day)])


def test_totals_are_added_up_on_the_days_that_every_store_covers(load: Load) -> None:
    load(["S1"], run="run-1", as_of=shop.AS_OF - timedelta(days=1))
    first, second = load(["S2"], run="run-2").values()
    series = sum_totals([first, second])
    assert series.dates == list(second.days[:-1])
    assert series.mean == pytest.approx(first.total_mean[1:] + second.total_mean[:-1], abs=0.01)
    assert series.high == pytest.approx(first.total_p90[1:] + second.total_p90[:-1], abs=0.01)
    assert series.bands == 2
    # The older store's sales end a day before, so the sum of that day is not known.
    assert series.past_dates[-1] == "2026-03-01"
    assert series.past[-1] is None
    assert series.past[-2] == sold_on(first, "2026-02-28") + sold_on(second, "2026-02-28")
    assert series.last_year[0] == sold_on(first, "2025-03-03") + sold_on(second, "2025-03-03")


@pytest.mark.parametrize(("days", "left"), [(7, ["S1", "S2"]), (8, ["S2"]), (40, ["S2"])])
def test_a_store_that_does_not_cover_the_newest_week_is_out_of_step(load: Load, days: int, left: list[str]) -> None:
    load(["S1"], run="run-1", as_of=shop.AS_OF - timedelta(days=days))
    stores = load(["S2"], run="run-2")
    assert [arrays.store for arrays in find_stores_in_step(list(stores.values()))] == left


def test_a_week_is_the_sum_of_its_days_and_its_band_that_of_its_stores(load: Load) -> None:
    stores = list(load(["S1", "S2"]).values())
    together = summarize_week(stores, sum_totals(stores))
    alone = [summarize_week([arrays], sum_totals([arrays])) for arrays in stores]
    assert (together.days, together.first, together.last) == (7, "2026-03-02", "2026-03-08")
    assert together.expected == pytest.approx(sum(week.expected for week in alone), abs=0.1)
    assert together.high - together.expected == pytest.approx(sum(week.high - week.expected for week in alone))
    # The made-up stores sell most on Saturdays.
    assert together.peak_day == "2026-03-07"
    assert together.against_recent == pytest.approx(together.expected / together.recent - 1)


def test_without_sales_a_week_is_compared_with_nothing(load: Load) -> None:
    tables = shop.make_tables("S1")
    del tables["history"]
    arrays = load(["S1"], tables={"S1": tables})["S1"]
    week = summarize_week([arrays], sum_totals([arrays]))
    assert (week.recent, week.last_year, week.against_recent, week.against_last_year) == (None, None, None, None)


def test_an_items_series_is_its_row(load: Load) -> None:
    arrays = load(["S1"])["S1"]
    series = item_series(arrays, 3)
    assert series.mean == pytest.approx(arrays.mean[3], abs=0.01)
    assert series.past == arrays.past[3][-56:].tolist()
    assert series.past_dates == list(arrays.past_days[-56:])
    assert series.last_year[0] == arrays.past[3][arrays.past_dates == np.datetime64("2025-03-03")][0]
