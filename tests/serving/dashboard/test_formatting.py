"""Numbers, days and moments as planners read them."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from serving.dashboard import formatting
from serving.dashboard.columns import Unit
from serving.dashboard.formatting import MINUS, NARROW

NOTHING = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (formatting.format_units, 1234.5, "1,234"),
        (formatting.format_units, 9.95, "10"),
        (formatting.format_units, 9.94, "9.9"),
        (formatting.format_units, 0.0, "0"),
        (formatting.format_units, -0.04, "0.0"),
        (formatting.format_units, -12.0, f"{MINUS}12"),
        (formatting.format_units, math.nan, NOTHING),
        (
            formatting.format_experts,
            {"store": 0.296, "chain": 0.7, "smoothing": 0.004},
            f"the chain's model 70{NARROW}%, the store's own model 30{NARROW}%",
        ),
        (formatting.format_percent, 0.816, f"82{NARROW}%"),
        (formatting.format_percent, None, NOTHING),
        (formatting.format_change, 0.128, f"+13{NARROW}%"),
        (formatting.format_change, -12.0, f"{MINUS}1,200{NARROW}%"),
        (formatting.format_change, -0.001, f"±0{NARROW}%"),
        (formatting.format_change, None, NOTHING),
        (formatting.format_points, 0.128, "+13"),
        (formatting.format_points, -0.25, f"{MINUS}25"),
        (formatting.format_points, 0.001, "0"),
        (formatting.format_day, date(2026, 3, 2), "Mon 2 Mar"),
        (formatting.format_day, "2026-03-02", "Mon 2 Mar"),
        (formatting.format_age, timedelta(seconds=59), "just now"),
        (formatting.format_age, timedelta(minutes=1), "1 minute ago"),
        (formatting.format_age, timedelta(hours=23, minutes=59), "23 hours ago"),
        (formatting.format_age, timedelta(days=1), "1 day ago"),
        (formatting.format_age, timedelta(days=12), "12 days ago"),
    ],
)
def test_a_value_is_written_as_people_read_it(write: Callable[[Any], str], value: object, text: str) -> None:
    assert write(value) == text


@pytest.mark.parametrize(
    ("value", "other", "text"),
    [(120.6, 100.4, "21"), (9.94, 3.0, "6.9"), (100.0, 120.0, f"{MINUS}20"), (0.0, 0.0, "0")],
)
def test_a_difference_adds_up_with_what_is_written(value: float, other: float, text: str) -> None:
    assert formatting.format_difference(value, other) == text


def test_a_moment_is_on_the_retailers_clock() -> None:
    moment = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    assert formatting.format_moment(moment, ZoneInfo("Europe/Berlin")) == "Sun 29 Mar 2026, 00:30"


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("text", "North", "North"),
        ("units", 1234.5, "1,234"),
        ("share", 0.128, f"+13{NARROW}%"),
        ("share", None, NOTHING),
        ("count", 3_049, "3,049"),
        ("day", date(2026, 3, 2), "Mon 2 Mar"),
        ("moment", datetime(2026, 3, 2, 4, tzinfo=UTC), "4 hours ago"),
    ],
)
def test_a_cell_is_written_in_the_unit_of_its_column(unit: Unit, value: object, text: str) -> None:
    assert formatting.format_cell(value, unit, datetime(2026, 3, 2, 8, tzinfo=UTC)) == text
