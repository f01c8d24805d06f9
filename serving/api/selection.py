"""The stores, items and days that a request selects, limited to what the caller may see."""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import orjson
from fastapi import Query
from pydantic import BeforeValidator

from foreact.quantiles import list_quantiles
from foreact.vocabulary import P10, P50, P90
from serving.auth.principal import Principal
from serving.errors import ApiError, not_found
from serving.publication import StoreData
from serving.publication.view import FreshnessView

MOST_ROWS = 100_000
ROWS = 10_000
LONGEST_ID = 500
# Every row has these.
ALWAYS = (P10, P50, P90)
DAY = re.compile(r"\d{4}-\d\d-\d\d")

StoreFilter = Annotated[
    list[Annotated[str, Query(max_length=LONGEST_ID)]] | None,
    Query(description="Stores; none: all that you may see", max_length=500),
]
ItemFilter = Annotated[
    list[Annotated[str, Query(max_length=LONGEST_ID)]] | None, Query(description="Items; none: all", max_length=500)
]


def read_day(text: str) -> date:
    """Return the day of a text like 2026-12-24; other formats are refused, because they are ambiguous."""
    if not DAY.fullmatch(text):
        raise ValueError("write a day as 2026-12-24")
    return date.fromisoformat(text)


Day = Annotated[date, BeforeValidator(read_day)]
Start = Annotated[Day | None, Query(description="First day; none: the first forecast day")]
End = Annotated[Day | None, Query(description="Last day; none: the last forecast day")]
MoreQuantiles = Annotated[
    str | None,
    Query(max_length=500, description="Quantiles to add to every row, as in p5,p95: any that are published"),
]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows a page; a series is never cut")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next` of the page before")]


def select_quantiles(stores: Iterable[StoreData], requested: str | None) -> tuple[str, ...]:
    """Return the requested quantiles beyond those of every answer; raise ApiError for one that no store publishes."""
    names = tuple(dict.fromkeys(filter(None, (part.strip() for part in (requested or "").split(",")))))
    if not names:
        return ()
    published = list_quantiles({name for arrays in stores for name in arrays.quantile_names})
    unknown = [name for name in names if name not in published]
    if unknown:
        message = f"quantile {unknown[0]!r} is not published for these stores; there are {', '.join(published)}"
        raise ApiError(422, "invalid_parameter", message)
    return tuple(name for name in names if name not in ALWAYS)


def select_stores(view: FreshnessView, principal: Principal, requested: list[str] | None) -> list[StoreData]:
    """Return the requested stores, or all that the caller may see."""
    visible = view.visible_stores(principal.visible_scope)
    if not requested:
        return list(visible.values())
    missing = [store for store in requested if store not in visible]
    if missing:
        raise absent_store(view, principal, missing[0])
    return [visible[store] for store in dict.fromkeys(requested)]


def select_store(view: FreshnessView, principal: Principal, segment: str) -> StoreData:
    """Return the store that a URL's segment names."""
    store = view.snapshot.store_of(segment)
    arrays = view.visible_stores(principal.visible_scope).get(store)
    if arrays is None:
        raise absent_store(view, principal, store, asked=segment)
    return arrays


def absent_store(view: FreshnessView, principal: Principal, store: str, *, asked: str = "") -> ApiError:
    """Return the error for a store that is damaged, or that does not exist for this caller.

    What does not is named as it was asked for: the id behind a name in an address would say that it does.
    """
    if store not in view.lost_stores(principal.visible_scope):
        return not_found(f"store {asked or store!r}", "store_not_found")
    message = f"the forecasts of store {store!r} are damaged and there are no earlier ones; a refresh replaces them"
    return ApiError(503, "store_damaged", message, headers={"retry-after": "60"})


def check_range(start: date | None, end: date | None) -> tuple[str | None, str | None]:
    """Return the days as text; raise ApiError if the end is before the start."""
    if start is not None and end is not None and end < start:
        raise ApiError(422, "invalid_parameter", f"end {end} is before start {start}")
    return (start.isoformat() if start else None, end.isoformat() if end else None)


@dataclass(frozen=True)
class Block:
    """Items of one store by their rows, the first column and the one after the last."""

    arrays: StoreData
    rows: Sequence[int]
    first: int
    end: int

    def cut(self, begin: int, end: int) -> "Block":
        """Return some of the block's items, by their places in it."""
        return Block(self.arrays, self.rows[begin:end], self.first, self.end)


def select_blocks(
    stores: Iterable[StoreData], items: list[str] | None, start: str | None, end: str | None
) -> list[Block]:
    """Return the items of the stores, a block each; raise ApiError for an item that none of them has."""
    found: list[Block] = []
    known: set[str] = set()
    for arrays in stores:
        first, after = arrays.find_columns(start, end)
        rows: Sequence[int] = range(arrays.item_count)
        if items:
            there = {item: row for item in items if (row := arrays.find_row(item)) is not None}
            known |= there.keys()
            rows = list(there.values())
        if first < after and rows:
            found.append(Block(arrays, rows, first, after))
    missing = [item for item in items or () if item not in known]
    if missing:
        raise not_found(f"item {missing[0]!r} in these stores", "item_not_found")
    return found


def write_cursor(view: FreshnessView, position: int) -> str:
    """Return the cursor of a page; it is valid for this version only."""
    data = orjson.dumps([view.snapshot.fingerprint, position])
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_cursor(view: FreshnessView, cursor: str | None) -> int:
    """Return the position at which a cursor's page begins."""
    if cursor is None:
        return 0
    try:
        data = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        fingerprint, position = data
        if not isinstance(fingerprint, str) or not isinstance(position, int) or position < 0:
            raise ValueError
    except (ValueError, TypeError):
        raise ApiError(422, "invalid_cursor", "this is not a valid cursor; begin again without one") from None
    if fingerprint != view.snapshot.fingerprint:
        raise ApiError(
            409,
            "publication_changed",
            "a new publication has replaced the one of this cursor; begin again without a cursor",
        )
    return position
