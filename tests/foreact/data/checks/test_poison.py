"""Units that no day can have sold: set aside as unknown and told; promotions, feasts and openings are not."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from foreact.data.checks.poison import find_impossible
from tests.foreact.data.checks.findings import DAYS, Check, Rows, broken, find

EAN = 40_123_455


@pytest.mark.parametrize("units", [EAN, 999_999_999_999, 8_000])
def test_one_poisoned_cell_is_an_unknown_day(check: Check, rows: Rows, tmp_path: Path, units: int) -> None:
    rows[8 * 4][3] = units
    outcome = check(rows)
    assert outcome.problem == ""
    assert broken(outcome) == {"units are possible"}
    assert str(find(outcome, "units are possible").samples[0]).startswith(f"store 'A', item 'x', {DAYS[8]}, found")
    units_read = outcome.checked.pack_store("A").make_panel().units[:, :40]
    assert np.argwhere(np.isnan(units_read)).tolist() == [[0, 8]]
    assert np.nanmax(units_read) < 20
    told = list(csv.DictReader((tmp_path / "rejected.csv").read_text().splitlines()))
    assert [(row["rule"], row["date"]) for row in told] == [("units are possible", str(DAYS[8]))]


def test_the_largest_integer_is_no_number_of_units(check: Check, rows: Rows, tmp_path: Path) -> None:
    rows[8 * 4][3] = 2**63 - 1
    table = {name: [row[place] for row in rows] for place, name in enumerate(("date", "store", "item", "units"))}
    (tmp_path / "sales").mkdir()
    pa.parquet.write_table(pa.table(table), tmp_path / "sales" / "sales.parquet")
    from tests.shops import take_in

    info = take_in(tmp_path / "taken", tmp_path / "sales").info
    assert info.rejected == {"units that are not a number, or beyond 1e12": 1}


def test_a_whole_day_in_another_unit_is_unknown(check: Check, rows: Rows, tmp_path: Path) -> None:
    for row in rows:
        if row[0] == DAYS[-1] and row[1] == "A":
            row[3] *= 1000
    outcome = check(rows, limits={"max_rejected_share": 0.05})
    assert outcome.problem == ""
    assert find(outcome, "units are possible").broken == 2
    units = outcome.checked.pack_store("A").make_panel().units[:, :40]
    assert np.isnan(units[:, -1]).all()
    assert np.isfinite(units[:, :-1]).all()


@pytest.mark.parametrize("units", [0, "", "null"])
def test_rows_without_one_unit_are_refused(check: Check, rows: Rows, units: object) -> None:
    outcome = check([[*row[:3], units] for row in rows])
    assert "something was sold" in broken(outcome)
    assert "units are blank or 0 in every row" in outcome.problem
    assert "1969" not in outcome.problem


def test_last_days_that_are_blank_in_all_stores_are_refused_and_in_one_are_not(check: Check, rows: Rows) -> None:
    outcome = check([[*row[:3], ""] if row[0] >= DAYS[-2] else row for row in rows])
    assert broken(outcome) == {"the last day has units"}
    assert f"run with --as-of {DAYS[-3]}" in outcome.problem
    outcome = check([[*row[:3], ""] if row[0] >= DAYS[-2] and row[1] == "A" else row for row in rows])
    assert "the last day has units" not in broken(outcome)


def test_sales_of_closed_days_are_told_and_believed(check: Check, rows: Rows, tmp_path: Path) -> None:
    """A store is marked as closed on all days, and shut on two of them."""
    shut = DAYS[10:12]
    marked = [[*row[:3], 0 if row[0] in shut else row[3], 0 if row[1] == "A" else 1] for row in rows]
    outcome = check(marked, header="date,store,item,units,open")
    told = find(outcome, "closed days sell nothing")
    assert (told.broken, str(told.samples[0])) == (38, f"store 'A', {DAYS[0]}")
    assert outcome.problem == ""
    opened = outcome.checked.pack_store("A").make_panel().open
    assert opened is not None
    assert np.flatnonzero(~opened[0, :40]).tolist() == [10, 11]


@pytest.mark.parametrize("factor", [1, 3, 8])
def test_what_shops_do_is_possible(factor: int) -> None:
    """A steady store with a feast, an item with a promotion, and an item that opens with a bulk order."""
    draw = np.random.default_rng(3)
    units = draw.poisson(10, (30, 200)).astype(np.float32)
    units[:, 100] *= factor
    units[3, 50:57] = 10 * factor * 4
    units[29] = np.nan
    units[29, 195:] = 500
    item, day = np.indices(units.shape)
    assert not find_impossible(item.ravel(), day.ravel(), units.ravel()).any()
