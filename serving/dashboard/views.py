"""What pages and their exports show, worked out once from the arrays, so that both are the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.alerts.ranking import WINDOW, YEAR, Alert, known, levels, ranked, sold_on
from serving.board import View
from serving.cache import StoreArrays
from serving.cache.tables import Days, Floats

Doubles = NDArray[np.float64]
DAY = np.timedelta64(1, "D")
MOST_HEAT_ROWS = 60
HEAT_DAYS = 14


@dataclass(frozen=True)
class Series:
    """One chart: what is expected with its band, what was sold, and the same days last year."""

    dates: list[str]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]
    past_dates: list[str]
    past: list[float | None]
    last_year: list[float | None]
    # How many stores' bands were added up; of more than one the band is at least as wide as said.
    bands: int

    def to_json(self) -> dict[str, Any]:
        """Give it for the chart."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def in_step(stores: Sequence[StoreArrays]) -> list[StoreArrays]:
    """Give the stores that have numbers for the week that the newest forecast begins with.

    Those that a run has left behind for so long stand in no sum: what it adds up has to be of the same days.
    """
    newest = max(stores, key=lambda arrays: arrays.dates[0])
    until = newest.dates[min(WINDOW, len(newest.dates)) - 1]
    return [arrays for arrays in stores if arrays.dates[-1] >= until]


def total_series(stores: Sequence[StoreArrays]) -> Series:
    """Add up the totals of stores in step by day; days that not every store covers are left out."""
    first = max(arrays.dates[0] for arrays in stores)
    last = min(arrays.dates[-1] for arrays in stores)
    days: Days = np.arange(first, last + DAY)
    parts = [slice(*arrays.span(str(first), str(last))) for arrays in stores]
    pairs = list(zip(stores, parts, strict=True))
    mean = _add(arrays.total_mean[part] for arrays, part in pairs)
    low = _add(arrays.total_p10[part] for arrays, part in pairs)
    high = _add(arrays.total_p90[part] for arrays, part in pairs)
    past_days = np.arange(first - np.timedelta64(56, "D"), first)
    past = _add(sold_on(arrays, arrays.past_total[None], past_days)[0] for arrays in stores)
    last_year = _add(sold_on(arrays, arrays.past_total[None], days - YEAR)[0] for arrays in stores)
    return Series(
        [str(day) for day in days],
        listed(mean),
        listed(low),
        listed(high),
        [str(day) for day in past_days],
        listed(past),
        listed(last_year),
        len(stores),
    )


def item_series(arrays: StoreArrays, row: int) -> Series:
    """Give an item's chart."""
    past_days = np.arange(arrays.dates[0] - np.timedelta64(56, "D"), arrays.dates[0])
    past = arrays.past[row][None]
    return Series(
        list(arrays.days),
        listed(arrays.mean[row]),
        listed(arrays.p10[row]),
        listed(arrays.p90[row]),
        [str(day) for day in past_days],
        listed(sold_on(arrays, past, past_days)[0]),
        listed(sold_on(arrays, past, arrays.dates - YEAR)[0]),
        1,
    )


def _add(parts: Iterable[Floats]) -> Doubles:
    return np.asarray(np.sum([part.astype(np.float64) for part in parts], axis=0))


def listed(values: NDArray[Any]) -> list[float | None]:
    """Give numbers for JSON, rounded to what a chart can show, with None for unknown ones."""
    return [round(float(value), 2) if np.isfinite(value) else None for value in values]


@dataclass(frozen=True)
class Summary:
    """The coming week in numbers."""

    days: int
    first: str
    last: str
    expected: float
    low: float
    high: float
    recent: float | None
    last_year: float | None
    peak_day: str
    peak: float

    @property
    def against_recent(self) -> float | None:
        """Give the change against the last four weeks."""
        return self.expected / self.recent - 1 if self.recent else None

    @property
    def against_last_year(self) -> float | None:
        """Give the change against the same days last year."""
        return self.expected / self.last_year - 1 if self.last_year else None


