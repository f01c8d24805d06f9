"""Periods bear the user's own dates."""

import numpy as np
import pytest

from foreact.spacing import Spacing


@pytest.mark.parametrize(
    ("spacing", "first", "dates"),
    [
        (Spacing.DAILY, "2024-02-28", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        (Spacing.WEEKLY, "2024-02-22", ["2024-02-22", "2024-02-29", "2024-03-07"]),
        (Spacing.MONTHLY, "2023-12-01", ["2023-12-01", "2024-01-01", "2024-02-01"]),
        (Spacing.MONTHLY, "2024-01-31", ["2024-01-31", "2024-02-29", "2024-03-31"]),
        # The last day of a month stays the last, whatever its number.
        (Spacing.MONTHLY, "2024-02-29", ["2024-02-29", "2024-03-31", "2024-04-30"]),
        (Spacing.MONTHLY, "2024-01-15", ["2024-01-15", "2024-02-15", "2024-03-15"]),
    ],
)
def test_periods_follow_each_other_on_the_users_own_dates(spacing: Spacing, first: str, dates: list[str]) -> None:
    listed = spacing.list_dates(np.datetime64(first), len(dates))
    assert listed.astype(str).tolist() == dates
    assert spacing.count_periods(np.datetime64(first), listed).tolist() == list(range(len(dates)))


@pytest.mark.parametrize(
    ("spacing", "first", "day", "start"),
    [
        (Spacing.WEEKLY, "2024-02-22", "2024-02-28", "2024-02-22"),
        (Spacing.WEEKLY, "2024-02-22", "2024-02-21", "2024-02-15"),
        (Spacing.MONTHLY, "2024-01-31", "2024-02-01", "2024-02-29"),
        (Spacing.MONTHLY, "2024-01-01", "2024-02-29", "2024-02-01"),
        (Spacing.MONTHLY, "2024-01-15", "2024-03-14", "2024-02-15"),
        (Spacing.MONTHLY, "2024-01-15", "2023-12-20", "2023-12-15"),
    ],
)
def test_a_day_belongs_to_one_period(spacing: Spacing, first: str, day: str, start: str) -> None:
    found = spacing.start_periods(np.datetime64(first), np.array([day], dtype="datetime64[D]"))
    assert found.astype(str).tolist() == [start]
