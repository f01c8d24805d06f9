"""Which spacing a history has: whether its rows are of days, weeks or months, and which dates these bear.

A store's rows are of weeks if nearly all are dated on one weekday, and of months if it has one date a month, at the
same place in each. Most stores decide for the chain; stores that say otherwise are refused by name, because a day's
units beside a week's would be taken for a collapse.
"""

import calendar
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from foreact.data.reading.cells import as_number, as_text, is_number, quote
from foreact.data.reading.dates import EPOCH, day_date, day_number
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import History
from foreact.data.reading.schema import (
    FILE_COLUMN,
    FILE_DAYS,
    HISTORY,
    STORE_DAYS,
    USABLE_ROWS,
    name_earlier,
    value_column,
)
from foreact.errors import ForeactError, count_noun, name_examples
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, ITEM, OPEN, STOCKOUT, STORE, UNITS

# Of a store's rows, how many have to agree, and of how many dates, before its spacing counts for anything.
NEARLY, FEWEST_DATES = 0.95, 3
# A store by day has dates on several days of a week, or on all weekdays.
DATES_A_WEEK, DAILY_DATES = 1.25, 5
# What makes a single store among daily ones one of weeks, and not one that trades on few days.
SURE_DATES, SURE_SHARE = 8, 0.95
# The last day of a month, whatever its number; no other place is a day that February lacks, or has for its last.
LAST, LATEST_PLACE = 31, 27
# With more dates a period than this, the rows are of days, and a period is their sum.
SUMMED_DATES = 1.25


@dataclass(frozen=True)
class Periods:
    """The periods of a history, by the date that any one of them bears."""

    spacing: Spacing
    anchor: date
    # The first and the last day that have rows; None: no row has a date.
    first: int | None
    last: int | None
    # How many rows bear another date than their period does.
    between: int = 0
    # Whether a period is the sum of its days, so that one without its last days is no period yet.
    summed: bool = False

    def start(self, day: int) -> int:
        """Return the number of the day that a day's period bears."""
        found = self.spacing.start_periods(np.datetime64(self.anchor), np.array([day_date(day)], "datetime64[D]"))
        return day_number(found[0].astype(object))

    def last_whole(self, day: int) -> int:
        """Return the start of the last period of which nothing is missing on this day."""
        start = self.start(day)
        if self.summed and day_number(self.spacing.last_day(day_date(start))) > day:
            return self.start(start - 1)
        return start

    def start_sql(self, day: str) -> str:
        """Return SQL for the day that a day's period bears."""
        if self.spacing is Spacing.DAILY:
            return day
        if self.spacing is Spacing.WEEKLY:
            return f"({day} - ((({day} - {self.anchor.weekday()}) % 7) + 7) % 7)"
        moment = f"(DATE '{EPOCH}' + CAST({day} AS INTEGER))"
        if self.anchor.day == LAST:
            return f"(last_day({moment}) - DATE '{EPOCH}')"
        before = self.anchor.day - 1
        return f"(CAST(date_trunc('month', {moment} - {before}) AS DATE) + {before} - DATE '{EPOCH}')"

    @property
    def dates(self) -> str:
        """What dates the periods bear, as people say it."""
        if self.spacing is Spacing.WEEKLY:
            return f"{calendar.day_name[self.anchor.weekday()]}s"
        return (
            "last days"
            if self.anchor.day == LAST
            else "first days"
            if self.anchor.day == 1
            else f"day {self.anchor.day}"
        )

    def describe(self) -> list[str]:
        """Say what the spacing is, as notes; nothing of a daily history."""
        if self.spacing is Spacing.DAILY:
            return []
        period = self.spacing.period
        notes = [f"The history is {self.spacing}: each {period} is dated by its {self.dates.removesuffix('s')}."]
        if self.between:
            notes.append(
                f"{count_noun(self.between, 'row')} of the history bear another date than their {period} does; units "
                f"of the same {period} are summed."
            )
        return notes


