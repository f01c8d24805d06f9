"""Forecasts by store, item and day: paged rows, CSV, and many queries in one request."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from foreact.publications.contract import FORECAST_COLUMNS
from serving.api.answers import (
    ROWS_AT_ONCE,
    Opened,
    answer_csv,
    answer_pieces,
    answer_with_items,
    encode_json,
    iterate_envelope,
)
from serving.api.schemas import Bulk, BulkAnswer, Forecasts, Triple
from serving.api.selection import (
    ROWS,
    Block,
    Cursor,
    End,
    ItemFilter,
    Limit,
    MoreQuantiles,
    Start,
    StoreFilter,
    absent_store,
    check_range,
    read_cursor,
    read_day,
    select_blocks,
    select_quantiles,
    select_stores,
    write_cursor,
)
from serving.api.tabular import Format, csv_chunks, wants_csv
from serving.auth.principal import Principal
from serving.dependencies import Parts, Viewer
from serving.errors import ApiError, Problem, error_responses
from serving.publication.view import FreshnessView

router = APIRouter(prefix="/v1", tags=["forecasts"])
# So many make a piece of an answer, in some tenths of a millisecond.
ITEMS_AT_ONCE = 20


@router.get("/forecasts", response_model=Forecasts, responses=error_responses(409, 503, csv=True))
async def list_forecasts(
    request: Request,
    service: Parts,
    principal: Viewer,
    store: StoreFilter = None,
    item: ItemFilter = None,
    start: Start = None,
    end: End = None,
    limit: Limit = ROWS,
    cursor: Cursor = None,
    quantiles: MoreQuantiles = None,
    format: Annotated[Format | None, Query(description="json or csv; none: as the Accept header says")] = None,
) -> Response:
    """Return the forecasts of stores and items over a range of days, sorted by store, item and day.

    JSON comes in pages; CSV is one stream of all rows.
    """
    view = service.view
    days = check_range(start, end)
    stores = select_stores(view, principal, store)
    more = select_quantiles(stores, quantiles)
    request_key = (tuple(arrays.store for arrays in stores), tuple(item or ()), days, limit, cursor, more)

    def answer(opened: Opened) -> Response:
        blocks = select_blocks(stores, item, *days)
        if wants_csv(request, format):
            chunks = csv_chunks((*FORECAST_COLUMNS, *more), _iterate_records(blocks, more))
            return answer_csv(request, view, request_key, stores, chunks, "forecasts.csv", opened)
        page, following = _cut_page(blocks, read_cursor(view, cursor), limit)
        shown = [block.arrays for block in page] or stores[:1]
        after = encode_json(None if following is None else write_cursor(view, following))
        names = [arrays.store for arrays in shown]
        pieces = iterate_envelope(view, names, "rows", _iterate_encoded(page, more), next=after)
        return answer_pieces(request, view, request_key, shown, pieces, opened)

    return await answer_with_items(service, stores, answer)


@router.post("/forecasts/query", response_model=BulkAnswer, responses=error_responses(403, 413, 415, 503))
async def query_forecasts(request: Request, service: Parts, principal: Viewer, bulk: Bulk) -> Response:
    """Answer many queries, each of a store, an item and a range of days, with rows or with its own error."""
    view = service.view
    found = []
    for number, query in enumerate(bulk.queries, 1):
        found.append(_resolve_query(view, principal, query))
        if number % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    stores = list({part.arrays.store: part.arrays for part in found if isinstance(part, Block)}.values())
    request_key = tuple(
        (query.store, query.item, part.message if isinstance(part, Problem) else (part.first, part.end))
        for query, part in zip(bulk.queries, found, strict=True)
    )
    more = select_quantiles(stores, bulk.quantiles)

    def answer(opened: Opened) -> Response:
        results = (_encode_result(query, part, more) for query, part in zip(bulk.queries, found, strict=True))
        pieces = iterate_envelope(view, [arrays.store for arrays in stores], "results", results)
        return answer_pieces(request, view, (request_key, more), stores, pieces, opened)

    return await answer_with_items(service, stores, answer)


def _resolve_query(view: FreshnessView, principal: Principal, query: Triple) -> Block | Problem:
    """Return the series that a query selects, or the problem with the query."""
    arrays = view.visible_stores(principal.visible_scope).get(query.store)
    if arrays is None:
        problem = absent_store(view, principal, query.store)
        return Problem(code=problem.code, message=problem.message)
    row = arrays.find_row(query.item)
    if row is None:
        return Problem(code="item_not_found", message=f"store {query.store!r} has no item {query.item!r}")
    try:
        start, end = (None if day is None else read_day(day) for day in (query.start, query.end))
        days = check_range(start, end)
    except (ValueError, ApiError) as problem:
        return Problem(code="invalid_parameter", message=str(problem))
    return Block(arrays, [row], *arrays.find_columns(*days))


def _encode_result(query: Triple, part: Block | Problem, more: tuple[str, ...]) -> bytes:
    head = b'{"store":' + encode_json(query.store) + b',"item":' + encode_json(query.item)
    if isinstance(part, Problem):
        return head + b',"rows":null,"error":' + encode_json(part.model_dump()) + b"}"
    rows = part.arrays.encode_items(part.rows, part.first, part.end, more) if part.first < part.end else b""
    return head + b',"rows":[' + rows + b'],"error":null}'


def _iterate_encoded(blocks: list[Block], more: tuple[str, ...]) -> Iterator[bytes]:
    for block in blocks:
        # Held, so that it is read once.
        arrays, detail = block.arrays, block.arrays.detail
        for begin in range(0, len(block.rows), ITEMS_AT_ONCE):
            rows = block.rows[begin : begin + ITEMS_AT_ONCE]
            yield detail.encode_rows(arrays.store, arrays.days, rows, block.first, block.end, more)


def _iterate_records(blocks: list[Block], more: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        arrays, detail = block.arrays, block.arrays.detail
        for row in block.rows:
            yield from detail.list_records(arrays.store, arrays.days, row, block.first, block.end, more)


def _cut_page(blocks: list[Block], position: int, limit: int) -> tuple[list[Block], int | None]:
    """Return whole series while their rows fit, at least one, and where the next page begins."""
    page: list[Block] = []
    passed = taken = 0
    for block in blocks:
        begin = max(0, position - passed)
        passed += len(block.rows)
        if begin >= len(block.rows):
            continue
        days = block.end - block.first
        fitting = max((limit - taken) // days, 0 if page else 1)
        part = block.cut(begin, begin + fitting)
        if part.rows:
            page.append(part)
        if begin + fitting < len(block.rows):
            return page, passed - len(block.rows) + begin + fitting
        taken += len(part.rows) * days
    return page, None
