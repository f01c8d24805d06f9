"""What was sold on dates before the first one ahead; dates are those of days, weeks or months."""

from typing import Protocol

import numpy as np

from foreact.outlines.tables import Days, Floats
from foreact.spacing import Spacing


class Dated(Protocol):
    """A store with its dates ahead, and those of which it is known what was sold."""

    @property
    def spacing(self) -> Spacing:
        """Return whether the dates are of days, weeks or months."""

    @property
    def dates(self) -> Days:
        """Return the dates ahead."""

    @property
    def past_dates(self) -> Days:
        """Return the dates past, in order."""


def list_past_dates(store: Dated, first: int, end: int = 0) -> Days:
    """Return the dates of periods before the first one ahead, by their places from it: -1 is the last known one."""
    return store.spacing.date_periods(store.dates[0], np.arange(first, end))


def move_back_a_year(spacing: Spacing, dates: Days) -> Days:
    """Return the dates of the same periods a year before; of days, the same weekdays."""
    return spacing.date_periods(dates[0], np.arange(len(dates)) - spacing.year)


def units_sold_on(store: Dated, past: Floats, days: Days) -> Floats:
    """Return what was sold on some days, NaN where that is not known."""
    if not len(store.past_dates):
        return np.full((len(past), len(days)), np.nan, np.float32)
    places = np.minimum(np.searchsorted(store.past_dates, days), len(store.past_dates) - 1)
    return np.where(store.past_dates[places] == days, past[:, places], np.float32(np.nan))
