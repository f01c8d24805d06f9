"""The same day in earlier years: by its date, or by its distance from Easter Sunday."""

from functools import cache

import numpy as np
from dateutil.easter import easter
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Bools, Dates

# Days from Easter Sunday that are kept somewhere: Shrove Monday to Ash Wednesday, Maundy Thursday to Easter Monday,
# Ascension and the day after it, Whit Sunday and Monday, Corpus Christi.
MOVABLE = (-48, -47, -46, -3, -2, -1, 0, 1, 39, 40, 49, 50, 60)

# Of no dates at all.
USUAL_YEAR = 2000


def earlier_dates(dates: Dates, years: int) -> Dates:
    """Return the same dates so many years before."""
    month = dates.astype("datetime64[M]")
    return np.asarray((month - 12 * years).astype("datetime64[D]") + (dates.astype("datetime64[D]") - month))


def earlier_feasts(dates: Dates, years: int) -> Dates:
    """Return the days as far from Easter so many years before; no day for one that is no movable feast."""
    before = _easter_sundays(dates, years) + easter_distances(dates)
    return np.where(is_movable(dates), before, np.datetime64("NaT", "D"))


def is_movable(dates: Dates) -> Bools:
    """Mark the days that may be movable feasts."""
    return np.isin(easter_distances(dates), MOVABLE)


def easter_distances(dates: Dates) -> NDArray[np.int64]:
    """Return how many days each day is after its year's Easter Sunday."""
    return np.asarray((dates.astype("datetime64[D]") - _easter_sundays(dates, 0)).astype(np.int64))


def dates_of_year(dates: Dates) -> NDArray[np.int64]:
    """Return the month and the day of each date as one number, 1231 for the last of the year."""
    month = dates.astype("datetime64[M]")
    day = (dates.astype("datetime64[D]") - month).astype(np.int64) + 1
    return np.asarray((month.astype(np.int64) % 12 + 1) * 100 + day)


def weekdays_of_month(dates: Dates, *, from_end: bool = False) -> NDArray[np.int64]:
    """Return one number for the month, the weekday and the how-manieth of the month each day is."""
    days = dates.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    since = days - month if not from_end else (month + 1).astype("datetime64[D]") - 1 - days
    weekday = (days.astype(np.int64) + 3) % 7
    return np.asarray((month.astype(np.int64) % 12 + 1) * 100 + since.astype(np.int64) // 7 * 10 + weekday)


def _easter_sundays(dates: Dates, years: int) -> Dates:
    """Return Easter Sunday of each date's year, or of so many years before."""
    year = dates.astype("datetime64[Y]").astype(np.int64) + 1970 - years
    first, last = int(year.min(initial=USUAL_YEAR)), int(year.max(initial=USUAL_YEAR))
    return _list_easters(first, last)[year - first]


@cache
def _list_easters(first: int, last: int) -> Dates:
    return np.array([easter(year) for year in range(first, last + 1)], "datetime64[D]")
