"""What each column beyond the roles is: an attribute, a regressor known ahead, or nothing that can be used."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from foreact.data.dataset.parcel import ColumnInfo
from foreact.data.dataset.slices import Slices
from foreact.data.reading.cells import as_number, as_text, is_number
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import History
from foreact.data.reading.known import Known, is_numeric
from foreact.data.reading.schema import (
    HISTORY,
    ITEMS,
    SERIES,
    SLICE_SERIES,
    STORES,
    attribute_column,
    count_column,
    highest_column,
    lowest_column,
    name_earlier,
    value_column,
)
from foreact.errors import ForeactError, name_examples
from foreact.vocabulary import STORE

MOST_CATEGORIES = 1_000


@dataclass
class Plan:
    """The columns of a dataset, and SQL for the cells of those that go by day."""

    columns: list[ColumnInfo] = field(default_factory=list)
    # By column of the history, and by table and column of the known tables.
    history: dict[str, str] = field(default_factory=dict)
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def list_series(
    engine: Engine, history: History, last: int | None, slices: Slices, *, earlier: bool = False
) -> pa.Table:
    """Make the tables of series, stores and items, and return the series with the range of their days."""
    functions = ((lowest_column, "min"), (highest_column, "max"), (count_column, "count"))
    ranges = "".join(
        f", {function}({value_column(name)}) AS {column(name)}"
        for name in history.others
        for column, function in functions
    )
    merged = "sum(rows)::BIGINT AS rows, min(first) AS first, max(last) AS last" + "".join(
        f", {function}({column(name)}){kind} AS {column(name)}"
        for name in history.others
        for column, function, kind in (
            (lowest_column, "min", ""),
            (highest_column, "max", ""),
            (count_column, "sum", "::BIGINT"),
        )
    )
    cut = f"WHERE day <= {last}" if last is not None else ""
    rows = f"""SELECT store, item, {slices.place_sql("day")} AS place, count(*) AS rows, min(day) AS first,
        max(day) AS last {ranges} FROM {HISTORY} {cut} GROUP BY store, item, place"""
    if earlier:
        before = f"SELECT *, {slices.place_sql('first')} AS place FROM {name_earlier(SLICE_SERIES)}"
        rows = (
            f"SELECT store, item, place, {merged} FROM ({rows} UNION ALL BY NAME {before}) GROUP BY store, item, place"
        )
    engine.execute(f"CREATE TABLE {SLICE_SERIES} AS {rows}")
    engine.execute(
        f"""CREATE TABLE {SERIES} AS SELECT row_number() OVER (ORDER BY store, item) - 1 AS series,
            min(first) OVER (PARTITION BY store) AS store_first, *
            FROM (SELECT store, item, {merged} FROM {SLICE_SERIES} GROUP BY store, item)"""
    )
    engine.execute(
        f"""CREATE TABLE {STORES} AS SELECT row_number() OVER (ORDER BY store) - 1 AS position, * FROM
           (SELECT store, min(first) AS first, max(last) AS last, sum(rows)::BIGINT AS rows, count(*) AS items
            FROM {SERIES} GROUP BY store)"""
    )
    engine.execute(
        f"""CREATE TABLE {ITEMS} AS SELECT row_number() OVER (ORDER BY item) - 1 AS position, item
            FROM (SELECT DISTINCT item FROM {SERIES})"""
    )
    return engine.fetch_table(f"SELECT store, item, rows, first, last FROM {SERIES} ORDER BY series")


def plan_columns(engine: Engine, history: History, tables: list[Known], last: int) -> Plan:
    """Decide what each column is."""
    plan = Plan(known={known.name: {} for known in tables})
    dated = [known for known in tables if known.dated]
    _refuse_twice(tables)
    ahead = {name: known for known in dated for name in known.values}
    static = {name: known for known in tables if not known.dated for name in known.values}
    for name, kind in history.others.items():
        if name in static:
            plan.notes.append(
                f"Column {name!r} of {history.table.label} is left out: {static[name].table.label} has it too."
            )
        elif name in ahead:
            continue
        elif (role := _find_constant_role(engine, name)) is not None:
            _add_attribute(engine, plan, name, kind, role, history.table.decimal_comma)
        else:
            empty = not engine.fetch_one(f"SELECT max({count_column(name)}) FROM {SERIES}")[0]
            reason = "it is empty" if empty else "no known table carries it on over the horizon"
            plan.notes.append(f"Column {name!r} of {history.table.label} is left out: {reason}.")
    for name, known in ahead.items():
        _add_known(engine, plan, history, known, name, last)
    for name, known in static.items():
        role = "store" if known.keys == [STORE] else "item"
        if is_numeric(engine, known.name, name, known.values[name], known.table.decimal_comma) is not None:
            _add_static(engine, plan, known, name, role)
    return plan


def _refuse_twice(tables: list[Known]) -> None:
    owner: dict[str, str] = {}
    for known in tables:
        for name in known.values:
            if name in owner:
                raise ForeactError(
                    f"Column {name!r} is in {owner[name]} and in {known.table.label}; keep it in one of them, or leave "
                    "one out of --known."
                )
            owner[name] = known.table.label


def _find_constant_role(engine: Engine, name: str) -> str | None:
    """Return the role of a column that is the same for all rows of each store or series; None for others."""
    low, high, count = lowest_column(name), highest_column(name), count_column(name)
    same = f"(({count} = rows AND {low} = {high}) OR {count} = 0)"
    by_series, any_value = engine.fetch_one(f"SELECT bool_and({same}), max({count}) > 0 FROM {SERIES}")
    if not by_series:
        return None
    whole = f"((sum({count}) = sum(rows) AND min({low}) = max({high})) OR sum({count}) = 0)"
    by_store = engine.fetch_one(f"SELECT bool_and(same) FROM (SELECT {whole} AS same FROM {SERIES} GROUP BY store)")[0]
    return None if not any_value else "store" if by_store else "item"


def _add_attribute(engine: Engine, plan: Plan, name: str, kind: str, role: str, decimal_comma: bool) -> None:
    cell = as_text(lowest_column(name), kind if is_number(kind) else "VARCHAR")
    engine.execute(f"ALTER TABLE {SERIES} ADD COLUMN {attribute_column(name)} VARCHAR")
    engine.execute(f"UPDATE {SERIES} SET {attribute_column(name)} = {cell}")
    _add_info(engine, plan, name, role)


def _add_static(engine: Engine, plan: Plan, known: Known, name: str, role: str) -> None:
    cell = as_text(value_column(name), known.values[name])
    keys = ", ".join(known.keys)
    engine.execute(f"ALTER TABLE {SERIES} ADD COLUMN {attribute_column(name)} VARCHAR")
    engine.execute(
        f"""UPDATE {SERIES} SET {attribute_column(name)} = value FROM
            (SELECT {keys}, min({cell}) AS value FROM {known.name} GROUP BY {keys}) AS known
            WHERE {" AND ".join(f"{SERIES}.{key} = known.{key}" for key in known.keys)}"""
    )
    mixed = engine.execute(
        f"""SELECT {known.keys[-1]} FROM {known.name} GROUP BY {keys} HAVING min({cell}) <> max({cell})
            ORDER BY 1 LIMIT 6"""
    )
    if mixed:
        plan.notes.append(
            f"{known.table.label} has more than one {name!r} for {name_examples([str(row[0]) for row in mixed])}; "
            "the first is used."
        )
    if not _add_info(engine, plan, name, role):
        plan.notes.append(
            f"Column {name!r} of {known.table.label} is left out: it has a value for no {role} of the history."
        )


def _add_info(engine: Engine, plan: Plan, name: str, role: str) -> bool:
    """Add an attribute, if any series has it."""
    column = attribute_column(name)
    values, numbers = engine.fetch_one(f"SELECT count({column}), count({as_number(column, 'VARCHAR')}) FROM {SERIES}")
    if values:
        plan.columns.append(
            ColumnInfo(
                name=name, kind="number" if values == numbers else "text", role="store" if role == "store" else "item"
            )
        )
    return bool(values)


def _add_known(engine: Engine, plan: Plan, history: History, known: Known, name: str, last: int) -> None:
    column, kind, label = value_column(name), known.values[name], known.table.label
    sources = [(known.name, kind)]
    numeric = is_numeric(engine, known.name, name, kind, known.table.decimal_comma)
    if numeric is None:
        plan.notes.append(f"Column {name!r} of {label} is left out: it is empty.")
        return
    if name in history.others:
        sources.append((HISTORY.name, history.others[name]))
        numeric = (
            numeric
            and is_numeric(engine, HISTORY.name, name, history.others[name], history.table.decimal_comma) is not False
        )
    elif not engine.fetch_one(f"SELECT count({column}) > 0 FROM {known.name} WHERE day <= {last}")[0]:
        plan.notes.append(
            f"Column {name!r} of {label} is left out: without a value in the past, nothing can be learnt from it."
        )
        return
    categories = [] if numeric else _list_categories(engine, plan, name, label, sources)
    if categories is None:
        return
    plan.columns.append(
        ColumnInfo(name=name, kind="number" if numeric else "text", role="known", categories=categories)
    )
    plan.known[known.name][name] = _write_cell(name, kind, numeric, known.table.decimal_comma)
    if name in history.others:
        plan.history[name] = _write_cell(name, history.others[name], numeric, history.table.decimal_comma)


def _list_categories(
    engine: Engine, plan: Plan, name: str, label: str, sources: Iterable[tuple[str, str]]
) -> list[str] | None:
    """List a text column's values; None, with a note, if there are too many to be categories."""
    union = " UNION ".join(
        f"SELECT {as_text(value_column(name), kind if is_number(kind) else 'VARCHAR')} AS value FROM {view}"
        for view, kind in sources
    )
    rows = engine.execute(f"SELECT DISTINCT value FROM ({union}) WHERE value IS NOT NULL LIMIT {MOST_CATEGORIES + 1}")
    if len(rows) > MOST_CATEGORIES:
        plan.notes.append(
            f"Column {name!r} of {label} is left out: it has more than {MOST_CATEGORIES:,} different texts, too many "
            "for categories."
        )
        return None
    return sorted(str(row[0]) for row in rows)


def _write_cell(name: str, kind: str, numeric: bool | None, decimal_comma: bool) -> str:
    """Return SQL for a cell as the dataset holds it: a float, or a text."""
    kind = kind if is_number(kind) else "VARCHAR"
    if numeric:
        return f"CAST({as_number(value_column(name), kind, decimal_comma)} AS FLOAT)"
    return as_text(value_column(name), kind)
