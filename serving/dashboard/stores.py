"""The overview's tables of stores: their days against what is usual, and their list, in order and page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.analysis.comparison import compare_levels, known_or_none
from serving.dashboard.columns import STORES, list_shown
from serving.dashboard.views import Doubles, expected_together, list_for_json, sold_together
from serving.publication import StoreData
from serving.publication.tables import Days
from serving.publication.view import FreshnessView

MOST_HEAT_ROWS = 60
HEAT_DAYS = 14
PAGE_ROWS = 100
USUAL_WEEKS = np.arange(1, 9) * np.timedelta64(7, "D")
# What the list is ordered by when its heading is first chosen; a minus begins with the most.
ORDERS = tuple(f"{'-' if column.most_first else ''}{column.key}" for column in list_shown(STORES))
ORDER = f"^-?({'|'.join(order.removeprefix('-') for order in ORDERS)})$"


@dataclass(frozen=True)
class HeatRow:
    """A store's days against its usual weekdays."""

    store: str
    expected: list[float]
    # Share above or below the mean of the same weekday in the last eight weeks; None: not known.
    against: list[float | None]


def heat_rows(stores: Sequence[StoreData], days: Sequence[str]) -> list[HeatRow]:
    """Compare each store's days with its own weekdays lately; of many stores those furthest from usual are kept."""
    window = np.array(days, "datetime64[D]")
    expected = expected_together(stores, window).astype(np.float64)
    usual = _usual_weekdays(stores, window)
    with np.errstate(all="ignore"):
        against = np.where(usual > 0, expected / usual - 1, np.nan)
    shown = list(range(len(stores)))
    if len(stores) > MOST_HEAT_ROWS:
        furthest = np.nan_to_num(np.abs(against)).max(1)
        shown = sorted(np.argsort(-furthest, kind="stable")[:MOST_HEAT_ROWS].tolist())
    return [HeatRow(stores[row].store, expected[row].tolist(), list_for_json(against[row])) for row in shown]


def _usual_weekdays(stores: Sequence[StoreData], days: Days) -> Doubles:
    """Return the mean of the same weekdays in the last eight weeks before each store's first day ahead."""
    usual = np.empty((len(stores), len(days)))
    firsts = np.array([arrays.dates[0] for arrays in stores])
    for first in np.unique(firsts):
        places = np.flatnonzero(firsts == first).tolist()
        last_known = days - (days - first).astype(int) // 7 * np.timedelta64(7, "D")
        back = (last_known - USUAL_WEEKS[:, None]).ravel()
        past = sold_together([stores[place] for place in places], back).reshape(len(places), len(USUAL_WEEKS), -1)
        found = np.isfinite(past)
        total = np.where(found, past, 0).sum(1, dtype=np.float64)
        usual[places] = np.where(found.any(1), total / np.maximum(found.sum(1), 1), np.nan)
    return usual


@dataclass(frozen=True)
class Page:
    """Some of the list's rows, and where they stand."""

    rows: list[dict[str, Any]]
    number: int
    last: int
    # Counted from one, both included.
    first_row: int
    last_row: int
    total: int


def turn_to(rows: list[dict[str, Any]], number: int) -> Page:
    """Return a page of the list; beyond its end, the last one."""
    last = max(1, -(-len(rows) // PAGE_ROWS))
    number = min(number, last)
    first = (number - 1) * PAGE_ROWS
    shown = rows[first : first + PAGE_ROWS]
    return Page(shown, number, last, first + 1, first + len(shown), len(rows))


def store_rows(view: FreshnessView, stores: Sequence[StoreData], order: str) -> list[dict[str, Any]]:
    """Return the list in an order; unknown numbers come last, equals by name."""
    rows = [_store_row(view, arrays) for arrays in sorted(stores, key=lambda arrays: arrays.store)]
    name = order.removeprefix("-")
    told = [row for row in rows if row[name] is not None]
    told.sort(key=lambda row: row[name], reverse=order.startswith("-"))
    return told + [row for row in rows if row[name] is None]


def order_links(order: str) -> Mapping[str, tuple[str, str]]:
    """Return for each column how it is ordered now, in ARIA's words, and the order that its heading asks for next."""
    found = {}
    for first in ORDERS:
        name = first.removeprefix("-")
        now = {name: "ascending", f"-{name}": "descending"}.get(order, "none")
        found[name] = (now, first if order != first else name if first != name else f"-{name}")
    return found


def _store_row(view: FreshnessView, arrays: StoreData) -> dict[str, Any]:
    level = compare_levels(arrays, total=True)
    expected, recent, last_year = (
        float(level.expected[0]),
        known_or_none(level.recent[0]),
        known_or_none(level.last_year[0]),
    )
    fresh = view.freshness[arrays.store]
    return {
        "store": arrays.store,
        "region": view.region_of(arrays.store) or "",
        "items": len(arrays.items),
        "expected": expected,
        "recent": recent,
        "change": expected / recent - 1 if recent else None,
        "last_year": last_year,
        "as_of": arrays.entry.as_of,
        "generated_at": arrays.entry.generated_at,
        "state": fresh.state,
        "fresh": fresh,
        "fallback": arrays.entry.fallback,
        "held": view.explain_held(arrays.store),
    }