@dataclass(frozen=True)
class _StoreDates:
    """A store's dates: how many, in how many weeks and months, and where in the week and month most rows are."""

    store: str
    days: int
    first: int
    last: int
    weeks: int
    months: int
    weekday: int
    weekday_share: float
    place: int
    place_share: float

    @property
    def spacing(self) -> Spacing | None:
        """The spacing that the store's own dates show; None if they show none."""
        if self.days < FEWEST_DATES:
            return None
        if self.weekday_share >= NEARLY:
            return Spacing.WEEKLY
        same_place = self.place_share >= NEARLY and (self.place <= LATEST_PLACE or self.place == LAST)
        if same_place and self.days <= self.months / NEARLY:
            return Spacing.MONTHLY
        often = self.days > DATES_A_WEEK * self.weeks or self.weekday_share < 0.5
        return Spacing.DAILY if often and self.days >= DAILY_DATES else None

    @property
    def is_sure(self) -> bool:
        """Whether the store has so many periods without a gap that it cannot be one that trades on few days."""
        periods = {Spacing.WEEKLY: (self.last - self.first) // 7 + 1, Spacing.MONTHLY: (self.last - self.first) // 30}
        return self.days >= SURE_DATES and self.days >= SURE_SHARE * periods.get(self.spacing or Spacing.DAILY, 0)


def find_periods(
    engine: Engine, history: History, today: date, wanted: Spacing | None, *, earlier: bool = False
) -> Periods:
    """Find the spacing of the whole history, whichever store is taken in; refuse stores that have another."""
    _count_store_days(engine, history, today, earlier)
    first, last = engine.fetch_one(f"SELECT min(day), max(day) FROM {STORE_DAYS}")
    if last is None:
        return Periods(wanted or Spacing.DAILY, EPOCH, None, None)
    stores = _list_store_dates(engine)
    spacing = wanted or _choose_spacing(stores)
    periods = Periods(spacing, _find_anchor(spacing, stores), int(first), int(last))
    start = periods.start_sql("day")
    between, dates, distinct = engine.fetch_one(
        f"SELECT sum(rows) FILTER (day <> {start}), count(*), count(DISTINCT (store, {start})) FROM {STORE_DAYS}"
    )
    return replace(periods, between=int(between or 0), summed=dates > SUMMED_DATES * distinct)


def _count_store_days(engine: Engine, history: History, today: date, earlier: bool) -> None:
    table, name, by = history.table, quote(history.roles[STORE]), quote(history.roles[DATE])
    store = as_text(name, table.kinds[history.roles[STORE]])
    # Cells are counted as they are written, and read once for all that are the same; moments hardly ever are.
    same = not table.kinds[history.roles[DATE]].startswith("TIMESTAMP")
    rows = "count(*)" if same else "1"
    written = f"""SELECT {FILE_COLUMN}, {name}, {by}, {rows} AS "foreact rows" FROM {quote(table.view)}"""
    written += f" GROUP BY {FILE_COLUMN}, {name}, {by}" if same else ""
    before = f"UNION ALL SELECT * FROM {name_earlier(FILE_DAYS)}" if earlier else ""
    # With days in the future, which will be past one day.
    engine.execute(
        f"""CREATE TABLE {FILE_DAYS} AS SELECT file, store, day, sum(rows)::BIGINT AS rows
            FROM (SELECT {FILE_COLUMN} AS file, {store} AS store, {history.day} AS day, "foreact rows" AS rows
            FROM ({written})) WHERE day >= 0 AND store <> '' GROUP BY file, store, day {before}"""
    )
    engine.execute(
        f"""CREATE TABLE {STORE_DAYS} AS SELECT store, day, sum(rows)::BIGINT AS rows FROM {FILE_DAYS}
            WHERE day <= {day_number(today)} GROUP BY store, day"""
    )


def _list_store_dates(engine: Engine) -> list[_StoreDates]:
    moment = f"(DATE '{EPOCH}' + CAST(day AS INTEGER))"
    places = {
        "weekday": "day % 7",
        "place": f"CASE WHEN last_day({moment}) = {moment} THEN {LAST} ELSE day({moment}) END",
    }
    modes = "".join(
        f""" JOIN (SELECT store, arg_max({name}, rows) AS {name}, max(rows) / sum(rows) AS {name}_share FROM
            (SELECT store, {place} AS {name}, sum(rows) AS rows FROM {STORE_DAYS} GROUP BY ALL) GROUP BY store)
            USING (store)"""
        for name, place in places.items()
    )
    rows = engine.execute(
        f"""SELECT store, days, first, last, weeks, months, weekday, weekday_share, place, place_share FROM
            (SELECT store, count(*) AS days, min(day) AS first, max(day) AS last, count(DISTINCT day // 7) AS weeks,
            count(DISTINCT date_trunc('month', {moment})) AS months FROM {STORE_DAYS} GROUP BY store) {modes}
            ORDER BY store"""
    )
    return [_StoreDates(*row) for row in rows]


def _choose_spacing(stores: list[_StoreDates]) -> Spacing:
    """Return the spacing of most stores; raise if others surely have another."""
    found = {store.store: store.spacing for store in stores}
    counts = Counter(spacing for spacing in found.values() if spacing is not None)
    weekdays = Counter(store.weekday for store in stores if store.spacing is Spacing.WEEKLY)
    # Stores that each trade on a weekday of their own have no weeks in common.
    if weekdays and max(weekdays.values()) < NEARLY * weekdays.total():
        return Spacing.DAILY
    if not counts:
        return Spacing.DAILY
    chosen = max(counts, key=lambda spacing: (counts[spacing], spacing is not Spacing.DAILY))
    others: dict[Spacing, list[str]] = {}
    for store in stores:
        if store.spacing not in (None, chosen) and (chosen is not Spacing.DAILY or store.is_sure):
            others.setdefault(store.spacing or chosen, []).append(store.store)
    if others:
        raise _mixed_spacing(chosen, others, counts[chosen])
    return chosen


def _mixed_spacing(chosen: Spacing, others: Mapping[Spacing, list[str]], agreeing: int) -> ForeactError:
    other, stores = max(others.items(), key=lambda pair: len(pair[1]))
    return ForeactError(
        f"The history is {chosen} in {count_noun(agreeing, 'store')}, but {other} in {name_examples(stores)}: bring "
        f"such stores in a history and a workspace of their own, or take all of it as {chosen} with --spacing {chosen}"
        + (f", which sums the units of each {chosen.period}." if chosen is not Spacing.DAILY else ".")
    )


def _find_anchor(spacing: Spacing, stores: list[_StoreDates]) -> date:
    """Return a date that a period bears: the one that most stores use, else a Monday or the first of a month."""
    if spacing is Spacing.WEEKLY:
        weekdays = Counter(store.weekday for store in stores if store.spacing is Spacing.WEEKLY)
        return day_date(weekdays.most_common(1)[0][0] if weekdays else 0)
    places = Counter(store.place for store in stores if store.spacing is Spacing.MONTHLY)
    return EPOCH.replace(day=places.most_common(1)[0][0] if places else 1)


def date_history(engine: Engine, history: History, periods: Periods) -> History:
    """Date the history's rows by their periods, and sum the units of rows that only then have the same date."""
    if periods.spacing is Spacing.DAILY:
        return history
    start = periods.start_sql("day")
    engine.execute(f"DROP VIEW {HISTORY}")
    if not periods.between:
        engine.execute(f"CREATE VIEW {HISTORY} AS SELECT * REPLACE ({start} AS day) FROM {USABLE_ROWS}")
        return history
    cells = [f"CASE WHEN count({UNITS}) = count(*) THEN sum({UNITS} ORDER BY day, {UNITS}) END AS {UNITS}"]
    if OPEN in history.roles:
        cells.append(f"bool_or({OPEN}) AS {OPEN}")
    if STOCKOUT in history.roles:
        cells.append(f"avg(CAST({STOCKOUT} AS INTEGER)) >= 0.5 AS {STOCKOUT}")
    cells += combine_values(history.others, history.table.decimal_comma)
    engine.execute(
        f"""CREATE TABLE {HISTORY} AS SELECT {STORE}, {ITEM}, {start} AS day, {", ".join(cells)}
            FROM {USABLE_ROWS} GROUP BY {STORE}, {ITEM}, {start}"""
    )
    return replace(history, others=combined_kinds(history.others))


def combine_values(values: Mapping[str, str], decimal_comma: bool) -> list[str]:
    """Return SQL for one value of a period's days, by column: the mean of numbers, the most frequent of texts."""
    cells = []
    for name, kind in values.items():
        column = value_column(name)
        number = as_number(column, kind, decimal_comma)
        mean = f"avg({number} ORDER BY {number})"
        if is_number(kind):
            cell = mean
        else:
            # A number that is the same on all days stays as it is written: it may be a code, such as 007.
            cell = f"""CASE WHEN min({column}) = max({column}) THEN min({column})
                WHEN count({number}) = count({column}) THEN CAST({mean} AS VARCHAR)
                ELSE mode({column} ORDER BY {column}) END"""
        cells.append(f"{cell} AS {column}")
    return cells


def combined_kinds(values: Mapping[str, str]) -> dict[str, str]:
    """Return the SQL types that columns have once a period's days are combined."""
    return {name: "DOUBLE" if is_number(kind) else kind for name, kind in values.items()}
