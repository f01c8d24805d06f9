"""The columns of the ridge on totals: calendar, events, flags and levels of the day, each with its penalty."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Dates, Doubles
from foreact.forecasting.inputs.columns import Columns, column_texts, daily_values
from foreact.forecasting.inputs.panel import Panel
from foreact.spacing import Spacing

YEAR = 365.25
# Yearly terms need to have seen a month more than one year.
SEASON_MONTHS = 1
KNOT_MONTHS = {Spacing.DAILY: 1, Spacing.WEEKLY: 1, Spacing.MONTHLY: 4}
# Days from an event, and how tightly their columns are held; of longer periods only the next ones are near.
NEIGHBOURS = {
    Spacing.DAILY: {-5: 10.0, -4: 10.0, -3: 10.0, -2: 4.0, -1: 4.0, 0: 2.0, 1: 4.0, 2: 10.0, 3: 10.0},
    Spacing.WEEKLY: {-1: 4.0, 0: 2.0, 1: 4.0},
    Spacing.MONTHLY: {0: 2.0},
}


@dataclass(frozen=True)
class Design:
    """A matrix of days x columns; each column has a name, a penalty and a driver."""

    matrix: Doubles
    names: list[str]
    penalties: Doubles
    drivers: list[str]


class _DesignBuilder:
    def __init__(self, days: int) -> None:
        self.days = days
        self.blocks: list[Doubles] = []
        self.names: list[str] = []
        self.penalties: list[float] = []
        self.drivers: list[str] = []

    def add_block(self, driver: str, penalty: float, names: list[str], block: Doubles) -> None:
        self.blocks.append(block)
        self.names += names
        self.penalties += [penalty] * len(names)
        self.drivers += [driver] * len(names)

    def build_design(self) -> Design:
        matrix = np.hstack(self.blocks) if self.blocks else np.zeros((self.days, 0))
        return Design(matrix, self.names, np.array(self.penalties), self.drivers)


def calendar_design(panel: Panel, columns: Columns, seasonal: bool) -> Design:
    """Return every day of the panel described by what is known of it in advance."""
    dates = panel.dates.astype("datetime64[D]")
    build = _DesignBuilder(len(dates))
    week = np.eye(7)[weekday_numbers(dates)] if panel.spacing is Spacing.DAILY else np.zeros((len(dates), 0))
    if panel.spacing is Spacing.DAILY:
        _add_days(build, dates, week)
    elif panel.spacing is Spacing.WEEKLY:
        month_week = np.minimum((dates - dates.astype("datetime64[M]")).astype(int) // 7, 4)
        build.add_block("season", 20.0, [f"week of month {i + 1}" for i in range(5)], np.eye(5)[month_week])
    if seasonal:
        _add_season(build, dates, week)
    for name, values in columns.events.items():
        _add_events(build, name, values, _daily_texts(panel, name), NEIGHBOURS[panel.spacing])
    for name, values in columns.levels.items():
        shown = _daily_texts(panel, name)
        build.add_block(name, 4.0, [f"{name}={v}" for v in values], (shown[:, None] == np.array(values)).astype(float))
    for name, yes in columns.flags.items():
        _add_flag(build, name, (_daily_numbers(panel, name) == yes).astype(float), week, dates)
    for name, (mean, spread) in columns.numbers.items():
        scaled = np.clip((_daily_numbers(panel, name) - mean) / spread, -3, 3)
        # What is unknown is as usual.
        block = np.nan_to_num(np.column_stack([scaled, scaled**2 - 1]))
        build.add_block(name, 4.0, [name, f"{name} squared"], block)
    return build.build_design()


def has_seasons(panel: Panel) -> bool:
    """Return whether the history is long enough to learn what a year looks like."""
    return panel.days >= panel.spacing.year + SEASON_MONTHS * panel.spacing.month


def trend_design(spacing: Spacing, days: NDArray[np.int64], ramps: int) -> Doubles:
    """Return ramps from -1 to 0 between knots back from the origin, day 0: a piecewise linear trend, flat ahead."""
    width = knot_width(spacing)
    starts = -width * np.arange(1, ramps + 1)
    return np.asarray(np.clip((days[:, None] - starts[None, :]) / width, 0.0, 1.0) - 1.0)


def knot_width(spacing: Spacing) -> int:
    """Return the number of periods between two knots of the trend."""
    return KNOT_MONTHS[spacing] * spacing.month


def weekday_numbers(dates: Dates) -> NDArray[np.int64]:
    """Return the days' weekdays, Monday as 0."""
    return np.asarray((dates.astype("datetime64[D]").astype(np.int64) + 3) % 7)


