"""Quantiles by name: `p` and the percent of outcomes that stay below, as in p2.5."""

import re
from collections.abc import Iterable, Sequence

from foreact.errors import ForeactError

# Every publication has these: the interval of 80 % and the median.
ALWAYS = (0.1, 0.5, 0.9)
# Backtests are too short to tell what happens more rarely.
LEAST, MOST = 0.5, 99.5
NAME = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")


def name_quantile(share: float) -> str:
    """Return the name of the quantile that this share of outcomes stays below."""
    return f"p{100 * share:.6g}"


def name_quantiles(shares: Sequence[float]) -> tuple[str, ...]:
    """Return the quantiles' names in their order."""
    return tuple(name_quantile(share) for share in shares)


def parse_quantiles(text: str) -> tuple[float, ...]:
    """Return the shares that a list of names asks for, in order, with p10, p50 and p90; raise for other names."""
    shares = set(ALWAYS)
    for name in filter(None, (part.strip() for part in text.split(","))):
        percent = _read_percent(name)
        if percent is None or not LEAST <= percent <= MOST:
            raise ForeactError(
                f"--quantiles names {name!r}: write p and a percent from {LEAST:g} to {MOST:g}, as in p5,p97.5."
            )
        # So that p10 is the same number however it is written.
        shares.add(round(percent / 100, 6))
    return tuple(sorted(shares))


def list_quantiles(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those columns that are quantiles, from the lowest to the highest."""
    percents = {column: _read_percent(column) for column in columns}
    found = {column: percent for column, percent in percents.items() if percent is not None}
    return tuple(sorted(found, key=found.__getitem__))


def _read_percent(name: str) -> float | None:
    match = NAME.fullmatch(name)
    return float(match[1]) if match else None
