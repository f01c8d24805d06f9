"""Rows as CSV, some at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from fastapi import Request

from foreact.spreadsheets import guard_text
from serving.api.answers import ROWS_AT_ONCE, read_preference

Format = Literal["json", "csv"]


def wants_csv(request: Request, format: Format | None) -> bool:
    """Return whether rows should be CSV: `format` says so, or else the Accept header wants it more than JSON."""
    if format is not None:
        return format == "csv"
    accept = request.headers.get("accept", "")
    return read_preference(accept, "text/csv") > read_preference(accept, "application/json")


def csv_chunks(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Write rows, each number as short as it is exact, and no text that a spreadsheet takes for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    for count, row in enumerate(rows, 1):
        writer.writerow([_write_cell(row[column]) for column in columns])
        if count % ROWS_AT_ONCE == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _write_cell(value: Any) -> str:
    if value is None:
        return ""
    return guard_text(value) if isinstance(value, str) else str(value)
