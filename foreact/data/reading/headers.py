"""What a file is, seen from its first bytes: its format, its columns, its way of separating them."""

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet

from foreact.data.reading.shapes import check_shape, check_width
from foreact.errors import ForeactError, name_examples

SAMPLE = 1 << 20
LINE_BREAK = re.compile(rb"[\r\n]")
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Header:
    """A file's format and columns; files with the same header are read together, whatever types their columns have."""

    format: Literal["csv", "parquet"]
    columns: tuple[str, ...]
    delimiter: str = ","
    gzipped: bool = False
    types: tuple[str, ...] = field(default=(), compare=False)


def read_header(path: Path, name: str) -> Header | None:
    """Look at a file's beginning; None for a file without any content."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if not start:
            return None
        if start == b"PAR1":
            names, types = _read_schema(path, name)
            return Header("parquet", _check_names(names, name), types=types)
        if start[:2] == b"PK":
            raise ForeactError(f"{name} is a ZIP or Excel file; save it as CSV (UTF-8) or Parquet.")
        gzipped = start[:2] == b"\x1f\x8b"
        with gzip.open(path) if gzipped else path.open("rb") as file:
            sample = file.read(SAMPLE)
    except (EOFError, zlib.error) as error:
        raise ForeactError(f"{name} is cut off or damaged: upload it again.") from error
    except OSError as error:
        raise ForeactError(f"{name} cannot be read: {_explain_error(error)}.") from error
    header = _read_csv_header(sample, gzipped, name)
    if header is not None:
        check_shape(path, name, header.delimiter, gzipped)
    return header


def _read_schema(path: Path, name: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns of a Parquet file, and what tells their types."""
    try:
        schema = pa.parquet.read_metadata(path).schema
        cells = [schema.column(place) for place in range(len(schema))]
        types = (f"{c.path} {c.physical_type} {c.length} {c.converted_type} {c.logical_type}" for c in cells)
        return list(schema.to_arrow_schema().names), tuple(types)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # Arrow reports damage as an OSError without a number, or stumbles over a name.
        if getattr(error, "errno", None):
            raise
        raise ForeactError(f"{name} is a broken Parquet file; write it again.") from error


def _read_csv_header(sample: bytes, gzipped: bool, name: str) -> Header | None:
    if sample[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ForeactError(f"{name} is encoded as UTF-16; save it as UTF-8.")
    if b"\0" in sample:
        raise ForeactError(f"{name} is not a CSV or Parquet file: it has zero bytes in it.")
    if len(sample) == SAMPLE and not LINE_BREAK.search(sample):
        raise ForeactError(
            f"The first line of {name} goes on for more than {SAMPLE // 10**6} MB; it must name the columns, and end "
            "in a line break."
        )
    whole = sample[: sample.rfind(b"\n")] if len(sample) == SAMPLE and b"\n" in sample else sample
    try:
        text = whole.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = sample.count(b"\n", 0, error.start) + 1
        raise ForeactError(
            f"{name} is not UTF-8 (byte 0x{sample[error.start]:02X} in line {line}); save it as UTF-8."
        ) from error
    if not text.strip():
        return None
    rows = {delimiter: _first_row(text, delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda one: len(rows[one]))
    if not any(rows[delimiter]):
        raise ForeactError(f"The first line of {name} is blank; it must name the columns.")
    columns = _check_names([column.strip() for column in rows[delimiter]], name)
    return Header("csv", columns, delimiter, gzipped)


def _check_names(names: list[str], file: str) -> tuple[str, ...]:
    """Refuse names that SQL could not tell apart, and more of them than a table has."""
    check_width(len(names), file)
    folded = Counter(name.casefold() for name in names)
    twice = sorted({name for name in names if folded[name.casefold()] > 1})
    if twice:
        raise ForeactError(
            f"{file} has more than one column named {name_examples(twice)}; rename or remove all but one."
        )
    return tuple(names)


def _first_row(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _explain_error(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
