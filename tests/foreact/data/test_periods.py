"""Weekly and monthly histories: recognised, laid out by their own dates, and never mixed."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError
from foreact.forecasting.inputs.panel import Panel
from foreact.spacing import Spacing
from tests.shops import days, take_in, write_rows

# A Thursday.
LAST = date(2025, 3, 27)
WEEKS = [LAST - timedelta(weeks=back) for back in range(39, -1, -1)]
MONTHS = [date(year, month, 1) for year in (2022, 2023, 2024) for month in range(1, 13)]
DAYS = days(280, LAST + timedelta(days=4))

TakeIn = Callable[..., Dataset]


@pytest.fixture
def ingest(tmp_path: Path) -> TakeIn:
    def run(rows: list[list[Any]], known: list[list[Any]] | None = None, header: str = "", **options: Any) -> Dataset:
        path = write_rows(tmp_path / "sales.csv", rows)
        plans = [] if known is None else [write_rows(tmp_path / "plan.csv", known, header)]
        return take_in(tmp_path, path, *plans, **{"horizon": 0, **options})

    return run


def sell(dates: list[date], *stores: str, units: float = 10) -> list[list[Any]]:
    return [[day, store, item, units] for day in dates for store in stores for item in ("x", "y")]


def panel(dataset: Dataset, store: str = "A") -> Panel:
    return dataset.pack_store(store).make_panel()


def dates(found: Panel) -> list[str]:
    return [str(day) for day in found.dates]


def test_a_weekly_history_keeps_its_own_weekday(ingest: TakeIn) -> None:
    dataset = ingest(sell(WEEKS, "A", "B"))
    assert (dataset.info.spacing, dataset.info.horizon, dataset.info.as_of) == (Spacing.WEEKLY, 8, LAST)
    assert "The history is weekly: each week is dated by its Thursday." in dataset.info.notes
    found = panel(dataset)
    assert (found.spacing, found.days, found.horizon) == (Spacing.WEEKLY, 40, 8)
    assert dates(found)[39:41] == ["2025-03-27", "2025-04-03"]
    assert (found.units[:, :40] == 10).all()
    assert np.isnan(found.units[:, 40:]).all()


@pytest.mark.parametrize("last_days", [False, True])
def test_a_monthly_history_keeps_its_place_in_the_month(ingest: TakeIn, last_days: bool) -> None:
    months = [each - timedelta(days=1) for each in MONTHS] if last_days else MONTHS
    dataset = ingest(sell(months, "A"))
    assert (dataset.info.spacing, dataset.info.horizon) == (Spacing.MONTHLY, 6)
    ahead = dates(panel(dataset))[-6:-3]
    assert ahead == (
        ["2024-12-31", "2025-01-31", "2025-02-28"] if last_days else ["2025-01-01", "2025-02-01", "2025-03-01"]
    )


def test_rows_missing_within_a_life_are_counted_by_week(ingest: TakeIn) -> None:
    """A week without any row is unknown, one with another item's row is zero."""
    rows = [row for row in sell(WEEKS, "A") if row[0] != WEEKS[20] and (row[0] != WEEKS[30] or row[2] == "y")]
    units = panel(ingest(rows)).units[0]
    assert (np.isnan(units[20]), units[30], units[31]) == (True, 0, 10)


def test_a_row_between_the_weeks_counts_for_its_own(ingest: TakeIn) -> None:
    stray = [[WEEKS[10] + timedelta(days=2), "A", "x", 3]]
    dataset = ingest(sell(WEEKS, "A") + stray)
    assert panel(dataset).units[0, 9:12].tolist() == [10, 13, 10]
    assert any("1 row of the history bear another date" in note for note in dataset.info.notes)


