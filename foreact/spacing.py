"""How far apart the dates of a history lie: days, weeks or months; and which period a date belongs to."""

from datetime import date, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Dates = NDArray[np.datetime64]


class Spacing(StrEnum):
    """The length of one period, which bears the user's own date: a week any weekday, a month any day, such as its last.

    A week runs from its date for seven days. A month that bears its last day is the calendar month, any other runs from
    its date to the day before the next month's.
    """

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def period(self) -> str:
        """What people call one period."""
        return {Spacing.DAILY: "day", Spacing.WEEKLY: "week", Spacing.MONTHLY: "month"}[self]

    @property
    def usual_horizon(self) -> int:
        """How many periods ahead are forecast if nobody says otherwise."""
        return {Spacing.DAILY: 28, Spacing.WEEKLY: 8, Spacing.MONTHLY: 6}[self]

    @property
    def window(self) -> int:
        """The periods that planners look at first: a week's days, four weeks, or three months."""
        return {Spacing.DAILY: 7, Spacing.WEEKLY: 4, Spacing.MONTHLY: 3}[self]

    @property
    def past(self) -> int:
        """The periods just past that are published and compared with: eight windows."""
        return 8 * self.window

    @property
    def week(self) -> int:
        """The periods of the short cycle: the seven days of a week; longer periods have none."""
        return {Spacing.DAILY: 7, Spacing.WEEKLY: 1, Spacing.MONTHLY: 1}[self]

    @property
    def year(self) -> int:
        """The periods of the yearly cycle, in whole short ones."""
        return {Spacing.DAILY: 364, Spacing.WEEKLY: 52, Spacing.MONTHLY: 12}[self]

    @property
    def month(self) -> int:
        """The periods of four weeks, or of a month."""
        return {Spacing.DAILY: 28, Spacing.WEEKLY: 4, Spacing.MONTHLY: 1}[self]

    @property
    def days(self) -> int:
        """The days of one period, of a month as a rule."""
        return {Spacing.DAILY: 1, Spacing.WEEKLY: 7, Spacing.MONTHLY: 30}[self]

    def list_dates(self, first: np.datetime64, periods: int) -> Dates:
        """Return the dates of so many consecutive periods, the first of which bears the date `first`."""
        return self.date_periods(first, np.arange(periods))

    def date_periods(self, first: np.datetime64, positions: NDArray[np.integer]) -> Dates:
        """Return the dates of the periods at these positions from the one that bears the date `first`."""
        day = first.astype("datetime64[D]")
        if self is not Spacing.MONTHLY:
            return np.asarray(day + positions * (7 if self is Spacing.WEEKLY else 1))
        month = day.astype("datetime64[M]")
        starts = (month + positions).astype("datetime64[D]")
        lengths = ((month + positions + 1).astype("datetime64[D]") - starts).astype(np.int64)
        return np.asarray(starts + (lengths - 1 if _ends_month(day) else np.minimum(_day_of_month(day), lengths - 1)))

    def count_periods(self, first: np.datetime64, dates: Dates) -> NDArray[np.int64]:
        """Return the position of each date's period, counted from the one that bears the date `first`."""
        day = first.astype("datetime64[D]")
        dates = np.asarray(dates).astype("datetime64[D]")
        if self is not Spacing.MONTHLY:
            return np.asarray((dates - day).astype(np.int64) // (7 if self is Spacing.WEEKLY else 1))
        months = (dates.astype("datetime64[M]") - day.astype("datetime64[M]")).astype(np.int64)
        return np.asarray(months if _ends_month(day) else months - (dates < self.date_periods(day, months)))

    def start_periods(self, first: np.datetime64, dates: Dates) -> Dates:
        """Return, for each date, the date that its period bears."""
        return self.date_periods(first, self.count_periods(first, dates))

    def next_period(self, day: date, periods: int = 1) -> date:
        """Return the date that the period bears which comes so many periods after the one that bears `day`."""
        moved: date = self.date_periods(np.datetime64(day), np.array([periods]))[0].astype(object)
        return moved

    def last_day(self, day: date) -> date:
        """Return the last day of the period that bears the date `day`."""
        if self is Spacing.DAILY or (self is Spacing.MONTHLY and _ends_month(np.datetime64(day, "D"))):
            return day
        return self.next_period(day) - timedelta(days=1)


def _ends_month(day: np.datetime64) -> bool:
    return bool((day + 1).astype("datetime64[M]") != day.astype("datetime64[M]"))


def _day_of_month(day: np.datetime64) -> int:
    return int((day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64))
