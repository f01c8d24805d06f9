"""Numbers, days and moments as people read them; every number with its unit nearby."""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from serving.dashboard.columns import Unit

MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"

# What planners call the experts.
EXPERTS = {
    "store": "the store's own model",
    "chain": "the chain's model",
    "weekday_mean": "the mean by weekday",
    "smoothing": "smoothing",
    "seasonal_naive": "last week again",
    "last_year": "last year",
}


def format_units(value: float | None) -> str:
    """Write a quantity: whole from ten on, one decimal below."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{abs(value):,.0f}" if abs(value) >= 9.95 or value == 0 else f"{abs(value):.1f}"
    return (MINUS if value < 0 and text.strip("0.") else "") + text


def format_count(value: int) -> str:
    """Write a number of things."""
    return f"{value:,}"


def format_experts(shares: Mapping[str, float]) -> str:
    """Write which experts made a forecast, the largest share first; what rounds to nothing is left out."""
    largest = sorted(shares.items(), key=lambda each: -each[1])
    return ", ".join(f"{EXPERTS.get(name, name)} {format_percent(share)}" for name, share in largest if share >= 0.005)


def format_difference(value: float, other: float) -> str:
    """Write how far one quantity is above another, so that it adds up with the two as they are written."""
    written = [format_units(each).replace(",", "").replace(MINUS, "-") for each in (value, other)]
    difference = float(written[0]) - float(written[1])
    return format_units(difference) if "." in "".join(written) else f"{difference:,.0f}".replace("-", MINUS)


def format_percent(value: float | None) -> str:
    """Write a share."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value * 100:.0f}{NARROW}%"


def format_change(value: float | None) -> str:
    """Write a change against something, always with its sign."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{abs(value) * 100:,.0f}{NARROW}%"
    if text == f"0{NARROW}%":
        return f"\N{PLUS-MINUS SIGN}{text}"
    return (MINUS if value < 0 else "+") + text


def format_points(value: float | None) -> str:
    """Write a change in whole percent without the sign %, for tables whose heading has it."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{abs(value) * 100:,.0f}"
    return text if text == "0" else (MINUS if value < 0 else "+") + text


def format_day(value: date | str, *, year: bool = False) -> str:
    """Write a day with its weekday."""
    value = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{value:%a} {value.day} {value:%b}" + (f" {value:%Y}" if year else "")


def format_moment(value: datetime, zone: tzinfo) -> str:
    """Write a moment in a time zone."""
    local = value.astimezone(zone)
    return f"{format_day(local.date(), year=True)}, {local:%H:%M}"


def format_driver(name: str) -> str:
    """Write a driver that is named after a column of the data as people write it."""
    return name.replace("_", " ")


def format_age(value: timedelta) -> str:
    """Write how long something is ago, roughly."""
    seconds = value.total_seconds()
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


# A moment is written as how long ago it is, so by `format_cell`.
WRITERS: dict[Unit, Callable[[Any], str]] = {
    "text": str,
    "units": format_units,
    "share": format_change,
    "percentage": format_percent,
    "count": format_count,
    "day": format_day,
}


def format_cell(value: Any, unit: Unit, now: datetime) -> str:
    """Write a table's cell in the unit of its column; a moment as how long ago it is."""
    return format_age(now - value) if unit == "moment" else WRITERS[unit](value)
