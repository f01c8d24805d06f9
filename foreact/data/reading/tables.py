"""A table of any number of CSV and Parquet files as one view for SQL."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from foreact.data.reading.cells import as_text, is_nested, literal, quote
from foreact.data.reading.engine import Engine
from foreact.data.reading.headers import Header, read_header
from foreact.data.reading.schema import MALFORMED_LINES
from foreact.errors import ForeactError


@dataclass(frozen=True)
class Table:
    """A view whose columns are named as in the files, and the SQL type of each."""

    label: str
    view: str
    kinds: dict[str, str]
    decimal_comma: bool = False


def open_table(engine: Engine, label: str, files: list[tuple[str, Path]], view: str) -> Table:
    """Make files one view; CSV goes through a Parquet copy of its texts, so that it is parsed once.

    Lines that are not rows of their file are kept in a table of their own.
    """
    groups: dict[Header, list[Path]] = defaultdict(list)
    for name, path in files:
        header = read_header(path, name)
        if header is not None:
            groups[header].append(path)
    if not groups:
        raise ForeactError(f"{label} is empty: there is no header, and no row.")
    engine.execute(f"CREATE TABLE IF NOT EXISTS {MALFORMED_LINES} (label VARCHAR, line VARCHAR)")
    parts = []
    for number, (header, paths) in enumerate(groups.items()):
        copy = engine.scratch / f"{view}-{number}.parquet"
        if header.format == "csv":
            _copy_csv(engine, label, header, paths, copy)
        parts.append(_describe_file(engine, [copy] if header.format == "csv" else paths))
    kinds = _unify_columns(engine, view, parts)
    separated_otherwise = [header.delimiter != "," for header in groups if header.format == "csv"]
    return Table(label, view, kinds, bool(separated_otherwise) and all(separated_otherwise))


# DuckDB shows no more than the first 10,000 bytes of what it cannot read, less a character cut in two.
SHOWN_BYTES = 9_990


def _copy_csv(engine: Engine, label: str, header: Header, paths: list[Path], copy: Path) -> None:
    # Columns go by position while reading, because names may be anything and differ in their case only.
    types = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(header.columns)))
    names = ", ".join(
        f"c{index} AS {quote(name or f'column {index + 1}')}" for index, name in enumerate(header.columns)
    )
    engine.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    engine.execute(
        f"""COPY (SELECT {names} FROM read_csv({_list_files(paths)}, auto_detect = false, header = true,
            columns = {{{types}}}, delim = {literal(header.delimiter)}, quote = '"', escape = '"', nullstr = '',
            compression = '{"gzip" if header.gzipped else "none"}', max_line_size = 4000000, store_rejects = true,
            rejects_limit = 0)) TO {literal(str(copy))} (FORMAT parquet, COMPRESSION snappy)"""
    )
    # A quote that is never closed takes what follows into its line: each line of it is a row that is lost.
    engine.execute(
        f"""INSERT INTO {MALFORMED_LINES} SELECT {literal(label)}, left(lost, 1000) FROM (
            SELECT unnest(string_split_regex(rtrim(any_value(csv_line), chr(13) || chr(10)), '\\r?\\n')) AS lost
            FROM reject_errors GROUP BY scan_id, file_id, line)"""
    )
    line, begins = engine.fetch_one(
        f"""SELECT min(line), arg_min(left(split_part(csv_line, chr(10), 1), 80), line) FROM reject_errors
            WHERE error_type = 'UNQUOTED VALUE' AND contains(csv_line, chr(10)) AND strlen(csv_line) > {SHOWN_BYTES}"""
    )
    if line is not None:
        raise ForeactError(
            f"A quote in line {line:,} of {label} is opened and never closed, so that the lines after it are lost: "
            f"{begins!r}. Close it, or write it twice where it belongs to a name."
        )


def _describe_file(engine: Engine, paths: list[Path]) -> tuple[str, dict[str, str]]:
    source = f"read_parquet({_list_files(paths)}, union_by_name = true, binary_as_string = true)"
    rows = engine.execute(f"DESCRIBE SELECT * FROM {source}")
    return source, {name: kind for name, kind, *_ in rows}


def _unify_columns(engine: Engine, view: str, parts: list[tuple[str, dict[str, str]]]) -> dict[str, str]:
    """Bring files of several headers under one: a column keeps its type where all agree, else becomes text."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for _, columns in parts:
        for name, kind in columns.items():
            kinds[name].add(kind)
    final = {
        name: different.pop() if len(different) == 1 else "VARCHAR"
        for name, different in kinds.items()
        if not any(map(is_nested, different))
    }

    def select(source: str, columns: dict[str, str]) -> str:
        cells = []
        for name, kind in final.items():
            if name not in columns:
                cell = f"CAST(NULL AS {kind})"
            else:
                cell = quote(name) if columns[name] == kind else as_text(quote(name), columns[name])
            cells.append(f"{cell} AS {quote(name)}")
        return f"SELECT {', '.join(cells)} FROM {source}"

    engine.execute(f"CREATE VIEW {quote(view)} AS " + " UNION ALL ".join(select(*part) for part in parts))
    return final


def _list_files(paths: list[Path]) -> str:
    return "[" + ", ".join(literal(str(path)) for path in paths) + "]"
