"""When a cron expression of six fields, seconds first, fires: read as the scheduler of Kubeflow Pipelines reads it.

That is the library robfig/cron, release 1: "?" is "*", names of months and days are allowed, Sunday is 0, and a day
has to match both day fields if one of them is a star, else either. It has no time zone of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from foreact.errors import ForeactError

_MONTHS = dict(jan=1, feb=2, mar=3, apr=4, may=5, jun=6, jul=7, aug=8, sep=9, oct=10, nov=11, dec=12)  # noqa: C408
_DAYS = dict(sun=0, mon=1, tue=2, wed=3, thu=4, fri=5, sat=6)  # noqa: C408
_FIELDS: list[tuple[str, int, int, dict[str, int]]] = [
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
]
YEARS = 5


@dataclass(frozen=True)
class Cron:
    """A cron expression in a time zone."""

    expression: str
    zone: ZoneInfo
    fields: tuple[frozenset[int], ...]
    either_day: bool

    @classmethod
    def parse(cls, expression: str, zone: ZoneInfo) -> "Cron":
        """Parse an expression."""
        parts = expression.split()
        if len(parts) != len(_FIELDS):
            raise ForeactError(
                f"The cron expression {expression!r} has {len(parts)} fields; it takes six, seconds first: "
                "0 30 3 * * * is half past three every day."
            )
        try:
            fields = tuple(
                frozenset(_parse_field(part, *field[1:])) for part, field in zip(parts, _FIELDS, strict=True)
            )
        except ValueError as error:
            raise ForeactError(f"The cron expression {expression!r} cannot be read: {error}.") from None
        return cls(expression, zone, fields, either_day=not (_is_star(parts[3]) or _is_star(parts[5])))

    def next_firing(self, moment: datetime) -> datetime:
        """Return the first firing after a moment, in UTC.

        Where clocks change, a time that the wall clock skips does not fire that day, and one that it shows twice fires
        twice.
        """
        day = moment.astimezone(self.zone).date()
        for _ in range(366 * YEARS):
            if self._fires_on(day):
                later = [firing for firing in self._list_firings_on(day) if firing > moment]
                if later:
                    return min(later)
            day += timedelta(days=1)
        raise ForeactError(f"The cron expression {self.expression!r} never fires.")

    def list_firings(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the firings after the start, up to and including the end."""
        firings = []
        moment = self.next_firing(start)
        while moment <= end:
            firings.append(moment)
            moment = self.next_firing(moment)
        return firings

    def _fires_on(self, day: date) -> bool:
        in_month, in_week = day.day in self.fields[3], (day.weekday() + 1) % 7 in self.fields[5]
        return day.month in self.fields[4] and (in_month or in_week if self.either_day else in_month and in_week)

    def _list_firings_on(self, day: date) -> Iterator[datetime]:
        for hour, minute, second, fold in product(self.fields[2], self.fields[1], self.fields[0], (0, 1)):
            wall = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=self.zone, fold=fold)
            firing = wall.astimezone(UTC)
            if firing.astimezone(self.zone).hour == hour:
                yield firing


def _is_star(field: str) -> bool:
    return any(part[0] in "*?" for part in field.split(",") if part)


def _parse_field(field: str, lowest: int, highest: int, names: dict[str, int]) -> set[int]:
    values: set[int] = set()
    for part in filter(None, field.split(",")):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if low in {"*", "?"}:
            start, end = lowest, highest
        else:
            start = _parse_number(low, names)
            end = _parse_number(high, names) if high else highest if step else start
        if not lowest <= start <= end <= highest:
            raise ValueError(f"{part!r} is not within {lowest} to {highest}")
        step_size = _parse_number(step, {}) if step else 1
        if step_size < 1:
            raise ValueError(f"{part!r} needs a step of at least 1")
        values.update(range(start, end + 1, step_size))
    if not values:
        raise ValueError("a field is empty")
    return values


def _parse_number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number")
    return int(text)
