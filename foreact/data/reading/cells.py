"""SQL that reads cells of any type as the text, number or flag that they stand for."""

import re
from pathlib import Path

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
FLOATS = {"FLOAT", "DOUBLE"}
# Types that hold nothing beyond the largest number that is believed.
NARROW = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "BOOLEAN"}
MOST = 1e12
# How files write that there is no value.
NOTHING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")


def quote(name: str) -> str:
    """Write a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text as an SQL literal."""
    # A zero byte would end the statement.
    parts = ["'" + part.replace("'", "''") + "'" for part in text.split("\0")]
    return "(" + " || chr(0) || ".join(parts) + ")"


def literal_file(path: Path) -> str:
    """Write a file's name as an SQL literal that is no pattern, whatever characters it has."""
    return literal(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def is_number(kind: str) -> bool:
    """Return whether a column of that SQL type holds numbers."""
    return kind in INTEGERS or kind in FLOATS or kind.startswith("DECIMAL") or kind in {"BOOLEAN", "UHUGEINT"}


def is_nested(kind: str) -> bool:
    """Return whether a column of that SQL type holds more than one value a cell."""
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT"))


def as_text(column: str, kind: str) -> str:
    """Return the text of a cell: an id written as 1.0 because others were missing is still 1."""
    if kind == "VARCHAR":
        return column
    if kind in FLOATS:
        whole = f"isfinite({column}) AND {column} = floor({column}) AND abs({column}) < 1e15"
        return f"CASE WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) ELSE CAST({column} AS VARCHAR) END"
    return f"CAST({column} AS VARCHAR)"


def as_value(column: str, kind: str) -> str:
    """Return a cell, text unless it is a number, or nothing where the file says that there is no value."""
    if kind == "VARCHAR":
        nothing = ", ".join(literal(text) for text in NOTHING)
        return f"CASE WHEN trim({column}) IN ({nothing}) THEN NULL ELSE {column} END"
    if kind in FLOATS:
        return f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END"
    return as_text(column, kind)


def as_number(column: str, kind: str, decimal_comma: bool = False) -> str:
    """Return the finite number of a cell, or nothing."""
    if kind == "VARCHAR":
        comma = f"contains({column}, ',') AND NOT contains({column}, '.')"
        plain = f"CASE WHEN {comma} THEN replace({column}, ',', '.') ELSE {column} END" if decimal_comma else column
        number = f"TRY_CAST({plain} AS DOUBLE)"
    else:
        number = f"CAST({column} AS DOUBLE)"
        if kind in NARROW:
            return number
    return f"CASE WHEN isfinite({number}) AND abs({number}) <= {MOST:g} THEN {number} END"


def as_flag(column: str, kind: str) -> str:
    """Return SQL for whether a cell says yes, no or nothing."""
    if is_number(kind):
        return f"CASE CAST({column} AS DOUBLE) WHEN 1 THEN TRUE WHEN 0 THEN FALSE END"
    text = f"lower(trim({as_text(column, kind)}))"
    return (
        f"CASE WHEN {text} IN ('1', '1.0', 'true', 't', 'yes', 'y') THEN TRUE "
        f"WHEN {text} IN ('0', '0.0', 'false', 'f', 'no', 'n') THEN FALSE END"
    )
