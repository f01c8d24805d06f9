"""Days ahead on which a store is closed: by flag, or by its closures in the past."""

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Dates
from foreact.forecasting.inputs.columns import Columns, column_texts, daily_values
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.totals.design import weekday_numbers
from foreact.spacing import Spacing


def predict_closed_days(panel: Panel, demand: Demand, columns: Columns) -> Bools:
    """Mark the days ahead that are closed: by flag, or because their weekday, event or date was closed before."""
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
    shut = np.zeros(len(week), bool)
    for day in range(7):
        recent = past[reported_weeks & (week[:days] == day)][-26:]
        if len(recent) >= 3 and recent.mean() >= 0.9:
            shut |= week == day
    closed = shut[days:]
    # On other weekdays the event or the date may be the cause.
    informative = reported_weeks & ~shut[:days]
    for name, values in columns.events.items():
        shown = daily_values(panel, name) if name in panel.known else None
        if shown is None:
            continue
        words = column_texts(panel, name, shown)
        for value in values:
            before = past[informative & (words[:days] == value)]
            if len(before) and before.mean() >= 0.8:
                closed |= words[days:] == value
    return closed | _predict_closed_dates(panel.dates, informative, past)


def _mark_reported_weeks(dates: Dates, reported: Bools) -> Bools:
    """Mark the days of weeks, Monday to Sunday, that have any reported day."""
    weeks = (dates.astype("datetime64[D]").astype(np.int64) + 3) // 7
    _, place = np.unique(weeks, return_inverse=True)
    return np.asarray(np.bincount(place, reported)[place] > 0)


def _predict_closed_dates(dates: Dates, informative: Bools, past: Bools) -> Bools:
    """Mark the days ahead whose date was closed in every year, at least twice."""
    days = len(past)
    month_day = np.array([str(date)[5:10] for date in dates.astype("datetime64[D]")])
    closed = np.zeros(len(dates) - days, bool)
    for value in np.unique(month_day[:days][past & informative]):
        before = past[informative & (month_day[:days] == value)]
        if len(before) >= 2 and before.all():
            closed |= month_day[days:] == value
    return closed
