"""The history as typed rows: what each cell stands for, which series there are, which rows cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from foreact.data.reading.cells import (
    FLOATS,
    NOTHING,
    as_flag,
    as_number,
    as_text,
    as_value,
    is_nested,
    is_number,
    literal,
    quote,
)
from foreact.data.reading.columns import find_roles, missing_column
from foreact.data.reading.dates import EPOCH, day_number, read_dates
from foreact.data.reading.engine import Engine
from foreact.data.reading.problems import ReadAll
from foreact.data.reading.schema import (
    EVERY_ROW,
    FAULTY_ROWS,
    FILE,
    FILE_COLUMN,
    HISTORY,
    TYPED_ROWS,
    USABLE_ROWS,
    name_dates,
    name_earlier,
    name_texts,
    value_column,
)
from foreact.data.reading.tables import Table
from foreact.errors import ForeactError
from foreact.vocabulary import DATE, ITEM, OPEN, ROLES, STOCKOUT, STORE, UNITS, WHOLE_STORE

MOST_DATES = 100_000
# What is wrong with a row that may be right tomorrow.
FUTURE = "date in the future"
# What is wrong with a cell that is blanked, by its role; its row stays.
BLANKED = {
    UNITS: "units that are not a number, or beyond 1e12",
    **{flag: f"{flag} that is neither 0 nor 1" for flag in (OPEN, STOCKOUT)},
}


@dataclass(frozen=True)
class History:
    """The view of a history's usable rows, and what its columns are."""

    table: Table
    roles: dict[str, str]
    # The other columns, by name.
    others: dict[str, str]
    # SQL for the day number of a row of the table.
    day: str

    @property
    def with_items(self) -> bool:
        """Whether it has a column of items."""
        return ITEM in self.roles


def open_history(
    engine: Engine,
    table: Table,
    columns: Mapping[str, str],
    today: date,
    store: str | None,
    earlier: Mapping[str, int] | None = None,
) -> History:
    """Define the views over a history: of the rows that can be used, and of those that cannot.

    Dates are read as they would be with those of files that are not read again; `earlier` is how many rows of the
    dataset before have each text.
    A row whose store, item or date cannot be read is left out; a row whose units or flags cannot be read stays, with
    nothing in that cell: no more is known of that day than that something was written.
    """
    roles = _roles_of(table, columns)
    texts = {role: as_text(quote(name), table.kinds[name]) for role, name in roles.items()}
    day = read_days(engine, table, roles[DATE], name_dates(HISTORY.name), earlier)
    cells = {
        FILE: FILE_COLUMN,
        STORE: texts[STORE],
        ITEM: texts.get(ITEM, literal(WHOLE_STORE)),
        "day": day,
        UNITS: as_number(quote(roles[UNITS]), table.kinds[roles[UNITS]], table.decimal_comma),
        **{flag: as_flag(quote(roles[flag]), table.kinds[roles[flag]]) for flag in (OPEN, STOCKOUT) if flag in roles},
    }
    others = {
        name: kind
        for name, kind in table.kinds.items()
        if name not in roles.values() and name not in ROLES and not is_nested(kind)
    }
    latest = day_number(today)
    blank = {
        role: f"trim({texts[role]}) IN ({', '.join(map(literal, NOTHING))})"
        for role in (UNITS, OPEN, STOCKOUT)
        if role in roles
    }
    lost = [
        *((f"no {key}", f"{key} IS NULL OR {key} = ''") for key in (STORE, ITEM)),
        *((f"{key} with a zero byte", f"contains({key}, chr(0))") for key in (STORE, ITEM)),
        ("no date that can be read", "day IS NULL"),
        ("date before 1990", "day < 0"),
        (FUTURE, f"day > {latest}"),
    ]
    blanked = [(rule, role) for role, rule in BLANKED.items() if role in roles]
    originals = ", ".join(f"{texts[role]} AS original_{role}" for role in roles)
    where = f"WHERE {STORE} = {literal(store)}" if store is not None else ""
    engine.execute(
        f"""CREATE VIEW {EVERY_ROW} AS SELECT {", ".join(f"{cell} AS {name}" for name, cell in cells.items())},
            {"".join(f"{as_cell(name, kind)} AS {value_column(name)}, " for name, kind in others.items())}
            {"".join(f"{test} AS blank_{role}, " for role, test in blank.items())} {originals}
            FROM {quote(table.view)}"""
    )
    engine.execute(f"CREATE VIEW {TYPED_ROWS} AS SELECT * FROM {EVERY_ROW} {where}")
    unusable = " OR ".join(f"({test})" for _, test in lost)
    engine.execute(f"CREATE VIEW {USABLE_ROWS} AS SELECT * FROM {TYPED_ROWS} WHERE NOT coalesce({unusable}, FALSE)")
    engine.execute(f"CREATE VIEW {HISTORY} AS SELECT * FROM {USABLE_ROWS}")
    faults = [
        *lost,
        *((rule, f"{role} IS NULL AND original_{role} IS NOT NULL AND NOT blank_{role}") for rule, role in blanked),
    ]
    cases = " ".join(f"WHEN {test} THEN {literal(rule)}" for rule, test in faults)
    shown = ", ".join(
        f"original_{role} AS {role}" if role in roles else f"NULL::VARCHAR AS {role}"
        for role in (STORE, ITEM, DATE, UNITS)
    )
    engine.execute(
        f"""CREATE VIEW {FAULTY_ROWS} AS SELECT CASE {cases} END AS rule, {shown}, NULL::VARCHAR AS detail, {FILE}
            FROM {TYPED_ROWS} WHERE {" OR ".join(f"({test})" for _, test in faults)}"""
    )
    return History(table, roles, others, day)


