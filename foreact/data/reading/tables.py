"""A table of any number of CSV and Parquet files as one view for SQL."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from foreact.data.reading.cells import as_text, is_nested, literal, literal_file, quote
from foreact.data.reading.engine import Engine
from foreact.data.reading.headers import Header, read_header
from foreact.data.reading.problems import ReadAll
from foreact.data.reading.schema import FILE_COLUMN, FILE_NAME, MALFORMED_LINES, name_files
from foreact.data.reading.shapes import LONGEST_LINE
from foreact.data.reading.sources import find_partition
from foreact.errors import ForeactError

# By a name that no file's column has.
PATH = "foreact path"
PATH_OPTION = f"filename = {literal(PATH)}"
PARQUET_OPTIONS = "union_by_name = true, binary_as_string = true, hive_partitioning = false"


@dataclass(frozen=True)
class Table:
    """A view whose columns are named as in the files, and the SQL type of each."""

    label: str
    view: str
    kinds: dict[str, str]
    decimal_comma: bool = False
    # What its files look like, and the SQL type of each of their columns.
    forms: dict[str, dict[str, str]] = field(default_factory=dict)
    # By file that has any content what tells its form, and the types of its own columns.
    looks: dict[int, str] = field(default_factory=dict)


def open_table(
    engine: Engine,
    label: str,
    files: list[tuple[str, Path]],
    view: str,
    earlier: Mapping[str, dict[str, str]] | None = None,
    numbers: Iterable[int] | None = None,
) -> Table:
    """Make files one view; CSV goes through a Parquet copy of its texts, so that it is parsed once.

    Lines that are not rows of their file are kept in a table of their own. With the forms of files that were read
    `earlier` the view reads cells as one of all files would; the files then have `numbers` in the listing of all.
    """
    groups: dict[tuple[Header, tuple[str, ...]], list[File]] = defaultdict(list)
    looks: dict[int, str] = {}
    for number, (name, path) in zip(range(len(files)) if numbers is None else numbers, files, strict=True):
        header = read_header(path, name)
        if header is not None:
            named = {column.casefold() for column in header.columns}
            folders = {key: value for key, value in find_partition(name).items() if key.casefold() not in named}
            keys = tuple(sorted(folders))
            groups[header, keys].append(File(path, number, folders))
            looks[number] = hashlib.sha256(f"{_name_form(header, keys)} {header.types}".encode()).hexdigest()[:16]
    if not groups and not earlier:
        raise ForeactError(f"{label} is empty: there is no header, and no row.")
    engine.execute(f"CREATE TABLE IF NOT EXISTS {MALFORMED_LINES} (label VARCHAR, file INTEGER, line VARCHAR)")
    parts, forms = [], dict(earlier or {})
    for number, ((header, keys), found) in enumerate(groups.items()):
        place = Place(found, keys, name_files(view, number))
        _register_files(engine, place)
        if header.format == "csv":
            copy = engine.scratch / f"{view}-{number}.parquet"
            _copy_csv(engine, label, header, place, copy)
            source = f"read_parquet({literal(str(copy))}, {PARQUET_OPTIONS})"
        else:
            rows = place.join_files(f"read_parquet({place.listed}, {PARQUET_OPTIONS}, {PATH_OPTION})")
            source = f"(SELECT * EXCLUDE ({quote(PATH)}) FROM {rows})"
        parts.append(_describe_source(engine, label, source))
        form, columns = _name_form(header, keys), parts[-1][1]
        if earlier and forms.get(form, columns) != columns:
            raise ReadAll("columns are of other types")
        forms[form] = {**forms.get(form, {}), **columns}
    kinds, decimal_comma = _unify_forms(forms)
    if earlier and _unify_forms(earlier) != (kinds, decimal_comma):
        raise ReadAll("there are other columns")
    _create_view(engine, view, parts, kinds)
    return Table(label, view, kinds, decimal_comma, forms, looks)


def _name_form(header: Header, keys: tuple[str, ...]) -> str:
    return json.dumps([header.format, header.delimiter, header.columns, keys])


@dataclass(frozen=True)
class File:
    """A file, its number in the listing, and the columns that its folders name."""

    path: Path
    number: int
    folders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Files of the same columns, those that their folders name, and the table that says which file has which."""

    files: list[File]
    keys: tuple[str, ...]
    table: str

    @property
    def listed(self) -> str:
        """The files in SQL."""
        return "[" + ", ".join(literal_file(one.path) for one in self.files) + "]"

    def join_files(self, source: str) -> str:
        """Return the FROM clause of a source that has each row's path, with its file and the columns of the folders."""
        return f"{source} JOIN {quote(self.table)} USING ({quote(PATH)})"


