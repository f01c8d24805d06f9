"""Holidays are known by the place that a store's attributes or the run names, unless the user brings a calendar."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from foreact.data.checks.coverage import check_coverage
from foreact.data.dataset.stored import Dataset
from foreact.data.reading.calendars import Place, list_school_holidays, name_holidays
from foreact.errors import ForeactError
from foreact.forecasting.inputs.columns import infer_columns
from tests.shops import days, take_in, write_rows

DAYS = days(500)
AHEAD = days(528, date(2025, 4, 28))
Intake = Callable[..., Dataset]


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    history = write_rows(tmp_path / "s.csv", [(day, store, "x", 5) for day in DAYS for store in "AB"])
    return lambda *known, **options: take_in(tmp_path, history, *known, horizon=28, **options)


def named(dataset: Dataset, store: str) -> dict[str, str]:
    """Return the names of the days that are holidays of a store."""
    panel = dataset.pack_store(store).make_panel()
    codes = panel.known["public holiday"].astype(int)
    names = panel.categories["public holiday"]
    return {str(day): names[code] for day, code in zip(panel.dates, codes, strict=True) if code >= 0}


def test_a_country_names_the_holidays_of_history_and_horizon(intake: Intake) -> None:
    dataset = intake(country="de-sh")
    holidays = named(dataset, "A")
    assert holidays["2024-03-29"] == holidays["2025-04-18"] == "Good Friday"
    assert holidays["2024-10-31"] == "Reformation Day"
    panel = dataset.pack_store("B").make_panel()
    columns = infer_columns(panel)
    assert "Good Friday" in columns.events["public holiday"]
    assert columns.flags == {"school holiday": 1.0}
    free = panel.dates[panel.known["school holiday"] == 1].astype(str)
    assert {"2024-07-22", "2025-04-11", "2025-04-25"} <= set(free)
    assert "The calendar of DE-SH is used: public holidays and school holidays." in dataset.info.notes


def test_the_attributes_of_a_store_go_before_the_country_of_the_run(tmp_path: Path, intake: Intake) -> None:
    stores = write_rows(tmp_path / "stores.csv", [("A", "DE", "BY"), ("B", "", "north")], "store,Country,region")
    dataset = intake(stores, country="FR")
    assert named(dataset, "A")["2025-01-06"] == "Epiphany"
    assert "2025-01-06" not in named(dataset, "B")
    assert named(dataset, "B")["2024-07-14"] == "National Day"
    assert np.isnan(dataset.pack_store("B").make_panel().known["school holiday"]).all()


def test_a_store_without_a_place_has_no_holidays_and_lacks_no_rows(tmp_path: Path, intake: Intake) -> None:
    dataset = intake(write_rows(tmp_path / "stores.csv", [("A", "DE-BY"), ("B", "")], "store,region"))
    assert named(dataset, "A")["2025-01-06"] == "Epiphany"
    assert named(dataset, "B") == {}
    assert {row["covered"] for row in check_coverage(dataset)} == {"yes"}


def test_a_country_that_is_no_code_is_told_and_left_to_the_run(tmp_path: Path, intake: Intake) -> None:
    stores = write_rows(tmp_path / "stores.csv", [("A", "Germany"), ("B", "Germany")], "store,country")
    dataset = intake(stores)
    assert "public holiday" not in dataset.pack_store("A").make_panel().known
    (note,) = [note for note in dataset.info.notes if "Germany" in note]
    assert "--country" in note


def test_a_calendar_of_the_user_wins(tmp_path: Path, intake: Intake) -> None:
    feasts = name_holidays(Place("DE"), AHEAD)
    mine = write_rows(
        tmp_path / "mine.csv", [(day, "closed day" if day in feasts else "none") for day in AHEAD], "date,kind"
    )
    dataset = intake(mine, country="DE")
    assert list(dataset.pack_store("A").make_panel().known) == ["kind"]
    assert any("'kind'" in note and "left out" in note for note in dataset.info.notes)


def test_what_names_no_holiday_stands_beside_them(tmp_path: Path, intake: Intake) -> None:
    feasts = name_holidays(Place("DE"), AHEAD)
    rows = [(day, int(day in feasts), "sale" if day.day < 8 else "none") for day in AHEAD]
    dataset = intake(write_rows(tmp_path / "mine.csv", rows, "date,is_holiday,promotion"), country="DE")
    columns = infer_columns(dataset.pack_store("A").make_panel())
    assert columns.events.keys() == {"promotion", "public holiday"}
    assert columns.flags.keys() == {"is_holiday"}


@pytest.mark.parametrize("country", ["XX", "Germany", "DE-XX", "JP-1"])
def test_a_country_that_nobody_knows_is_refused(intake: Intake, country: str) -> None:
    with pytest.raises(ForeactError, match=f"^--country '{country}' is not known: write "):
        intake(country=country)


def test_one_feast_has_one_name_in_all_years() -> None:
    years = [date.fromordinal(day) for day in range(date(2008, 1, 1).toordinal(), date(2026, 1, 1).toordinal())]
    # Of Ascension and Labour Day in 2008, the name that comes first.
    assert name_holidays(Place("DE"), years)[date(2008, 5, 1)] == "Ascension Day"
    assert name_holidays(Place("US"), years)[date(2022, 12, 31)] == "New Year's Eve"
    assert name_holidays(Place("US"), years)[date(2022, 12, 26)] == "Observed holiday"
    assert not any("estimated" in name for name in name_holidays(Place("TR"), years).values())


def test_school_holidays_are_known_in_every_year_or_not_at_all() -> None:
    years = [date(2016, 12, 1), date(2024, 7, 22)]
    assert list_school_holidays(Place("DE", "SH"), years)
    assert not list_school_holidays(Place("FR", "Zone A"), years)
    assert not list_school_holidays(Place("US"), years)


def test_a_holiday_names_the_week_that_it_is_in(tmp_path: Path) -> None:
    history = write_rows(tmp_path / "s.csv", [(day, "A", "x", 5) for day in DAYS if day.weekday() == 0])
    dataset = take_in(tmp_path, history, country="DE", horizon=8)
    weeks = named(dataset, "A")
    assert weeks["2024-05-06"] == "Ascension Day"
    assert weeks["2024-12-23"] == "Christmas Day"
    assert weeks["2025-04-14"] == "Good Friday"
    assert weeks["2025-04-21"] == "Easter Monday"
    assert "2025-05-05" not in weeks