def year_angle(dates: Dates) -> Doubles:
    """Return the day's place in the year as an angle."""
    start = dates.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray(2 * np.pi * (dates.astype("datetime64[D]") - start).astype(float) / YEAR)


def _add_days(build: _DesignBuilder, dates: Dates, week: Doubles) -> None:
    build.add_block("weekday", 1.0, [f"weekday {i}" for i in range(7)], week)
    month_day = (dates - dates.astype("datetime64[M]")).astype(int)
    build.add_block("season", 20.0, [f"day of month {i + 1}" for i in range(31)], np.eye(31)[month_day])
    month_week = np.minimum(month_day // 7, 4) * 7 + weekday_numbers(dates)
    build.add_block("season", 40.0, [f"weekday of month {i}" for i in range(35)], np.eye(35)[month_week])


def _add_season(build: _DesignBuilder, dates: Dates, week: Doubles) -> None:
    angle = year_angle(dates)
    waves = {k: np.column_stack([np.sin(k * angle), np.cos(k * angle)]) for k in (1, 2, 3)}
    for k, wave in waves.items():
        build.add_block("season", 2.0 * k, [f"year sin {k}", f"year cos {k}"], wave)
    both = np.hstack([waves[1], waves[2]])
    crossed = (week[:, :, None] * both[:, None, :]).reshape(len(dates), week.shape[1] * both.shape[1])
    build.add_block("season", 20.0, [f"weekday x year {i}" for i in range(crossed.shape[1])], crossed)


def _add_events(
    build: _DesignBuilder, name: str, values: list[str], shown: NDArray[np.str_], neighbours: dict[int, float]
) -> None:
    days = (shown[:, None] == np.array(values)).astype(float)
    for shift, penalty in neighbours.items():
        # Column at -1: tomorrow is the event's day.
        moved = np.zeros_like(days)
        if shift <= 0:
            moved[: len(days) + shift] = days[-shift:]
        else:
            moved[shift:] = days[:-shift]
        labels = [f"{name}={value} {shift:+d}" for value in values]
        build.add_block("event", penalty, labels, moved)


def _add_flag(build: _DesignBuilder, name: str, up: Doubles, week: Doubles, dates: Dates) -> None:
    build.add_block(name, 1.0, [name], up[:, None])
    build.add_block(name, 10.0, [f"{name} x weekday {i}" for i in range(week.shape[1])], up[:, None] * week)
    ordinal = _ordinal_in_month(up, dates)
    top = min(int(ordinal.max(initial=0)), 15)
    block = (ordinal[:, None] == np.arange(1, top + 1)).astype(float)
    build.add_block(name, 10.0, [f"{name} number {i + 1}" for i in range(top)], block)


def _ordinal_in_month(up: Doubles, dates: Dates) -> NDArray[np.int64]:
    """Count a flag's days within the month; 0 off the flag."""
    month = dates.astype("datetime64[M]").astype(np.int64)
    before = np.concatenate([[0.0], np.cumsum(up)])
    first = np.searchsorted(month, month, side="left")
    return np.asarray(up * (before[1:] - before[first])).astype(np.int64)


def _daily_texts(panel: Panel, name: str) -> NDArray[np.str_]:
    values = daily_values(panel, name) if name in panel.known else None
    return np.full(len(panel.dates), "") if values is None else column_texts(panel, name, values)


def _daily_numbers(panel: Panel, name: str) -> Doubles:
    values = daily_values(panel, name) if name in panel.known else None
    return np.full(len(panel.dates), np.nan) if values is None else values.astype(np.float64)
