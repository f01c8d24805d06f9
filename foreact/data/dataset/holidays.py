"""The holidays of the stores' places, as one more known table."""

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Literal

import pyarrow as pa

from foreact.data.dataset.parcel import ColumnInfo
from foreact.data.dataset.plan import Plan
from foreact.data.reading.calendars import (
    Place,
    find_country,
    find_subdivision,
    list_school_holidays,
    name_holidays,
    parse_place,
)
from foreact.data.reading.dates import day_date, day_number
from foreact.data.reading.engine import Engine
from foreact.data.reading.known import Known, date_known
from foreact.data.reading.periods import Periods
from foreact.data.reading.schema import HISTORY, SERIES, STORES, attribute_column, name_known, name_rows, value_column
from foreact.data.reading.tables import Table
from foreact.errors import name_examples
from foreact.vocabulary import DATE, ITEM, STORE

HOLIDAY, SCHOOL = "public holiday", "school holiday"
VALUES = {HOLIDAY: "VARCHAR", SCHOOL: "FLOAT"}
# Attributes of a store that say where it is, in any case of their letters.
COUNTRY, SUBDIVISIONS = "country", ("subdivision", "region", "state")
# Texts by day that are unusual on this share of the holidays, and on no more than that of all days, are a calendar.
OWN_SHARE, MOST_UNUSUAL = 0.5, 0.4


def add_holidays(
    engine: Engine, plan: Plan, tables: list[Known], country: str, periods: Periods, last: date
) -> list[Known]:
    """Add the holidays up to the last day to the plan and return the tables with theirs, if any are to be added."""
    asked = parse_place(country) if country else None
    by_store = _find_places(engine, plan, asked)
    places = sorted({place for place in by_store.values() if place})
    first = int(engine.fetch_one(f"SELECT min(first) FROM {STORES}")[0])
    days = [day_date(day) for day in range(first, day_number(last) + 1)]
    names = {place: name_holidays(place, days) for place in places}
    free = {place: list_school_holidays(place, days) for place in places}
    shown = ", ".join(map(str, places))
    taken = {column.name for column in plan.columns}
    added = [name for name, of in ((HOLIDAY, names), (SCHOOL, free)) if any(of.values()) and name not in taken]
    if HOLIDAY in added and (own := _find_own_calendar(engine, plan, tables, list(names.values()), days, periods)):
        plan.notes.append(f"The public holidays of {shown} are left out: {own!r} is a calendar of them already.")
        added.remove(HOLIDAY)
    if not added:
        return tables
    plan.notes.append(f"The calendar of {shown} is used: {'s and '.join(added)}s.")
    view = name_known(len(tables))
    keys = [DATE] if len(set(by_store.values())) == 1 else [DATE, STORE]
    _create_view(engine, name_rows(view), by_store if STORE in keys else {}, names, free, days)
    plan.known[view] = {name: f"CAST({value_column(name)} AS {VALUES[name]})" for name in added}
    for name in added:
        words = sorted({word for of_place in names.values() for word in of_place.values()}) if name == HOLIDAY else []
        kind: Literal["text", "number"] = "text" if name == HOLIDAY else "number"
        plan.columns.append(ColumnInfo(name=name, kind=kind, role="known", categories=words))
    table = Table(f"the calendar of {shown}", view, {})
    # That a period takes the name of one of its days goes without saying.
    known = date_known(engine, Known(view, table, keys, VALUES, rows=name_rows(view)), periods)
    return [*tables, replace(known, between=0)]