@pytest.mark.parametrize("as_of", ["2025-03-20", "2025-03-26"])
def test_as_of_is_a_day_of_the_last_week_that_may_be_used(ingest: TakeIn, as_of: str) -> None:
    dataset = ingest(sell(WEEKS, "A"), as_of=as_of)
    assert dataset.info.as_of == LAST - timedelta(weeks=1)
    assert dates(panel(dataset))[-8] == "2025-03-27"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (sell(WEEKS, "A", "C") + sell(DAYS, "B"), "weekly in 2 stores, but daily in 'B'"),
        (sell(DAYS, "A", "C") + sell(WEEKS, "B"), "daily in 2 stores, but weekly in 'B'"),
        (sell(MONTHS, "A", "C") + sell(WEEKS, "B"), "monthly in 2 stores, but weekly in 'B'"),
    ],
    ids=["a daily store", "a weekly store", "among monthly ones"],
)
def test_a_store_of_another_spacing_is_refused_by_name(ingest: TakeIn, rows: list[list[Any]], says: str) -> None:
    with pytest.raises(ForeactError, match=says) as refused:
        ingest(rows)
    assert "--spacing" in str(refused.value)
    # One store alone is judged by the whole history too, or it would be published beside the others.
    with pytest.raises(ForeactError, match=says):
        ingest(rows, store="A")


@pytest.mark.parametrize(
    "rows",
    [
        sell(DAYS, "A", "B") + sell([day for day in WEEKS if day.month != 12], "stall"),
        [row for place, store in enumerate("ABCD") for row in sell([day + timedelta(place) for day in WEEKS], store)],
        sell(DAYS[::5], "A") + sell(DAYS[::3], "B"),
    ],
    ids=["a stall that rests in December", "a weekday a store", "few sales"],
)
def test_stores_that_trade_on_few_days_are_daily(ingest: TakeIn, rows: list[list[Any]]) -> None:
    assert ingest(rows).info.spacing is Spacing.DAILY


def test_a_daily_history_is_summed_to_whole_weeks_if_asked(ingest: TakeIn) -> None:
    """It ends on a Monday, whose week is not whole and waits."""
    dataset = ingest(sell(DAYS, "A", units=2), spacing="weekly", missing="zero")
    found = panel(dataset)
    assert dataset.info.as_of == date(2025, 3, 24)
    assert dates(found)[found.days - 1 : found.days + 1] == ["2025-03-24", "2025-03-31"]
    assert set(found.units[0, 1 : found.days].tolist()) == {14}


def test_a_daily_plan_is_joined_by_week(ingest: TakeIn) -> None:
    """Numbers by their mean, texts by the most frequent; the week from Thursday on has four days of five."""
    plan = [
        [day, "A", 1 if day.weekday() in {5, 6} else 0, "fair" if day.weekday() == 5 else ""]
        for day in days(7 * 48, LAST + timedelta(days=8 * 7 + 6))
    ]
    dataset = ingest(sell(WEEKS, "A"), plan, "date,store,promo,event")
    found = panel(dataset)
    np.testing.assert_allclose(found.known["promo"][1:], 2 / 7, rtol=1e-6)
    assert [found.categories["event"][int(code)] for code in found.known["event"][1:]] == ["fair"] * 47
    assert any("plan.csv has rows of single days" in note for note in dataset.info.notes)


def test_a_weekly_plan_is_taken_as_it_is(ingest: TakeIn) -> None:
    plan = [[day, "A", place % 3] for place, day in enumerate([*WEEKS, LAST + timedelta(weeks=1)])]
    dataset = ingest(sell(WEEKS, "A"), plan, "date,store,promo")
    promo = panel(dataset).known["promo"]
    assert promo[:41].tolist() == [place % 3 for place in range(41)]
    assert np.isnan(promo[41:]).all()
    assert not any("single days" in note for note in dataset.info.notes)


def test_a_word_for_the_spacing_that_is_none(ingest: TakeIn) -> None:
    with pytest.raises(ForeactError, match="spacing is 'hourly'; it must be one of auto, daily, weekly, monthly"):
        ingest(sell(WEEKS, "A"), spacing="hourly")
