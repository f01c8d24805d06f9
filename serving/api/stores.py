"""The stores that a caller may see, and their items."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from foreact.naming import encode_id
from serving.api.answers import answer_json, answer_pieces, encode_json, encode_rows, iterate_list
from serving.api.schemas import Items, OneStore, Stores
from serving.api.selection import LONGEST_ID, Cursor, read_cursor, select_store, write_cursor
from serving.dependencies import Parts, Viewer
from serving.errors import error_responses
from serving.publication import StoreData
from serving.publication.view import FreshnessView

router = APIRouter(prefix="/v1", tags=["stores"])
Segment = Annotated[str, Path(max_length=LONGEST_ID, description="The store's `name`, or its id where that fits a URL")]


@router.get("/stores", response_model=Stores, responses=error_responses(503))
async def list_stores(
    request: Request,
    service: Parts,
    principal: Viewer,
    region: Annotated[list[str] | None, Query(max_length=100, description="Regions; none: all")] = None,
    q: Annotated[str | None, Query(max_length=100, description="Text in the store's id, upper or lower case")] = None,
) -> Response:
    """Return the stores that you may see, and how fresh each is."""
    view = service.view
    stores = [
        arrays
        for arrays in view.visible_stores(principal.visible_scope).values()
        if (not region or view.region_of(arrays.store) in region) and (not q or q.casefold() in arrays.store.casefold())
    ]

    rows = encode_rows(describe_store(view, arrays) for arrays in stores)
    pieces = iterate_list(b'{"publication":%b,"stores":' % view.publication_json, rows, b"}")
    return answer_pieces(request, view, tuple(arrays.store for arrays in stores), stores, pieces)


@router.get("/stores/{store}", response_model=OneStore, responses=error_responses(503))
def show_store(request: Request, service: Parts, principal: Viewer, store: Segment) -> Response:
    """Return one store."""
    view = service.view
    arrays = select_store(view, principal, store)
    return answer_json(
        request,
        view,
        arrays.store,
        [arrays],
        lambda: encode_json({"publication": view.publication, "store": describe_store(view, arrays)}),
    )


@router.get("/stores/{store}/items", response_model=Items, responses=error_responses(409, 503))
def list_items(
    request: Request,
    service: Parts,
    principal: Viewer,
    store: Segment,
    q: Annotated[str | None, Query(max_length=100, description="Text in the item's id, upper or lower case")] = None,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
    cursor: Cursor = None,
) -> Response:
    """Return a store's items by name."""
    view = service.view
    arrays = select_store(view, principal, store)
    found = [item for item in arrays.items if not q or q.casefold() in item.casefold()]
    begin = read_cursor(view, cursor)
    after = write_cursor(view, begin + limit) if begin + limit < len(found) else None
    part = {
        "publication": view.publication,
        "store": arrays.store,
        "items": found[begin : begin + limit],
        "next": after,
    }
    return answer_json(request, view, (arrays.store, q, limit, begin), [arrays], lambda: encode_json(part))


def describe_store(view: FreshnessView, arrays: StoreData) -> dict[str, Any]:
    """Describe all that is known about a store's publication."""
    return {
        "store": arrays.store,
        "name": encode_id(arrays.store),
        "region": view.region_of(arrays.store),
        "attributes": arrays.entry.attributes,
        "items": arrays.item_count,
        "quantiles": list(arrays.quantile_names),
        "first_date": arrays.days[0],
        "last_date": arrays.days[-1],
        **view.describe_source(arrays.store),
        "accuracy": arrays.entry.accuracy,
    }
