"""Whose past a new item or a new store borrows: known tables with a column `like`, and perhaps one `share`."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from foreact.data.dataset.parcel import ColumnInfo
from foreact.data.dataset.plan import Plan
from foreact.data.reading.cells import as_number, as_text, literal
from foreact.data.reading.dates import EPOCH, day_date
from foreact.data.reading.engine import Engine
from foreact.data.reading.known import Known
from foreact.data.reading.periods import Periods
from foreact.data.reading.schema import (
    EVERY_ROW,
    SERIES,
    STORES,
    attribute_column,
    value_column,
)
from foreact.errors import count_noun, name_examples
from foreact.vocabulary import DATE, ITEM, LIKE, LIKE_ITEM, LIKE_SHARE, SHARE, STORE, UNITS

# An item's own share counts by its units against so many at the share of the whole store.
USUAL_UNITS = 20.0


def split_likes(tables: Sequence[Known]) -> tuple[list[Known], list[Known]]:
    """Return the tables that say what is like what, and all of them without the columns that say it."""
    likes = [known for known in tables if not known.dated and LIKE in known.values]
    others = [
        replace(known, values={name: kind for name, kind in known.values.items() if name not in (LIKE, SHARE)})
        if known in likes
        else known
        for known in tables
    ]
    return likes, others


def add_like_items(engine: Engine, plan: Plan, tables: Sequence[Known]) -> None:
    """Write each series' like item and share into the table of series."""
    tables = [known for known in tables if ITEM in known.keys]
    if not tables:
        return
    for name, kind in ((LIKE_ITEM, "text"), (LIKE_SHARE, "number")):
        engine.execute(f"ALTER TABLE {SERIES} ADD COLUMN {attribute_column(name)} VARCHAR")
        plan.columns.append(ColumnInfo(name=name, kind=kind, role="like"))
    for known in tables:
        keys = ", ".join(known.keys)
        joined = " AND ".join(f"{SERIES}.{key} = known.{key}" for key in known.keys)
        engine.execute(
            f"""UPDATE {SERIES} SET {attribute_column(LIKE_ITEM)} = known."like",
                {attribute_column(LIKE_SHARE)} = known.share FROM
                (SELECT {keys}, {_first_row(known)} GROUP BY {keys}) AS known WHERE {joined}"""
        )
        _note_several(engine, plan, known)
        _note_unknown(engine, plan, known, ITEM)
        _note_shares(engine, plan, known)


def borrow_stores(
    engine: Engine, plan: Plan, tables: Sequence[Known], periods: Periods, last: int
) -> dict[str, pa.Table]:
    """Return, by new store, what the like store sold of its items before its own first day, times the share."""
    borrowed: dict[str, pa.Table] = {}
    day = periods.start_sql("day")
    for known in tables:
        if known.keys != [STORE]:
            continue
        _note_several(engine, plan, known)
        _note_unknown(engine, plan, known, STORE)
        _note_shares(engine, plan, known)
        rows = engine.execute(
            f"""SELECT store, "like", share, first FROM (SELECT store, {_first_row(known)} GROUP BY store)
                JOIN {STORES} USING (store) WHERE "like" <> store ORDER BY store"""
        )
        for store, like, told, first in rows:
            both = _sum_both(store, like, first, last, day)
            share = float(told or _find_share(engine, both))
            of_item = f"{share!r} * (own + {USUAL_UNITS}) / ({share!r} * theirs + {USUAL_UNITS})"
            shares = f"""(SELECT {ITEM}, coalesce({"NULL" if told else of_item}, {share!r}) AS share
                FROM {SERIES} AS series LEFT JOIN {both} AS both_stores USING ({ITEM})
                WHERE series.store = {literal(store)})"""
            table = _borrow_units(engine, store, like, shares, first, day)
            if table.num_rows:
                borrowed[store] = table
                plan.notes.append(
                    f"Store {store!r} borrows what {like!r} sold of the same items before {day_date(first)}, "
                    f"times {share:.3g}."
                )
    return borrowed


def _first_row(known: Known) -> str:
    """Return SQL for the like and the share of rows with the same keys, the first like by name, and their source."""
    like = as_text(value_column(LIKE), known.values[LIKE])
    share = "NULL"
    if SHARE in known.values:
        number = as_number(value_column(SHARE), known.values[SHARE], known.table.decimal_comma)
        share = f"min_by(CASE WHEN {number} > 0 THEN {number} END, {like})"
    return f"""min({like}) AS "like", {share} AS share FROM {known.name} WHERE {like} <> ''"""


