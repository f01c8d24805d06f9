"""What pages and their exports show, worked out once from the arrays, so that both are the same."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.alerts.ranking import Alert, find_alerts
from serving.analysis.comparison import WINDOW, YEAR, Z90, compare_levels, known_or_none, units_sold_on
from serving.dashboard.columns import ITEMS
from serving.publication import StoreData
from serving.publication.tables import Days, Floats

Doubles = NDArray[np.float64]
DAY = np.timedelta64(1, "D")
# How far back charts and comparisons go.
PAST_DAYS = np.timedelta64(56, "D")


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
        """Return it for the chart."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def find_stores_in_step(stores: Sequence[StoreData]) -> list[StoreData]:
    """Return the stores that have numbers for the week that the newest forecast begins with.

    Those that a run has left behind for so long stand in no sum: what it adds up has to be of the same days.
    """
    newest = max(stores, key=lambda arrays: arrays.dates[0])
    until = newest.dates[min(WINDOW, len(newest.dates)) - 1]
    return [arrays for arrays in stores if arrays.dates[-1] >= until]


def total_series(stores: Sequence[StoreData]) -> Series:
    """Add up the totals of stores in step by day; days that not every store covers are left out."""
    first = max(arrays.dates[0] for arrays in stores)
    last = min(arrays.dates[-1] for arrays in stores)
    days: Days = np.arange(first, last + DAY)
    mean, low, high = (
        _sum_stores(expected_together(stores, days, name)) for name in ("total_mean", "total_p10", "total_p90")
    )
    past_days = np.arange(first - PAST_DAYS, first)
    past, last_year = _sum_stores(sold_together(stores, past_days)), _sum_stores(sold_together(stores, days - YEAR))
    return Series(
        [str(day) for day in days],
        round_for_json(mean),
        round_for_json(low),
        round_for_json(high),
        [str(day) for day in past_days],
        round_for_json(past),
        round_for_json(last_year),
        len(stores),
    )


