"""Reading dates as retailers write them: one way of writing for the whole column, decided by the column itself."""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from foreact.errors import ForeactError, name_examples

# Day numbers count from here; nothing before it is believed.
EPOCH = date(1990, 1, 1)

_TIME = r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"\s*(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}\s*", re.ASCII)
_COMPACT = re.compile(r"\s*(\d{4})(\d{2})(\d{2})\s*", re.ASCII)
_DOTTED = re.compile(rf"\s*(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}}){_TIME}\s*", re.ASCII)
_PLAIN = re.compile(rf"\s*(\d{{1,2}})([-/])(\d{{1,2}})\2(\d{{4}}){_TIME}\s*", re.ASCII)


def _make_date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _read_year_first(text: str) -> date | None:
    match = _YEAR_FIRST.fullmatch(text)
    return _make_date(match[1], match[3], match[4]) if match else None


def _read_compact(text: str) -> date | None:
    match = _COMPACT.fullmatch(text)
    return _make_date(match[1], match[2], match[3]) if match else None


def _read_dotted(text: str) -> date | None:
    match = _DOTTED.fullmatch(text)
    return _make_date(match[3], match[2], match[1]) if match else None


def _read_day_first(text: str) -> date | None:
    match = _PLAIN.fullmatch(text)
    return _make_date(match[4], match[3], match[1]) if match else None


def _read_month_first(text: str) -> date | None:
    match = _PLAIN.fullmatch(text)
    return _make_date(match[4], match[1], match[3]) if match else None


WAYS: dict[str, Callable[[str], date | None]] = {
    "2025-03-31": _read_year_first,
    "20250331": _read_compact,
    "31.03.2025": _read_dotted,
    "31/03/2025": _read_day_first,
    "03/31/2025": _read_month_first,
}


def read_dates(counts: Mapping[str, int], column: str) -> dict[str, date]:
    """Read a column's different texts (with the rows that have each) in the one way that fits most rows.

    What that way cannot read is left out. Day and month that could as well be the other way round are an error.
    """
    readings: dict[str, dict[str, date]] = {}
    rows: dict[str, int] = {}
    for way, read in WAYS.items():
        dates = {text: day for text in counts if (day := read(text)) is not None}
        readings[way], rows[way] = dates, sum(counts[text] for text in dates)
    best = max(rows, key=lambda way: rows[way])
    day_first, month_first = "31/03/2025", "03/31/2025"
    if rows[day_first] == rows[month_first] == rows[best] > 0 and readings[day_first] != readings[month_first]:
        raise ForeactError(
            f"Column {column!r} has dates such as {name_examples(list(readings[day_first]), 2)}, which may be "
            "day/month or month/day; write them as YYYY-MM-DD."
        )
    return readings[best]


def day_number(day: date) -> int:
    """Count the days since the epoch."""
    return (day - EPOCH).days


def day_date(number: int) -> date:
    """Return the date of a day number."""
    return EPOCH + timedelta(days=number)
