"""Stores by day: totals with their own intervals, their drivers, what was sold before, and how past forecasts did."""

from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from foreact.publications.contract import DRIVER_COLUMNS, HISTORY_COLUMNS, TOTALS_COLUMNS
from foreact.vocabulary import DATE, DRIVER, ITEM, STORE, UNITS
from serving.api.answers import (
    Opened,
    answer_csv,
    answer_pieces,
    answer_with_items,
    encode_rows,
    iterate_envelope,
)
from serving.api.schemas import Drivers, History, Scorecard, Totals
from serving.api.selection import (
    LONGEST_ID,
    End,
    MoreQuantiles,
    Start,
    StoreFilter,
    check_range,
    select_quantiles,
    select_stores,
)
from serving.api.tabular import Format, csv_chunks, wants_csv
from serving.dependencies import Parts, Viewer
from serving.errors import error_responses, not_found
from serving.publication import StoreData

router = APIRouter(prefix="/v1")
AsFormat = Annotated[Format | None, Query(description="json or csv; none: as the Accept header says")]


@router.get("/totals", response_model=Totals, responses=error_responses(503, csv=True), tags=["stores by day"])
async def list_totals(
    request: Request,
    service: Parts,
    principal: Viewer,
    store: StoreFilter = None,
    start: Start = None,
    end: End = None,
    quantiles: MoreQuantiles = None,
    format: AsFormat = None,
) -> Response:
    """Return the stores' expected units by day, with the quantiles of the total itself."""
    view, days = service.view, check_range(start, end)
    stores = select_stores(view, principal, store)
    more = select_quantiles(stores, quantiles)
    rows = (row for arrays in stores for row in arrays.list_total_records(*arrays.find_columns(*days), more))
    key = (tuple(arrays.store for arrays in stores), days, more)
    if wants_csv(request, format):
        return answer_csv(request, view, key, stores, csv_chunks((*TOTALS_COLUMNS, *more), rows), "totals.csv")
    names = [arrays.store for arrays in stores]
    pieces = iterate_envelope(view, names, "rows", encode_rows(rows))
    return answer_pieces(request, view, key, stores, pieces)


@router.get("/history", response_model=History, responses=error_responses(503, csv=True), tags=["stores by day"])
async def list_history(
    request: Request,
    service: Parts,
    principal: Viewer,
    store: StoreFilter = None,
    item: Annotated[str | None, Query(max_length=LONGEST_ID, description="An item; none: the stores' totals")] = None,
    format: AsFormat = None,
) -> Response:
    """Return what was sold in the last eight weeks, and last year on the days around those of the forecast."""
    view = service.view
    stores = select_stores(view, principal, store)

    def answer(opened: Opened) -> Response:
        chosen = stores if item is None else [arrays for arrays in stores if arrays.find_row(item) is not None]
        if not chosen:
            raise not_found(f"item {item!r} in these stores", "item_not_found")
        rows = (row for arrays in chosen for row in history_records(arrays, item))
        key = (tuple(arrays.store for arrays in chosen), item)
        if wants_csv(request, format):
            return answer_csv(request, view, key, chosen, csv_chunks(HISTORY_COLUMNS, rows), "history.csv", opened)
        names = [arrays.store for arrays in chosen]
        pieces = iterate_envelope(view, names, "rows", encode_rows(rows))
        return answer_pieces(request, view, key, chosen, pieces, opened)

    return await answer_with_items(service, [] if item is None else stores, answer)


@router.get("/drivers", response_model=Drivers, responses=error_responses(503, csv=True), tags=["stores by day"])
async def list_drivers(
    request: Request, service: Parts, principal: Viewer, store: StoreFilter = None, format: AsFormat = None
) -> Response:
    """Return what moves the stores' totals, in units by driver and day."""
    view = service.view
    stores = select_stores(view, principal, store)

    def answer(opened: Opened) -> Response:
        rows = (row for arrays in stores for row in driver_records(arrays))
        key = tuple(arrays.store for arrays in stores)
        if wants_csv(request, format):
            return answer_csv(request, view, key, stores, csv_chunks(DRIVER_COLUMNS, rows), "drivers.csv", opened)
        names = [arrays.store for arrays in stores]
        pieces = iterate_envelope(view, names, "rows", encode_rows(rows))
        return answer_pieces(request, view, key, stores, pieces, opened)

    return await answer_with_items(service, stores, answer)


@router.get("/scorecard", response_model=Scorecard, responses=error_responses(503), tags=["stores by day"])
async def list_scorecard(request: Request, service: Parts, principal: Viewer, store: StoreFilter = None) -> Response:
    """Return how the stores' past forecasts did once the sales were known."""
    view = service.view
    stores = select_stores(view, principal, store)

    def answer(opened: Opened) -> Response:
        rows = ({STORE: arrays.store, **row} for arrays in stores for row in arrays.scorecard)
        names = [arrays.store for arrays in stores]
        pieces = iterate_envelope(view, names, "rows", encode_rows(rows))
        return answer_pieces(request, view, tuple(names), stores, pieces, opened)

    return await answer_with_items(service, stores, answer)


def history_records(arrays: StoreData, item: str | None) -> Iterable[dict[str, Any]]:
    """Return what was sold of an item, or in the whole store, on the days that are known."""
    units = arrays.past_total if item is None else arrays.past[arrays.detail.rows[item]]
    for day, sold in zip(arrays.past_days, units, strict=True):
        if np.isfinite(sold):
            yield {STORE: arrays.store, ITEM: item, DATE: day, UNITS: sold}


def driver_records(arrays: StoreData) -> Iterable[dict[str, Any]]:
    """Return what each driver adds to each day's total."""
    for driver, values in arrays.drivers.items():
        for day, units in zip(arrays.days, values, strict=True):
            yield {STORE: arrays.store, DATE: day, DRIVER: driver, UNITS: units}
