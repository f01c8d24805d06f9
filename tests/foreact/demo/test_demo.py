"""The made-up chain: seeded, with habits that can be found in its sales."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet

from foreact.demo import make_chain, simulate_sales, write_demo
from foreact.demo.chain import find_easter

LAST = date(2026, 3, 31)


def test_easter_is_when_the_church_says() -> None:
    assert [find_easter(year) for year in (2000, 2019, 2024, 2026, 2038)] == [
        date(2000, 4, 23),
        date(2019, 4, 21),
        date(2024, 3, 31),
        date(2026, 4, 5),
        date(2038, 4, 25),
    ]


def test_a_day_later_the_chain_has_one_day_more_and_the_same_past() -> None:
    today = make_chain(LAST, 28)
    tomorrow = make_chain(date(2026, 4, 1), 28, days=913)
    before, after = simulate_sales(today, 3), simulate_sales(tomorrow, 3)
    np.testing.assert_array_equal(before.units, after.units[:-1])
    np.testing.assert_array_equal(before.price, after.price[:-1])
    np.testing.assert_array_equal(before.expected, after.expected[:-1])


def test_sales_follow_the_truth_but_for_empty_shelves_and_closed_days() -> None:
    chain = make_chain(LAST, 28)
    sales = simulate_sales(chain, 0)
    seen = ~sales.stockout & sales.on_sale
    assert 0.99 < sales.units[seen].sum() / sales.expected[seen].sum() < 1.01
    assert sales.units[chain.calendar == 0].sum() == 0
    assert 0.002 < sales.stockout.mean() < 0.02
    assert sales.units[sales.stockout].sum() < 0.7 * sales.expected[sales.stockout].sum()


def test_the_chain_has_what_makes_forecasting_hard() -> None:
    chain = make_chain(LAST, 28)
    assert len(set(chain.regions)) == 3
    assert len(chain.stores) == 10
    assert len(chain.items) == 50
    assert (chain.base < 0.5).sum() >= 4, "items that sell now and then"
    assert ((chain.launch > 600) & (chain.launch < chain.days)).sum() >= 4, "items launched lately"
    assert (chain.closing < chain.days).any(), "items gone out of assortment"
    assert {"Christmas Day", "Good Friday"} <= set(chain.events.tolist())


def test_files_reach_the_horizon(tmp_path: Path) -> None:
    demo = write_demo(tmp_path, LAST, 14, days=120, stores=3, items=8)
    history = pyarrow.csv.read_csv(demo.history).to_pandas()
    offers = pyarrow.parquet.read_table(demo.known[1]).to_pandas()
    assert str(history["date"].max()) == "2026-03-31"
    assert str(offers["date"].max())[:10] == "2026-04-14"
    assert len(demo.truth("Kiel", demo.chain.items[0])) == 134
    assert len(history) == history[["store", "item", "date"]].drop_duplicates().shape[0]


def test_a_large_chain_is_written_store_by_store(tmp_path: Path) -> None:
    demo = write_demo(tmp_path, LAST, 7, days=30, stores=200, items=2, parquet=True)
    history = pyarrow.parquet.read_table(demo.history)
    assert len(set(history["store"].to_pylist())) == 200