def _register_files(engine: Engine, place: Place) -> None:
    def read(file: File, key: str) -> str | None:
        return None if file.folders[key] == NO_VALUE else file.folders[key]

    columns = {key: pa.array([read(file, key) for file in place.files], pa.string()) for key in place.keys}
    paths = pa.array([str(file.path) for file in place.files], pa.string())
    numbers = pa.array([file.number for file in place.files], pa.int32())
    engine.register_table(place.table, pa.table({PATH: paths, FILE_NAME: numbers, **columns}))


# What Hive writes for a folder of rows that have nothing in its column.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
# DuckDB shows no more than the first 10,000 bytes of what it cannot read, less a character cut in two.
SHOWN_BYTES = 9_990


def _copy_csv(engine: Engine, label: str, header: Header, place: Place, copy: Path) -> None:
    # Columns go by position while reading, because names may be anything and differ in their case only.
    types = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(header.columns)))
    cells = (f"c{index} AS {quote(name or f'column {index + 1}')}" for index, name in enumerate(header.columns))
    names = ", ".join([FILE_COLUMN, *cells, *map(quote, place.keys)])
    engine.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    source = f"""read_csv({place.listed}, auto_detect = false, header = true, hive_partitioning = false,
        columns = {{{types}}}, delim = {literal(header.delimiter)}, quote = '"', escape = '"', nullstr = '',
        compression = '{"gzip" if header.gzipped else "none"}', max_line_size = {LONGEST_LINE}, store_rejects = true,
        rejects_limit = 0, {PATH_OPTION})"""
    try:
        engine.execute(
            f"COPY (SELECT {names} FROM {place.join_files(source)}) TO {literal(str(copy))} "
            "(FORMAT parquet, COMPRESSION snappy)"
        )
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise ForeactError(
            f"{label} cannot be read as CSV ({_shorten(error)}): its lines end in different ways, or a quote is out of "
            "place; save it again as CSV in UTF-8 with one kind of line ending, or as Parquet."
        ) from error
    # A quote that is never closed takes what follows into its line: each line of it is a row that is lost.
    engine.execute(
        f"""INSERT INTO {MALFORMED_LINES} SELECT {literal(label)}, {FILE_COLUMN}, left(lost, 1000) FROM (
            SELECT any_value(file_path) AS {quote(PATH)},
            unnest(string_split_regex(rtrim(any_value(csv_line), chr(13) || chr(10)), '\\r?\\n')) AS lost
            FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY scan_id, file_id, line)
            JOIN {quote(place.table)} USING ({quote(PATH)})"""
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


def _describe_source(engine: Engine, label: str, source: str) -> tuple[str, dict[str, str]]:
    try:
        rows = engine.execute(f"DESCRIBE SELECT * EXCLUDE ({FILE_COLUMN}) FROM {source}")
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        raise ForeactError(f"{label} cannot be read ({_shorten(error)}); write its Parquet files again.") from error
    return source, {name: kind for name, kind, *_ in rows}


def _shorten(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("Invalid Input Error: ").rstrip(".")


def _unify_forms(forms: Mapping[str, dict[str, str]]) -> tuple[dict[str, str], bool]:
    """Bring files of several forms under one; return the columns' types, and whether numbers have decimal commas.

    A column keeps its type where all agree, else becomes text.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    commas = []
    # In an order that does not depend on the files' names.
    for form, columns in sorted(forms.items()):
        for name, kind in columns.items():
            kinds[name].add(kind)
        if (read := json.loads(form))[0] == "csv":
            commas.append(read[1] != ",")
    final = {
        name: min(different) if len(different) == 1 else "VARCHAR"
        for name, different in kinds.items()
        if not any(map(is_nested, different))
    }
    return final, bool(commas) and all(commas)


def _create_view(engine: Engine, view: str, parts: list[tuple[str, dict[str, str]]], final: Mapping[str, str]) -> None:
    def select(source: str, columns: dict[str, str], file: str = FILE_COLUMN) -> str:
        cells = [f"{file} AS {FILE_COLUMN}"]
        for name, kind in final.items():
            if name not in columns:
                cell = f"CAST(NULL AS {kind})"
            else:
                cell = quote(name) if columns[name] == kind else as_text(quote(name), columns[name])
            cells.append(f"{cell} AS {quote(name)}")
        return f"SELECT {', '.join(cells)} FROM {source}"

    none = select("(SELECT 1) WHERE FALSE", {}, "CAST(NULL AS INTEGER)")
    selected = " UNION ALL ".join(select(*part) for part in parts) or none
    engine.execute(f"CREATE VIEW {quote(view)} AS {selected}")