def expected_together(stores: Sequence[StoreData], days: Days, name: str = "total_mean") -> Floats:
    """Return a total of stores x days that all of them cover; a store's days leave none out."""
    starts = ((days[0] - np.array([arrays.dates[0] for arrays in stores])) // DAY).tolist()
    pairs = zip(stores, starts, strict=True)
    return np.array([getattr(arrays, name)[start : start + len(days)] for arrays, start in pairs])


def sold_together(stores: Sequence[StoreData], days: Days) -> Floats:
    """Return what was sold in all, stores x days; stores with sales of the same days are looked up at once."""
    found = np.empty((len(stores), len(days)), np.float32)
    alike: dict[bytes, list[int]] = {}
    for place, arrays in enumerate(stores):
        alike.setdefault(arrays.past_dates.tobytes(), []).append(place)
    for places in alike.values():
        past = np.array([stores[place].past_total for place in places])
        found[places] = units_sold_on(stores[places[0]], past, days)
    return found


def item_series(arrays: StoreData, row: int) -> Series:
    """Return an item's chart."""
    past_days = np.arange(arrays.dates[0] - PAST_DAYS, arrays.dates[0])
    past = arrays.past[row][None]
    return Series(
        list(arrays.days),
        round_for_json(arrays.mean[row]),
        round_for_json(arrays.p10[row]),
        round_for_json(arrays.p90[row]),
        [str(day) for day in past_days],
        round_for_json(units_sold_on(arrays, past, past_days)[0]),
        round_for_json(units_sold_on(arrays, past, arrays.dates - YEAR)[0]),
        1,
    )


def _sum_stores(parts: Floats) -> Doubles:
    return np.asarray(parts.sum(0, dtype=np.float64))


def round_for_json(values: NDArray[Any]) -> list[float | None]:
    """Return numbers for JSON, rounded to what a chart can show, with None for unknown ones."""
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
        """Return the change against the last four weeks."""
        return self.expected / self.recent - 1 if self.recent else None

    @property
    def against_last_year(self) -> float | None:
        """Return the change against the same days last year."""
        return self.expected / self.last_year - 1 if self.last_year else None


def summarize_week(stores: Sequence[StoreData], series: Series) -> Summary:
    """Add up the coming week of a series; deviations of its stores are taken to move together: the cautious side."""
    found = [compare_levels(arrays, total=True) for arrays in stores]
    days = min(WINDOW, len(series.dates))
    expected = sum(value or 0.0 for value in series.mean[:days])
    deviation = float(sum(level.deviation[0] for level in found))
    peak = int(np.argmax([value or 0 for value in series.mean[:days]]))
    return Summary(
        days,
        series.dates[0],
        series.dates[days - 1],
        expected,
        max(0.0, expected - Z90 * deviation),
        expected + Z90 * deviation,
        known_or_none(sum(level.recent[0] for level in found)),
        known_or_none(sum(level.last_year[0] for level in found)),
        series.dates[peak],
        series.mean[peak] or 0.0,
    )


def list_for_json(values: NDArray[Any]) -> list[float | None]:
    """Return numbers with None for unknown ones."""
    return [float(value) if np.isfinite(value) else None for value in values]


def merged_alerts(stores: Iterable[StoreData]) -> Iterator[list[Alert]]:
    """Put the alerts of each series together; those with most at stake first, among and within series."""
    return merge(*map(_merged_alerts, stores), key=lambda found: -found[0].at_stake)


def count_alerts(stores: Iterable[StoreData]) -> int:
    """Return of how many series there are alerts."""
    return sum(len(_merged_alerts(arrays)) for arrays in stores)


def _merged_alerts(arrays: StoreData) -> list[list[Alert]]:
    found = arrays.derived.get("merged_alerts")
    if found is None:
        by_series: dict[str | None, list[Alert]] = {}
        for alert in find_alerts(arrays):
            by_series.setdefault(alert.item, []).append(alert)
        found = arrays.derived["merged_alerts"] = list(by_series.values())
    result: list[list[Alert]] = found
    return result


ITEM_KEYS = tuple(column.key for column in ITEMS)


def item_rows(arrays: StoreData) -> dict[str, list[Any]]:
    """Return the items' table by column: the coming week beside what was before."""
    found = arrays.derived.get("item_rows")
    if found is None:
        level = compare_levels(arrays, total=False)
        rows = np.arange(len(arrays.items))
        with np.errstate(all="ignore"):
            change = np.where(level.recent > 0, level.expected / level.recent - 1, np.nan)
        found = arrays.derived["item_rows"] = {
            "item": list(arrays.items),
            "expected": round_for_json(level.expected),
            "recent": round_for_json(level.recent),
            "change": [None if value is None else round(value, 4) for value in list_for_json(change)],
            "last_year": round_for_json(level.last_year),
            "peak_day": [arrays.days[place] for place in level.peak],
            "peak": round_for_json(arrays.mean[rows, level.peak]),
            "peak_high": round_for_json(arrays.p90[rows, level.peak]),
        }
    result: dict[str, list[Any]] = found
    return result


def select_items(arrays: StoreData, text: str, sort: str, *, descending: bool) -> list[int]:
    """Filter and sort as the page does; unknown numbers come last, equals by name."""
    table = item_rows(arrays)
    wanted = text.casefold()
    rows = [row for row, item in enumerate(arrays.items) if wanted in item.casefold()]
    if sort not in ITEM_KEYS:
        sort = "expected"
    column = table[sort]
    known = [row for row in rows if column[row] is not None]
    known.sort(key=lambda row: column[row], reverse=descending)
    return known + [row for row in rows if column[row] is None]


def driver_series(arrays: StoreData) -> dict[str, Any]:
    """Return the store's drivers for the chart: level apart, the others by how much they move."""
    others = {name: values for name, values in arrays.drivers.items() if name != "level"}
    order = sorted(others, key=lambda name: -float(np.abs(others[name]).sum()))
    level = arrays.drivers.get("level")
    return {
        "dates": list(arrays.days),
        "total": round_for_json(arrays.total_mean),
        "level": None if level is None else round_for_json(level),
        "drivers": [{"name": _speak_driver(name), "units": round_for_json(others[name])} for name in order],
    }


def explain_peak(arrays: StoreData) -> tuple[str, float, list[tuple[str, float]]] | None:
    """Name the week's busiest day and what moves it most against a normal day."""
    if not arrays.drivers:
        return None
    days = min(WINDOW, len(arrays.days))
    place = int(arrays.total_mean[:days].argmax())
    moved = [(_speak_driver(name), float(values[place])) for name, values in arrays.drivers.items() if name != "level"]
    moved = [(name, units) for name, units in sorted(moved, key=lambda pair: -abs(pair[1])) if abs(units) >= 0.5]
    return arrays.days[place], float(arrays.total_mean[place]), moved[:3]


def _speak_driver(driver: str) -> str:
    """Return a driver that is named after a column of the data as people write it."""
    return driver.replace("_", " ")


def split_item(arrays: StoreData, row: int) -> list[dict[str, Any]]:
    """Split an item's days into its level, its weekdays' rhythm, and what the model adds: these are sums, no causes."""
    past_days = np.arange(arrays.dates[0] - PAST_DAYS, arrays.dates[0])
    past = units_sold_on(arrays, arrays.past[row][None], past_days)[0].astype(np.float64)
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
        {"name": "weekday", "units": round_for_json(rhythm[ahead])},
        {"name": "season, events, price and trend", "units": round_for_json(rest)},
    ]
