"""Known tables: what is known ahead, joined to the history by the keys that each table has."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from foreact.data.reading.cells import as_flag, as_number, as_text, is_nested, is_number, literal, quote
from foreact.data.reading.columns import find_roles
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import as_cell, read_days
from foreact.data.reading.ordering import sort_key
from foreact.data.reading.periods import Periods, combine_values, combined_kinds
from foreact.data.reading.schema import ITEMS, SERIES, STORES, name_dates, name_rows, value_column
from foreact.data.reading.tables import Table
from foreact.errors import ForeactError
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, ITEM, OPEN, ROLES, STORE

KEYS = (DATE, STORE, ITEM)
NUMBERS_SHARE, FEW_NUMBERS = 0.99, 50


@dataclass(frozen=True)
class Known:
    """A known table as the view of its own name: day, store and item as far as it has them, and its values."""

    name: str
    table: Table
    keys: list[str]
    # Its values by name, with the SQL type of each in the view.
    values: dict[str, str]
    flags: tuple[str, ...] = ()
    # The view of its single rows, which are of days where those of the history are of weeks or months.
    rows: str = ""
    # How many of them bear another date than their period does.
    between: int = 0

    @property
    def dated(self) -> bool:
        """Whether it has a column of dates."""
        return DATE in self.keys


def open_known(
    engine: Engine,
    table: Table,
    name: str,
    columns: Mapping[str, str],
    with_items: bool,
    store: str | None,
    periods: Periods,
) -> Known:
    """Define the view over a known table, by the periods of the history."""
    roles = find_roles(table.kinds, columns)
    keys = [key for key in KEYS if key in roles]
    if not keys:
        raise ForeactError(
            f"{table.label} has no column of the names {', '.join(columns.get(key, key) for key in KEYS)} to join by; "
            "leave it out of --known, or name its columns as the history's are (--columns)."
        )
    if ITEM in keys and not with_items:
        raise ForeactError(
            f"{table.label} goes by item, but the history has no items; leave it out of --known, or map the history's "
            "item column (--columns item=NAME)."
        )
    taken = {roles[role] for role in roles}
    values = {
        value: kind if is_number(kind) else "VARCHAR"
        for value, kind in table.kinds.items()
        if value not in taken and value not in ROLES and not is_nested(kind)
    }
    flags = (OPEN,) if OPEN in roles and DATE in keys else ()
    cells = [f"{as_cell(value, table.kinds[value])} AS {value_column(value)}" for value in values]
    cells += [f"{as_flag(quote(roles[flag]), table.kinds[roles[flag]])} AS {flag}" for flag in flags]
    for key in (STORE, ITEM):
        if key in keys:
            cells.append(f"{as_text(quote(roles[key]), table.kinds[roles[key]])} AS {key}")
    if DATE in keys:
        day = read_days(engine, table, roles[DATE], name_dates(name))
        cells.append(f"{day} AS day")
    only = (
        f"WHERE {as_text(quote(roles[STORE]), table.kinds[roles[STORE]])} = {literal(store)}"
        if store and STORE in keys
        else ""
    )
    rows = name_rows(name)
    engine.execute(f"CREATE VIEW {rows} AS SELECT {', '.join(cells)} FROM {quote(table.view)} {only}")
    return date_known(engine, Known(name, table, keys, values, flags, rows), periods)


def date_known(engine: Engine, known: Known, periods: Periods) -> Known:
    """Date a table's rows by their periods; where it has rows of several days of one, combine them."""
    start = periods.start_sql("day") if known.dated else ""
    moved = known.dated and periods.spacing is not Spacing.DAILY
    between = engine.fetch_one(f"SELECT count(*) FROM {known.rows} WHERE day <> {start}")[0] if moved else 0
    if not between:
        dated = f"* REPLACE ({start} AS day)" if known.dated else "*"
        engine.execute(f"CREATE VIEW {known.name} AS SELECT {dated} FROM {known.rows}")
        return known
    keys = [f"{start} AS day" if key == DATE else key for key in known.keys]
    cells = [*combine_values(known.values, known.table.decimal_comma), *(f"bool_or({f}) AS {f}" for f in known.flags)]
    engine.execute(
        f"CREATE TABLE {known.name} AS SELECT {', '.join([*keys, *cells])} FROM {known.rows} "
        f"WHERE day IS NOT NULL GROUP BY {', '.join(start if key == DATE else key for key in known.keys)}"
    )
    return replace(known, values=combined_kinds(known.values), between=int(between))


def join_known(known: Known, first: int, last: int) -> tuple[str, str]:
    """Return the FROM clause that joins a dated table to the series, and the SQL of its sort key."""
    days = f"known.day BETWEEN {first} AND {last}"
    rows = f"{known.name} AS known"
    by = [key for key in (STORE, ITEM) if key in known.keys]
    if by == [STORE, ITEM]:
        return (
            f"{rows} JOIN {SERIES} AS series USING (store, item) WHERE {days} AND known.day >= series.store_first",
            sort_key("series.series", "known.day"),
        )
    if by == [STORE]:
        return (
            f"{rows} JOIN {STORES} AS stores USING (store) WHERE {days} AND known.day >= stores.first",
            sort_key("stores.position", "known.day"),
        )
    if by == [ITEM]:
        return f"{rows} JOIN {ITEMS} AS items USING (item) WHERE {days}", sort_key("items.position", "known.day")
    return f"{rows} WHERE {days}", "known.day::BIGINT"


def is_numeric(engine: Engine, view: str, name: str, kind: str, decimal_comma: bool) -> bool | None:
    """Return whether a column's values are numbers; None if it has no values.

    A few texts among many different numbers are slips; among a few different numbers they are categories too.
    """
    column = value_column(name)
    if is_number(kind):
        return True if engine.fetch_one(f"SELECT count({column}) FROM {view}")[0] else None
    number = as_number(column, "VARCHAR", decimal_comma)
    values, numbers, different = engine.fetch_one(
        f"SELECT count({column}), count({number}), approx_count_distinct({number}) FROM {view}"
    )
    if not values:
        return None
    return bool(values == numbers or (numbers >= NUMBERS_SHARE * values and different > FEW_NUMBERS))
