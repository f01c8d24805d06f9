"""Forecasts by store, item and day: paged rows, CSV, and many queries in one request."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from foreact.publications.contract import FORECAST_COLUMNS
from serving.api.answers import answer_csv, answer_json, encode_envelope, encode_json, run_aside
from serving.api.schemas import Bulk, BulkAnswer, Forecasts, Triple
from serving.api.selection import (
    ROWS,
    Cursor,
    End,
    ItemFilter,
    ItemRange,
    Limit,
    MoreQuantiles,
    Start,
    StoreFilter,
    absent_store,
    check_range,
    read_cursor,
    read_day,
    select_quantiles,
    select_series,
    select_stores,
    write_cursor,
)
from serving.api.tabular import Format, csv_chunks, wants_csv
from serving.auth.principal import Principal
from serving.dependencies import Parts, Viewer
from serving.errors import ApiError, Problem, error_responses
from serving.publication.view import FreshnessView

router = APIRouter(prefix="/v1", tags=["forecasts"])
# So few series are answered on the event loop itself.
FEW_SERIES = 20


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

    def respond() -> Response:
        series = select_series(stores, item, *days)
        request_key = (tuple(arrays.store for arrays in stores), tuple(item or ()), days, limit, cursor, more)
        if wants_csv(request, format):
            return answer_csv(
                request,
                view,
                request_key,
                stores,
                csv_chunks((*FORECAST_COLUMNS, *more), _iterate_records(series, more)),
                "forecasts.csv",
            )
        page, following = _cut_page(series, read_cursor(view, cursor), limit)
        shown = list(dict.fromkeys(part.arrays.store for part in page)) or [arrays.store for arrays in stores[:1]]

        def body() -> bytes:
            rows = b"[%b]" % b",".join(_encode_series(part, more) for part in page)
            after = None if following is None else write_cursor(view, following)
            return encode_envelope(view, shown, rows=rows, next=encode_json(after))

        return answer_json(request, view, request_key, [view.snapshot.stores[name] for name in shown], body)

    few = item is not None and len(item) * len(stores) <= FEW_SERIES
    return respond() if few else await run_aside(respond)


@router.post("/forecasts/query", response_model=BulkAnswer, responses=error_responses(403, 413, 415, 503))
async def query_forecasts(request: Request, service: Parts, principal: Viewer, bulk: Bulk) -> Response:
    """Answer many queries, each of a store, an item and a range of days, with rows or with its own error."""
    return await run_aside(partial(_answer_query, request, service.view, principal, bulk))


def _answer_query(request: Request, view: FreshnessView, principal: Principal, bulk: Bulk) -> Response:
    found = [_resolve_query(view, principal, query) for query in bulk.queries]
    stores = list({part.arrays.store: part.arrays for part in found if isinstance(part, ItemRange)}.values())
    request_key = tuple(
        (query.store, query.item, part.message if isinstance(part, Problem) else (part.first, part.end))
        for query, part in zip(bulk.queries, found, strict=True)
    )
    more = select_quantiles(stores, bulk.quantiles)

    def body() -> bytes:
        results = b",".join(_encode_result(query, part, more) for query, part in zip(bulk.queries, found, strict=True))
        return encode_envelope(view, [arrays.store for arrays in stores], results=b"[" + results + b"]")

    return answer_json(request, view, (request_key, more), stores, body)


def _resolve_query(view: FreshnessView, principal: Principal, query: Triple) -> ItemRange | Problem:
    """Return the series that a query selects, or the problem with the query."""
    arrays = view.visible_stores(principal.visible_scope).get(query.store)
    if arrays is None:
        problem = absent_store(view, principal, query.store)
        return Problem(code=problem.code, message=problem.message)
    row = arrays.rows.get(query.item)
    if row is None:
        return Problem(code="item_not_found", message=f"store {query.store!r} has no item {query.item!r}")
    try:
        start, end = (None if day is None else read_day(day) for day in (query.start, query.end))
        days = check_range(start, end)
    except (ValueError, ApiError) as problem:
        return Problem(code="invalid_parameter", message=str(problem))
    return ItemRange(arrays, row, *arrays.find_columns(*days))


def _encode_result(query: Triple, part: ItemRange | Problem, more: tuple[str, ...]) -> bytes:
    head = b'{"store":' + encode_json(query.store) + b',"item":' + encode_json(query.item)
    if isinstance(part, Problem):
        return head + b',"rows":null,"error":' + encode_json(part.model_dump()) + b"}"
    rows = _encode_series(part, more) if part.first < part.end else b""
    return head + b',"rows":[' + rows + b'],"error":null}'


def _encode_series(part: ItemRange, more: tuple[str, ...]) -> bytes:
    if not more and part.first == 0 and part.end == len(part.arrays.days):
        return part.arrays.encode_item(part.row)
    return part.arrays.encode_days(part.row, part.first, part.end, more)


def _iterate_records(series: list[ItemRange], more: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for part in series:
        yield from part.arrays.list_records(part.row, part.first, part.end, more)


def _cut_page(series: list[ItemRange], position: int, limit: int) -> tuple[list[ItemRange], int | None]:
    """Return whole series while their rows fit, at least one, and where the next page begins."""
    page: list[ItemRange] = []
    rows = 0
    for index in range(position, len(series)):
        rows += series[index].end - series[index].first
        if page and rows > limit:
            return page, index
        page.append(series[index])
    return page, None