def _create_view(
    engine: Engine,
    view: str,
    by_store: dict[str, Place | None],
    names: dict[Place, dict[date, str]],
    free: dict[Place, set[date]],
    days: list[date],
) -> None:
    """Make the view of what each day is, by store if stores are given."""
    rows = [(place, day) for place in names for day in days]
    columns = {
        "place": pa.array([str(place) for place, _ in rows], pa.string()),
        "day": pa.array([day_number(day) for _, day in rows], pa.int32()),
        "name": pa.array([names[place].get(day) for place, day in rows], pa.string()),
        "free": pa.array([float(day in free[place]) if free[place] else None for place, day in rows], pa.float32()),
    }
    engine.register_table(f"{view}_days", pa.table(columns))
    cells = f"day, name AS {value_column(HOLIDAY)}, free AS {value_column(SCHOOL)}"
    if not by_store:
        engine.execute(f"CREATE VIEW {view} AS SELECT {cells} FROM {view}_days")
        return
    located = {STORE: list(by_store), "place": [str(place) if place else None for place in by_store.values()]}
    engine.register_table(f"{view}_stores", pa.table(located, pa.schema([(name, pa.string()) for name in located])))
    # A store without a place has its days too, on which nothing is known: the horizon has to be covered.
    engine.execute(
        f"""CREATE VIEW {view} AS SELECT store, {cells}
            FROM {view}_stores CROSS JOIN (SELECT DISTINCT day FROM {view}_days)
            LEFT JOIN {view}_days USING (place, day)"""
    )


def _find_places(engine: Engine, plan: Plan, asked: Place | None) -> dict[str, Place | None]:
    """Return where each store is: by its attributes, else as asked."""
    columns = {column.name.casefold(): column.name for column in plan.columns if column.role == "store"}
    names = [name for name in (COUNTRY, *SUBDIVISIONS) if name in columns]
    cells = "".join(f", min({attribute_column(columns[name])})" for name in names)
    places: dict[str, Place | None] = {}
    unknown = set()
    for store, *values in engine.execute(f"SELECT store{cells} FROM {SERIES} GROUP BY store ORDER BY store"):
        found = {name: value for name, value in zip(names, values, strict=True) if value}
        written = found.pop(COUNTRY, "")
        country = find_country(written) if written else asked
        if country is None and written:
            unknown.add(written)
        places[store] = _narrow_place(country or asked, list(found.values()))
    if unknown:
        plan.notes.append(
            f"Column {columns[COUNTRY]!r} has {name_examples(sorted(unknown))}, which is no ISO code of a country; "
            "--country names one for the stores without."
        )
    return places


def _narrow_place(country: Place | None, regions: list[str]) -> Place | None:
    """Return the subdivision that a region names, within the country or in full as in DE-BY; else the country."""
    for region in regions:
        code, _, subdivision = region.partition("-")
        within = find_country(code) if subdivision else country
        place = find_subdivision(within, subdivision or region) if within else None
        if place:
            return place
    return country


def _find_own_calendar(
    engine: Engine,
    plan: Plan,
    tables: list[Known],
    holidays: list[dict[date, str]],
    days: list[date],
    periods: Periods,
) -> str | None:
    """Return the user's column of texts by day that marks at least half of the holidays of some place."""
    texts = {column.name for column in plan.columns if column.kind == "text"}
    start = {day: day_date(periods.start(day_number(day))) for day in days}
    dates = sorted(set(start.values()))
    marks = [{start[day] for day in of_place} for of_place in holidays if of_place]
    for known in tables:
        if not known.dated or ITEM in known.keys:
            continue
        for name in sorted(texts & plan.known[known.name].keys()):
            views = {known.name: plan.known[known.name][name]}
            if name in plan.history:
                views[HISTORY.name] = plan.history[name]
            marked = _mark_unusual_days(engine, views, dates)
            if len(marked) <= MOST_UNUSUAL * len(dates) and any(
                len(marked & each) >= OWN_SHARE * len(each) for each in marks
            ):
                return name
    return None


def _mark_unusual_days(engine: Engine, views: dict[str, str], days: list[date]) -> set[date]:
    """Return the days whose text is not the one of most days, where none is a text too."""
    union = " UNION ALL ".join(f"SELECT day, {cell} AS value FROM {view}" for view, cell in views.items())
    first, last = day_number(days[0]), day_number(days[-1])
    texts: dict[int, str] = dict(
        engine.execute(
            f"""SELECT day, min(value) FROM ({union}) WHERE day BETWEEN {first} AND {last} AND value IS NOT NULL
                GROUP BY day ORDER BY day"""
        )
    )
    counts = Counter([*texts.values(), *[None] * (len(days) - len(texts))])
    usual = counts.most_common(1)[0][0]
    return {day_date(day) for day, text in texts.items() if text != usual}
