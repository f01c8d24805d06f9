"""The overview's tables of stores: the heat map, and the list in its order and by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.analysis.comparison import compare_levels, prepare_totals
from serving.analysis.known import known_or_none, list_known, relative_change
from serving.analysis.weekdays import compare_weekdays
from serving.dashboard.columns import STORES, select_shown
from serving.publication import StoreData
from serving.publication.view import FreshnessView

MOST_HEAT_ROWS = 60
PAGE_ROWS = 100
# The order that the first click on each heading asks for; a minus puts the largest values first.
ORDERS = tuple(f"{'-' if column.most_first else ''}{column.key}" for column in select_shown(STORES))
ORDER = f"^-?({'|'.join(order.removeprefix('-') for order in ORDERS)})$"


@dataclass(frozen=True)
class HeatRow:
    """A store's days against its usual weekdays."""

    store: str
    expected: list[float]
    # Share above or below the mean of the same weekday in the last eight weeks; None: not known.
    change: list[float | None]


def heat_rows(stores: Sequence[StoreData], days: Sequence[str]) -> list[HeatRow]:
    """Return the stores' rows of the heat map; of many stores those whose days are furthest from usual."""
    comparison = compare_weekdays(stores, np.array(days, "datetime64[D]"))
    rows = list(range(len(stores)))
    if len(stores) > MOST_HEAT_ROWS:
        furthest = np.nan_to_num(np.abs(comparison.change)).max(1)
        rows = sorted(np.argsort(-furthest, kind="stable")[:MOST_HEAT_ROWS].tolist())
    return [
        HeatRow(stores[row].store, comparison.expected[row].tolist(), list_known(comparison.change[row]))
        for row in rows
    ]


@dataclass(frozen=True)
class Page:
    """One page of the list, and its place among the others."""

    rows: list[dict[str, Any]]
    number: int
    last: int
    # The numbers of its first and last row, counted from one.
    first_row: int
    last_row: int
    total: int


def select_page(rows: list[dict[str, Any]], number: int) -> Page:
    """Return a page of the list; beyond the end, the last one."""
    last = max(1, -(-len(rows) // PAGE_ROWS))
    number = min(number, last)
    first = (number - 1) * PAGE_ROWS
    shown = rows[first : first + PAGE_ROWS]
    return Page(shown, number, last, first + 1, first + len(shown), len(rows))


def store_rows(view: FreshnessView, stores: Sequence[StoreData], order: str) -> list[dict[str, Any]]:
    """Return the list's rows in an order; unknown numbers come last, equal ones by name."""
    prepare_totals(stores)
    rows = [_store_row(view, arrays) for arrays in sorted(stores, key=lambda arrays: arrays.store)]
    name = order.removeprefix("-")
    known = [row for row in rows if row[name] is not None]
    known.sort(key=lambda row: row[name], reverse=order.startswith("-"))
    return known + [row for row in rows if row[name] is None]


def order_links(order: str) -> Mapping[str, tuple[str, str]]:
    """Return for each column its current order in ARIA's terms, and the order that its heading asks for next."""
    found = {}
    for first in ORDERS:
        name = first.removeprefix("-")
        now = {name: "ascending", f"-{name}": "descending"}.get(order, "none")
        found[name] = (now, first if order != first else name if first != name else f"-{name}")
    return found


def _store_row(view: FreshnessView, arrays: StoreData) -> dict[str, Any]:
    level = compare_levels(arrays, total=True)
    expected, recent = float(level.expected[0]), known_or_none(level.recent[0])
    fresh = view.freshness[arrays.store]
    return {
        "store": arrays.store,
        "region": view.region_of(arrays.store) or "",
        "items": arrays.item_count,
        "expected": expected,
        "recent": recent,
        "change": relative_change(expected, recent),
        "last_year": known_or_none(level.last_year[0]),
        "as_of": arrays.entry.as_of,
        "generated_at": arrays.entry.generated_at,
        "state": fresh.state,
        "fresh": fresh,
        "fallback": arrays.entry.fallback,
        "held": view.explain_held(arrays.store),
    }