def _note_several(engine: Engine, plan: Plan, known: Known) -> None:
    """Note what is said to be like several, and what is said to be like itself."""
    like = as_text(value_column(LIKE), known.values[LIKE])
    key = known.keys[-1]
    said = f"""SELECT {key} AS name, min({like}) AS first, count(DISTINCT {like}) AS likes
        FROM {known.name} WHERE {like} <> '' GROUP BY {", ".join(known.keys)}"""
    for condition, what in (
        ("likes > 1", "several likes, of which the first by name counts"),
        ("likes = 1 AND first = name", "itself as the like, which says nothing"),
    ):
        names = [row[0] for row in engine.execute(f"SELECT DISTINCT name FROM ({said}) WHERE {condition} ORDER BY 1")]
        if names:
            plan.notes.append(
                f"{known.table.label} gives {count_noun(len(names), key)}, {name_examples(names)}, {what}."
            )


def _note_unknown(engine: Engine, plan: Plan, known: Known, key: str) -> None:
    """Note the names that the history does not have."""
    like = as_text(value_column(LIKE), known.values[LIKE])
    for cell, column, ending in (
        (key, key, "nothing is forecast of them before they have a row, be it of 0 units"),
        (like, LIKE, "nothing is borrowed from them"),
    ):
        lost = engine.execute(
            f"""SELECT DISTINCT {cell} FROM {known.name} WHERE {cell} <> ''
                AND {cell} NOT IN (SELECT {key} FROM {EVERY_ROW} WHERE {key} IS NOT NULL) ORDER BY 1"""
        )
        if lost:
            unknown = [str(row[0]) for row in lost]
            plan.notes.append(
                f"{known.table.label} names {count_noun(len(unknown), key)} as {column!r} that the history does not "
                f"have, {name_examples(unknown)}: {ending}."
            )


def _note_shares(engine: Engine, plan: Plan, known: Known) -> None:
    """Note the shares that are no numbers above 0."""
    if SHARE not in known.values:
        return
    share = value_column(SHARE)
    number = as_number(share, known.values[SHARE], known.table.decimal_comma)
    wrong = engine.execute(
        f"""SELECT DISTINCT CAST({share} AS VARCHAR) FROM {known.name}
            WHERE trim(CAST({share} AS VARCHAR)) <> '' AND coalesce({number}, 0) <= 0 ORDER BY 1"""
    )
    if wrong:
        plan.notes.append(
            f"{known.table.label} has shares that are no numbers above 0, {name_examples([row[0] for row in wrong])}: "
            "they count as not given."
        )


def _sum_both(store: str, like: str, first: int, last: int, day: str) -> str:
    """Return SQL for what a store and the one that it is like have sold of each item of both since the first opened."""
    own, theirs = (
        f"coalesce(greatest(sum({UNITS} ORDER BY day, {UNITS}) FILTER (store = {literal(name)}), 0), 0)"
        for name in (store, like)
    )
    return f"""(SELECT {ITEM}, {own} AS own, {theirs} AS theirs FROM {EVERY_ROW}
        WHERE store IN ({literal(store)}, {literal(like)}) AND {day} BETWEEN {first} AND {last}
        GROUP BY {ITEM} HAVING count(DISTINCT store) = 2)"""


def _find_share(engine: Engine, both: str) -> float:
    """Return the share of the like store's units that a store has sold; 1 where neither has sold."""
    own, theirs = engine.fetch_one(f"SELECT sum(own ORDER BY {ITEM}), sum(theirs ORDER BY {ITEM}) FROM {both}")
    return float(own / theirs) if own and theirs else 1.0


def _borrow_units(engine: Engine, store: str, like: str, shares: str, first: int, day: str) -> pa.Table:
    """Return the units of the like store before a day, times the shares of items."""
    return engine.fetch_table(
        f"""SELECT {ITEM}, (DATE '{EPOCH}' + {day}::INTEGER)::DATE AS {DATE},
            CAST(sum({UNITS} ORDER BY day, {UNITS}) * any_value(share) AS FLOAT) AS {UNITS}
            FROM {EVERY_ROW} JOIN {shares} AS shares USING ({ITEM})
            WHERE store = {literal(like)} AND {UNITS} IS NOT NULL AND day >= 0 AND {day} < {first}
            GROUP BY {ITEM}, {day} ORDER BY {ITEM}, {day}"""
    )