def _roles_of(table: Table, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each role; raise if one that is needed is absent."""
    roles = find_roles(table.kinds, columns)
    for role in (DATE, STORE, UNITS):
        if role not in roles:
            raise missing_column(role, table.kinds, columns, table.label)
    for role in columns:
        # Whether a store is open may stand in a known table alone.
        if role == OPEN and role not in roles:
            continue
        if roles.get(role) != columns[role]:
            raise missing_column(role, table.kinds, columns, table.label)
    return roles


def as_cell(name: str, kind: str) -> str:
    """Return SQL for a cell of a column beyond the roles: numbers as they are, all else as text."""
    return quote(name) if is_number(kind) and kind not in FLOATS else as_value(quote(name), kind)


def read_days(engine: Engine, table: Table, name: str, dates: str, earlier: Mapping[str, int] | None = None) -> str:
    """Return SQL for the day number of a date column, after deciding how its texts are to be read."""
    column, kind, texts = quote(name), table.kinds[name], name_texts(dates)
    engine.execute(f"CREATE TABLE {texts} (file INTEGER, text VARCHAR, rows BIGINT)")
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        # A moment is of the day that it has in UTC.
        zoned = f"CAST({column} AS TIMESTAMPTZ)" if "TZ" in kind or "ZONE" in kind else column
        moment = column if kind == "DATE" else f"CAST({zoned} AS TIMESTAMP)"
        return f"CASE WHEN isfinite({moment}) THEN CAST({moment} AS DATE) - DATE '{EPOCH}' END"
    text = as_text(column, kind)
    engine.execute(
        f"""INSERT INTO {texts} SELECT {FILE_COLUMN}, {text}, count(*) FROM {quote(table.view)}
            WHERE {column} IS NOT NULL GROUP BY ALL"""
    )
    if earlier is not None:
        engine.execute(f"INSERT INTO {texts} SELECT * FROM {name_earlier(texts)}")
    counts: dict[str, int] = dict(
        engine.execute(f"SELECT text, sum(rows) FROM {texts} GROUP BY text ORDER BY text LIMIT {MOST_DATES + 1}")
    )
    if len(counts) > MOST_DATES:
        raise ForeactError(
            f"Column {name!r} of {table.label} holds more than {MOST_DATES:,} different texts: these are not dates."
        )
    dates_by_text = read_dates(counts, name)
    if earlier:
        was = read_dates(earlier, name)
        if any(was.get(text) != dates_by_text.get(text) for text in counts.keys() & earlier.keys()):
            raise ReadAll("dates are read in another way")
    days = [day_number(day) for day in dates_by_text.values()]
    known = {"foreact text": pa.array(list(dates_by_text), pa.string()), "foreact day": pa.array(days, pa.int32())}
    # Names that no file's column has: within the look-up such a column would otherwise be taken for ours.
    engine.register_table(dates, pa.table(known))
    return f'(SELECT any_value("foreact day") FROM {dates} WHERE "foreact text" = {text})'
