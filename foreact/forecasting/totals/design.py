"""The columns of the ridge on totals: calendar, events, flags and levels of the day, each with its penalty."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.columns import Columns, column_by_day, column_texts
from foreact.forecasting.inputs.demand import Doubles
from foreact.forecasting.inputs.panel import Panel

Days = NDArray[np.datetime64]

YEAR = 365.25
# Yearly terms need to have seen more than one year.
SEASON_DAYS = 395
KNOT_DAYS = 28
# Days from an event, and how tightly their columns are held.
NEIGHBOURS = {-5: 10.0, -4: 10.0, -3: 10.0, -2: 4.0, -1: 4.0, 0: 2.0, 1: 4.0, 2: 10.0, 3: 10.0}


@dataclass(frozen=True)
class Design:
    """A matrix of days x columns; each column has a name, a penalty and a driver."""

    matrix: Doubles
    names: list[str]
    penalties: Doubles
    drivers: list[str]


class _Builder:
    def __init__(self, days: int) -> None:
        self.days = days
        self.blocks: list[Doubles] = []
        self.names: list[str] = []
        self.penalties: list[float] = []
        self.drivers: list[str] = []

    def add_column(self, driver: str, penalty: float, names: list[str], block: Doubles) -> None:
        self.blocks.append(block)
        self.names += names
        self.penalties += [penalty] * len(names)
        self.drivers += [driver] * len(names)

    def make_design(self) -> Design:
        matrix = np.hstack(self.blocks) if self.blocks else np.zeros((self.days, 0))
        return Design(matrix, self.names, np.array(self.penalties), self.drivers)


def calendar_design(panel: Panel, columns: Columns, seasonal: bool) -> Design:
    """Describe every day of the panel by what is known of it ahead."""
    dates = panel.dates.astype("datetime64[D]")
    build = _Builder(len(dates))
    weekday = read_weekdays(dates)
    week = np.eye(7)[weekday]
    build.add_column("weekday", 1.0, [f"weekday {i}" for i in range(7)], week)
    month_day = (dates - dates.astype("datetime64[M]")).astype(int)
    build.add_column("season", 20.0, [f"day of month {i + 1}" for i in range(31)], np.eye(31)[month_day])
    month_week = np.minimum(month_day // 7, 4) * 7 + weekday
    build.add_column("season", 40.0, [f"weekday of month {i}" for i in range(35)], np.eye(35)[month_week])
    if seasonal:
        _add_season(build, dates, week)
    for name, values in columns.events.items():
        _add_events(build, name, values, _read_texts(panel, name))
    for name, values in columns.levels.items():
        shown = _read_texts(panel, name)
        build.add_column(name, 4.0, [f"{name}={v}" for v in values], (shown[:, None] == np.array(values)).astype(float))
    for name, yes in columns.flags.items():
        _add_flag(build, name, (_read_numbers(panel, name) == yes).astype(float), week, dates)
    for name, (mean, spread) in columns.numbers.items():
        scaled = np.clip((_read_numbers(panel, name) - mean) / spread, -3, 3)
        build.add_column(name, 4.0, [name, f"{name} squared"], np.column_stack([scaled, scaled**2 - 1]))
    return build.make_design()


def trend_design(dates: Days, origin: np.datetime64, ramps: int) -> Doubles:
    """Ramp from -1 to 0 over each 28 days back from the origin: a piecewise linear trend, flat ahead."""
    age = (dates.astype("datetime64[D]") - origin.astype("datetime64[D]")).astype(float)
    starts = -KNOT_DAYS * np.arange(1, ramps + 1)
    return np.asarray(np.clip((age[:, None] - starts[None, :]) / KNOT_DAYS, 0.0, 1.0) - 1.0)


def read_weekdays(dates: Days) -> NDArray[np.int64]:
    """Return the days' weekdays, Monday as 0."""
    return np.asarray((dates.astype("datetime64[D]").astype(np.int64) + 3) % 7)


def year_angle(dates: Days) -> Doubles:
    """Return the day's place in the year as an angle."""
    start = dates.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray(2 * np.pi * (dates.astype("datetime64[D]") - start).astype(float) / YEAR)


def _add_season(build: _Builder, dates: Days, week: Doubles) -> None:
    angle = year_angle(dates)
    waves = {k: np.column_stack([np.sin(k * angle), np.cos(k * angle)]) for k in (1, 2, 3)}
    for k, wave in waves.items():
        build.add_column("season", 2.0 * k, [f"year sin {k}", f"year cos {k}"], wave)
    both = np.hstack([waves[1], waves[2]])
    crossed = (week[:, :, None] * both[:, None, :]).reshape(len(dates), -1)
    build.add_column("season", 20.0, [f"weekday x year {i}" for i in range(crossed.shape[1])], crossed)


def _add_events(build: _Builder, name: str, values: list[str], shown: NDArray[np.str_]) -> None:
    days = (shown[:, None] == np.array(values)).astype(float)
    for shift, penalty in NEIGHBOURS.items():
        # Column at -1: tomorrow is the event's day.
        moved = np.zeros_like(days)
        if shift <= 0:
            moved[: len(days) + shift] = days[-shift:]
        else:
            moved[shift:] = days[:-shift]
        labels = [f"{name}={value} {shift:+d}" for value in values]
        build.add_column("event", penalty, labels, moved)


def _add_flag(build: _Builder, name: str, up: Doubles, week: Doubles, dates: Days) -> None:
    build.add_column(name, 1.0, [name], up[:, None])
    build.add_column(name, 10.0, [f"{name} x weekday {i}" for i in range(7)], up[:, None] * week)
    ordinal = _ordinal_in_month(up, dates)
    top = min(int(ordinal.max(initial=0)), 15)
    block = (ordinal[:, None] == np.arange(1, top + 1)).astype(float)
    build.add_column(name, 10.0, [f"{name} number {i + 1}" for i in range(top)], block)


def _ordinal_in_month(up: Doubles, dates: Days) -> NDArray[np.int64]:
    """Count a flag's days within the month; 0 off the flag."""
    month = dates.astype("datetime64[M]").astype(np.int64)
    before = np.concatenate([[0.0], np.cumsum(up)])
    first = np.searchsorted(month, month, side="left")
    return np.asarray(up * (before[1:] - before[first])).astype(np.int64)


def _read_texts(panel: Panel, name: str) -> NDArray[np.str_]:
    values = column_by_day(panel, name) if name in panel.known else None
    return np.full(len(panel.dates), "") if values is None else column_texts(panel, name, values)


def _read_numbers(panel: Panel, name: str) -> Doubles:
    values = column_by_day(panel, name) if name in panel.known else None
    return np.zeros(len(panel.dates)) if values is None else np.nan_to_num(values.astype(np.float64))