def summarize(stores: Sequence[StoreArrays]) -> Summary:
    """Add up the coming week; deviations of stores are taken to move together, which is the cautious side."""
    found = [levels(arrays, total=True) for arrays in stores]
    series = total_series(stores)
    days = min(WINDOW, len(series.dates))
    expected = sum(value or 0.0 for value in series.mean[:days])
    deviation = float(sum(level.deviation[0] for level in found))
    peak = int(np.argmax([value or 0 for value in series.mean[:days]]))
    return Summary(
        days,
        series.dates[0],
        series.dates[days - 1],
        expected,
        max(0.0, expected - 1.2816 * deviation),
        expected + 1.2816 * deviation,
        known(sum(level.recent[0] for level in found)),
        known(sum(level.last_year[0] for level in found)),
        series.dates[peak],
        series.mean[peak] or 0.0,
    )


@dataclass(frozen=True)
class HeatRow:
    """A store's days against its usual weekdays."""

    store: str
    expected: list[float]
    # Share above or below the mean of the same weekday in the last eight weeks; None: not known.
    against: list[float | None]


def heat_rows(stores: Sequence[StoreArrays], days: Sequence[str]) -> list[HeatRow]:
    """Compare each store's days with its own weekdays lately; of many stores those furthest from usual are kept."""
    rows = []
    for arrays in stores:
        part = slice(*arrays.span(days[0], days[-1]))
        usual = _usual_weekdays(arrays, arrays.dates[part])
        expected = arrays.total_mean[part].astype(np.float64)
        with np.errstate(all="ignore"):
            against = np.where(usual > 0, expected / usual - 1, np.nan)
        rows.append(HeatRow(arrays.store, [float(value) for value in expected], listed_exact(against)))
    if len(rows) > MOST_HEAT_ROWS:
        rows.sort(key=lambda row: -max((abs(value) for value in row.against if value is not None), default=0))
        rows = sorted(rows[:MOST_HEAT_ROWS], key=lambda row: row.store)
    return rows


def listed_exact(values: NDArray[Any]) -> list[float | None]:
    """Give numbers with None for unknown ones."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _usual_weekdays(arrays: StoreArrays, days: NDArray[np.datetime64]) -> Doubles:
    weeks = np.array([np.timedelta64(7 * week, "D") for week in range(1, 9)])
    # The same weekdays of the last eight weeks before the first day ahead.
    ahead = (days - arrays.dates[0]).astype(int) // 7 * np.timedelta64(7, "D")
    past = np.stack([sold_on(arrays, arrays.past_total[None], days - ahead - back)[0] for back in weeks])
    found = np.isfinite(past)
    total = np.where(found, past, 0).sum(0, dtype=np.float64)
    return np.where(found.any(0), total / np.maximum(found.sum(0), 1), np.nan)


def merged_alerts(stores: Iterable[StoreArrays]) -> list[list[Alert]]:
    """Put the alerts of each series together; those with most at stake first, among and within series."""
    found: dict[tuple[str, str | None], list[Alert]] = {}
    for alert in ranked(stores):
        found.setdefault((alert.store, alert.item), []).append(alert)
    return list(found.values())


ITEM_COLUMNS = ("item", "expected", "recent", "change", "last_year", "peak_day", "peak", "peak_high")


def item_rows(arrays: StoreArrays) -> dict[str, list[Any]]:
    """Give the items' table by column: the coming week beside what was before."""
    found = arrays.derived.get("item_rows")
    if found is None:
        level = levels(arrays, total=False)
        rows = np.arange(len(arrays.items))
        with np.errstate(all="ignore"):
            change = np.where(level.recent > 0, level.expected / level.recent - 1, np.nan)
        found = arrays.derived["item_rows"] = {
            "item": list(arrays.items),
            "expected": listed(level.expected),
            "recent": listed(level.recent),
            "change": [None if value is None else round(value, 4) for value in listed_exact(change)],
            "last_year": listed(level.last_year),
            "peak_day": [arrays.days[place] for place in level.peak],
            "peak": listed(arrays.mean[rows, level.peak]),
            "peak_high": listed(arrays.p90[rows, level.peak]),
        }
    result: dict[str, list[Any]] = found
    return result


