"""Days and items beside what they brought before."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from serving.analysis.comparison import compare_levels, prepare_totals
from serving.analysis.daily_units import count_known_days
from serving.analysis.item_table import tabulate_items
from serving.analysis.weekdays import compare_weekdays
from tests.serving import shop
from tests.serving.analysis.conftest import Load


def test_days_are_compared_with_the_same_weekdays_of_the_last_eight_weeks(load: Load) -> None:
    stores = list(load(["S1", "S2"]).values())
    comparison = compare_weekdays(stores, stores[0].dates)
    assert comparison.change.shape == (2, 14)
    for row, arrays in enumerate(stores):
        # The last day of the second week ahead is a Sunday, as the last one sold is.
        usual = arrays.past_total[-56:][6::7].mean()
        assert comparison.change[row, -1] == pytest.approx(arrays.total_mean[-1] / usual - 1, abs=1e-6)
        assert comparison.expected[row].tolist() == arrays.total_mean.tolist()


def test_days_without_usual_weekdays_are_compared_with_nothing(load: Load) -> None:
    tables = shop.make_tables("S1")
    del tables["history"]
    arrays = load(["S1"], tables={"S1": tables})["S1"]
    assert np.isnan(compare_weekdays([arrays], arrays.dates).change).all()


@pytest.mark.parametrize(("kept", "known"), [(60, 56), (10, 10)])
def test_known_days_are_those_of_the_last_eight_weeks(load: Load, kept: int, known: int) -> None:
    tables = shop.make_tables("S1")
    history = tables["history"]
    before = pa.scalar(shop.AS_OF - timedelta(days=kept), pa.date32())
    tables["history"] = history.filter(pc.greater(history["date"], before))
    assert count_known_days(load(["S1"], tables={"S1": tables})["S1"]) == known


def test_the_items_table_has_a_value_an_item_in_every_column(load: Load) -> None:
    arrays = load(["S1"])["S1"]
    table = tabulate_items(arrays)
    assert {len(column) for column in table.values()} == {len(arrays.items)}
    assert table["expected"] == pytest.approx(arrays.mean[:, :7].sum(1), abs=0.01)
    assert table["recent"] == pytest.approx(arrays.past[:, -28:].sum(1) / 4, abs=0.01)
    busiest = arrays.mean[:, :7].argmax(1)
    assert table["peak_day"] == [arrays.days[place] for place in busiest]
    assert tabulate_items(arrays) is table


def test_totals_compared_at_once_are_those_compared_one_by_one(load: Load) -> None:
    tables = {"S2": shop.make_tables("S2"), "S3": shop.make_tables("S3", horizon=10)}
    del tables["S2"]["history"]
    stores = load(["S1", "S2", "S3", "S4"], tables=tables)
    single = {store: compare_levels(arrays, total=True) for store, arrays in stores.items()}
    for arrays in stores.values():
        arrays.derived.clear()
    prepare_totals(stores.values())
    for store, arrays in stores.items():
        found = arrays.derived["levels"]
        assert found.days == single[store].days
        for name in ("expected", "deviation", "recent", "last_year", "normal_delivery", "peak"):
            assert getattr(found, name) == pytest.approx(getattr(single[store], name), nan_ok=True)
