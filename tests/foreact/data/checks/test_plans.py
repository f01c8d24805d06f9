"""Known tables with holes: what they leave unknown, and which stores and days they close."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from foreact.forecasting import train_store
from tests.foreact.data.checks.findings import AHEAD, DAYS, Check, Rows, broken, find
from tests.shops import days, take_in, write_rows


def prices(without: Callable[[Any, str, str], bool]) -> Rows:
    every = [(day, store, item) for day in [*DAYS, *AHEAD[:7]] for store in "AB" for item in "xy"]
    return [[*key, 1.5] for key in every if not without(*key)]


@pytest.mark.parametrize(
    ("without", "rule", "named"),
    [
        (
            lambda day, store, item: day > AHEAD[2],
            "known tables cover the horizon",
            "(8 of 14): what the table holds for these days is unknown to the forecast; those that were closed before "
            "stay closed, such as store 'A', 2025-04-04, found 'no row in prices.csv'",
        ),
        (
            lambda day, store, item: day > DAYS[-1],
            "known tables reach the horizon",
            "(14 of 14): bring the table's rows of the days ahead, or leave the table out of --known",
        ),
        (
            lambda day, store, item: day > DAYS[-1] and store == "B",
            "stores stay in known tables",
            "such as store 'B', 2025-04-01",
        ),
        (lambda day, store, item: store == "B", "stores stay in known tables", "such as store 'B', 2025-04-01"),
        (
            lambda day, store, item: day == AHEAD[3] and (store, item) == ("B", "y"),
            "known tables cover the horizon",
            "such as store 'B', item 'y', 2025-04-04",
        ),
        (
            lambda day, store, item: day > AHEAD[3] and (store, item) == ("B", "y"),
            "items stay in known tables",
            "such as store 'B', item 'y', 2025-04-05",
        ),
        (lambda day, store, item: day > DAYS[30] and (store, item) == ("B", "y"), "", ""),
        (lambda day, store, item: day.day % 3 > 0, "", ""),
        (lambda day, store, item: day <= DAYS[-1] and day.year > 0, "", "only ahead"),
    ],
    ids=[
        "ends early",
        "ends before",
        "one store ends early",
        "one store lacks",
        "a gap",
        "gone later",
        "gone before",
        "exceptions only",
        "only ahead",
    ],
)
def test_a_known_table_with_holes_is_told_of_and_refused_only_when_out_of_date(
    check: Check, rows: Rows, tmp_path: Path, without: Callable[[Any, str, str], bool], rule: str, named: str
) -> None:
    only_ahead = named == "only ahead"
    if only_ahead:
        rows = [[*row, 1.5] for row in rows]
    header = "date,store,item,units" + (",price" if only_ahead else "")
    known = write_rows(tmp_path / "prices.csv", prices(without), "date,store,item,price")
    outcome = check(rows, known, header=header)
    assert broken(outcome) == ({rule} if rule else set())
    assert bool(outcome.problem) == (rule == "known tables reach the horizon")
    if rule:
        assert named in find(outcome, rule).describe()


def test_a_store_without_plan_is_forecast_without_the_table(check: Check, rows: Rows, tmp_path: Path) -> None:
    """The other store keeps it; a calendar of both stays in the data of both."""
    plan = [[day, store, day.day % 2] for day in [*DAYS, *AHEAD[:7]] for store in "AB" if store == "A" or day in DAYS]
    known = write_rows(tmp_path / "plan.csv", plan, "date,store,promotion")
    calendar = write_rows(tmp_path / "days.csv", [[day, day.day % 5] for day in [*DAYS, *AHEAD[:7]]], "date,feast")
    outcome = check(rows, known, calendar)
    assert outcome.problem == ""
    told = find(outcome, "stores stay in known tables").describe()
    assert "the store is forecast without the table, such as store 'B', 2025-04-01" in told
    before, after = take_in(tmp_path, tmp_path / "sales.csv", known, calendar), outcome.checked
    columns = {store: set(after.pack_store(store).make_panel().known) for store in "AB"}
    assert columns == {"A": {"promotion", "feast"}, "B": {"feast"}}
    assert before.info.stores["A"] == after.info.stores["A"]
    assert before.info.stores["B"].sha256 != after.info.stores["B"].sha256


def test_days_ahead_without_plan_are_closed_where_the_past_says_so(check: Check, tmp_path: Path) -> None:
    """No till and no plan has ever had a row of Christmas Day."""
    every = days(800, date(2024, 12, 21))
    ahead = days(7, date(2024, 12, 28))
    rows = [[day, "A", "x", 20 + day.weekday()] for day in every if (day.month, day.day) != (12, 25)]
    plan = [[day, day.day % 3 % 2] for day in every if (day.month, day.day) != (12, 25)]
    plan += [[day, day.day % 3 % 2] for day in ahead if day.day not in (25, 26)]
    known = write_rows(tmp_path / "plan.csv", plan, "date,promotion")
    outcome = check(rows, known, limits={"today": date(2024, 12, 22)})
    assert outcome.problem == ""
    assert broken(outcome) == {"known tables cover the horizon"}
    mean = train_store(outcome.checked.pack_store("A").make_panel()).forecast.mean[0]
    assert (mean > 0).tolist() == [day.day != 25 for day in ahead]


def test_a_list_of_holidays_needs_no_row_a_day(check: Check, rows: Rows, tmp_path: Path) -> None:
    calendar = write_rows(tmp_path / "calendar.csv", [[DAYS[5], "fair"], [AHEAD[2], "fair"]], "date,event")
    assert check(rows, calendar).problem == ""