def select_items(arrays: StoreArrays, text: str, sort: str, *, descending: bool) -> list[int]:
    """Filter and sort as the page does; unknown numbers come last, equals by name."""
    table = item_rows(arrays)
    wanted = text.casefold()
    rows = [row for row, item in enumerate(arrays.items) if wanted in item.casefold()]
    if sort not in ITEM_COLUMNS:
        sort = "expected"
    column = table[sort]
    known = [row for row in rows if column[row] is not None]
    known.sort(key=lambda row: column[row], reverse=descending)
    return known + [row for row in rows if column[row] is None]


def driver_series(arrays: StoreArrays) -> dict[str, Any]:
    """Give the store's drivers for the chart: level apart, the others by how much they move."""
    others = {name: values for name, values in arrays.drivers.items() if name != "level"}
    order = sorted(others, key=lambda name: -float(np.abs(others[name]).sum()))
    level = arrays.drivers.get("level")
    return {
        "dates": list(arrays.days),
        "total": listed(arrays.total_mean),
        "level": None if level is None else listed(level),
        "drivers": [{"name": _spoken(name), "units": listed(others[name])} for name in order],
    }


def explain_peak(arrays: StoreArrays) -> tuple[str, float, list[tuple[str, float]]] | None:
    """Name the week's busiest day and what moves it most against a normal day."""
    if not arrays.drivers:
        return None
    days = min(7, len(arrays.days))
    place = int(arrays.total_mean[:days].argmax())
    moved = [(_spoken(name), float(values[place])) for name, values in arrays.drivers.items() if name != "level"]
    moved = [(name, units) for name, units in sorted(moved, key=lambda pair: -abs(pair[1])) if abs(units) >= 0.5]
    return arrays.days[place], float(arrays.total_mean[place]), moved[:3]


def _spoken(driver: str) -> str:
    """Give a driver that is named after a column of the data as people write it."""
    return driver.replace("_", " ")


def split_item(arrays: StoreArrays, row: int) -> list[dict[str, Any]]:
    """Split an item's days into its level, its weekdays' rhythm, and what the model adds: these are sums, no causes."""
    past_days = np.arange(arrays.dates[0] - np.timedelta64(56, "D"), arrays.dates[0])
    past = sold_on(arrays, arrays.past[row][None], past_days)[0].astype(np.float64)
    if not np.isfinite(past).any():
        return []
    level = float(np.nanmean(past))
    weekday = (past_days.astype(int) + 3) % 7
    ahead = (arrays.dates.astype(int) + 3) % 7
    rhythm = np.zeros(7)
    for number in range(7):
        known = past[(weekday == number) & np.isfinite(past)]
        rhythm[number] = known.mean() - level if len(known) else 0.0
    rest = arrays.mean[row].astype(np.float64) - level - rhythm[ahead]
    return [
        {"name": "weekday", "units": listed(rhythm[ahead])},
        {"name": "season, events, price and trend", "units": listed(rest)},
    ]


def store_rows(view: View, stores: Sequence[StoreArrays]) -> list[dict[str, Any]]:
    """Give the table of stores."""
    rows = []
    for arrays in stores:
        level = levels(arrays, total=True)
        expected, recent, last_year = float(level.expected[0]), known(level.recent[0]), known(level.last_year[0])
        rows.append(
            {
                "store": arrays.store,
                "region": view.region(arrays.store) or "",
                "items": len(arrays.items),
                "expected": expected,
                "recent": recent,
                "change": expected / recent - 1 if recent else None,
                "last_year": last_year,
                "as_of": arrays.entry.as_of,
                "generated_at": arrays.entry.generated_at,
                "fresh": view.freshness[arrays.store],
                "fallback": arrays.entry.fallback,
                "held": view.held(arrays.store),
            }
        )
    return rows
