"""Days ahead on which a store is closed: by flag, or by its closures in the past."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Bools, Dates
from foreact.forecasting.inputs.columns import Columns, column_texts, daily_values
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.totals.design import weekday_numbers
from foreact.forecasting.totals.feasts import dates_of_year, easter_distances, is_movable, weekdays_of_month
from foreact.spacing import Spacing

# So few days of a flag or a level, which names no event, may be closed by chance.
FEWEST_DAYS = 3
# A day that has no name of a kind.
NAMELESS = -1_000


def predict_closed_days(panel: Panel, demand: Demand, columns: Columns) -> Bools:
    """Mark the days ahead that are closed: by flag, or because their weekday, event, flag or date was closed before."""
    days = panel.days
    if panel.open is not None:
        return np.asarray(~panel.open[:, days:].any(0))
    if panel.spacing is not Spacing.DAILY:
        return np.zeros(panel.horizon, bool)
    reported = np.asarray(np.isfinite(panel.units[:, :days]).any(0))
    week, reported_weeks = weekday_numbers(panel.dates), _mark_reported_weeks(panel.dates[:days], reported)
    # A day without any row, in a week that has some.
    past = demand.closed | (reported_weeks & ~reported)
    if not past.any():
        return np.zeros(panel.horizon, bool)
    # What lies before the first sale is no closure.
    reported_weeks &= np.logical_or.accumulate((np.nan_to_num(demand.totals) > 0).any(0))
    closed = np.zeros(len(week), bool)
    for day in range(7):
        recent = past[reported_weeks & (week[:days] == day)][-26:]
        if len(recent) >= 3 and recent.mean() >= 0.9:
            closed |= week == day
    # On other weekdays the event, the flag or the date may be the cause.
    informative = reported_weeks & ~closed[:days]
    for marked, fewest in _mark_known_days(panel, columns):
        before = past[informative & marked[:days]]
        if len(before) >= fewest and before.mean() >= 0.8:
            closed |= marked
    feasts = np.where(is_movable(panel.dates), easter_distances(panel.dates), NAMELESS)
    closed |= _mark_closed_names(dates_of_year(panel.dates), informative, past)
    closed |= _mark_closed_names(feasts, informative, past)
    # Which of a flag's days are closed may depend on the holiday that each stands for, such as the last Monday in May.
    unexplained = informative & ~closed[:days]
    for names in _name_flagged_days(panel, columns):
        closed |= _mark_closed_names(names, unexplained, past)
    return closed[days:]


def _mark_known_days(panel: Panel, columns: Columns) -> Iterator[tuple[Bools, int]]:
    """Yield the days of each event, level and flag there is ahead, and how many closed ones say that it closes."""
    for name in (*columns.events, *columns.levels, *columns.flags):
        values = daily_values(panel, name) if name in panel.known else None
        if values is None:
            continue
        words = column_texts(panel, name, values)
        for word in np.unique(words[panel.days :]):
            if word:
                yield words == word, 1 if word in columns.events.get(name, ()) else FEWEST_DAYS


def _name_flagged_days(panel: Panel, columns: Columns) -> Iterator[NDArray[np.int64]]:
    """Yield names of each flag's days as numbers: which weekday of which month they are, from its start or its end."""
    for name, yes in columns.flags.items():
        values = daily_values(panel, name) if name in panel.known else None
        if values is not None:
            for from_end in (False, True):
                yield np.where(values == yes, weekdays_of_month(panel.dates, from_end=from_end), NAMELESS)


def _mark_reported_weeks(dates: Dates, reported: Bools) -> Bools:
    """Mark the days of weeks, Monday to Sunday, that have any reported day."""
    weeks = (dates.astype("datetime64[D]").astype(np.int64) + 3) // 7
    _, place = np.unique(weeks, return_inverse=True)
    return np.asarray(np.bincount(place, reported)[place] > 0)


def _mark_closed_names(names: NDArray[np.int64], informative: Bools, past: Bools) -> Bools:
    """Mark the days whose name was closed in every year, at least twice."""
    of_past = names[: len(past)]
    closed = np.zeros(len(names), bool)
    for name in np.unique(of_past[past & informative]):
        before = past[informative & (of_past == name)]
        if name != NAMELESS and len(before) >= 2 and before.all():
            closed |= names == name
    return closed
