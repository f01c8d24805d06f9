"""The pages: overview, store, item; their exports; and the static files."""

import mimetypes
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from foreact.naming import encode_id
from foreact.spacing import Spacing
from serving.alerts.grouping import count_alert_groups, merge_alert_groups
from serving.analysis.comparison import compare_levels
from serving.analysis.daily_units import count_known_days
from serving.analysis.drivers import explain_peak
from serving.analysis.item_table import tabulate_items
from serving.analysis.scoring import score_item
from serving.analysis.series import find_stores_in_step, item_series, sum_totals
from serving.analysis.week import summarize_week
from serving.api.answers import answer_json, encode_json, made_aside
from serving.api.refreshes import explain_refresh
from serving.api.selection import select_store, select_stores
from serving.auth.principal import Principal
from serving.dashboard import columns, exports, stores
from serving.dashboard.charts import driver_chart, item_parts_chart
from serving.dashboard.items import select_items
from serving.dashboard.pages import ALERTS_SHOWN, STATIC, render_page, static_version
from serving.dashboard.words import WORDS
from serving.dependencies import Parts, Viewer
from serving.errors import not_found
from serving.parts import Service
from serving.publication import StoreData
from serving.publication.view import FreshnessView

router = APIRouter(include_in_schema=False)


def _drop_blanks(texts: list[str] | None) -> list[str] | None:
    """Return the texts that are not empty: a filter that a form sends without a value does not filter."""
    return [text for text in texts if text] if texts else None


Texts = Annotated[
    list[Annotated[str, Query(max_length=500)]] | None, Query(max_length=500), AfterValidator(_drop_blanks)
]
Text = Annotated[str, Query(max_length=100)]
Order = Annotated[str, Query(pattern=stores.ORDER)]
Segment = Annotated[str, Path(max_length=500)]
# For more stores, the page has their names, and its script makes the checkboxes when the picker is opened.
MOST_CHOICES = 100


def _select_stores(
    view: FreshnessView, principal: Principal, store: list[str] | None, region: list[str] | None, q: str
) -> list[StoreData]:
    """Return the stores that match the page's filters; stores in an old address that no longer exist are left out."""
    existing = [name for name in store or () if name in view.visible_stores(principal.visible_scope)]
    return [
        arrays
        for arrays in select_stores(view, principal, existing or store)
        if (not region or view.region_of(arrays.store) in region) and q.casefold() in arrays.store.casefold()
    ]


@router.get("/")
@made_aside
def overview(
    request: Request,
    service: Parts,
    principal: Viewer,
    store: Texts = None,
    region: Texts = None,
    q: Text = "",
    sort: Order = "store",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show the overview: what is unusual, and the demand in all, by day and by store."""
    view = service.view
    visible = list(view.visible_stores(principal.visible_scope).values())
    lost = view.lost_stores(principal.visible_scope)
    chosen = _select_stores(view, principal, store, region, q)
    listed = stores.select_page(stores.store_rows(view, chosen, sort), page)
    context: dict[str, Any] = {
        "regions": sorted({found for arrays in visible if (found := view.region_of(arrays.store))}),
        "visible": [arrays.store for arrays in visible],
        "filters": {"store": store or [], "region": region or [], "q": q, "sort": sort},
        "most_choices": MOST_CHOICES,
        "missing_count": len({*(store or ())} - {*(arrays.store for arrays in visible)} - {*lost}),
        "chosen": [arrays.store for arrays in chosen],
        "query": request.url.query,
        "active": _active_refreshes(service, principal),
        "stale": [arrays.store for arrays in visible if not view.freshness[arrays.store].is_fresh],
        "lost": lost,
        "may_refresh": {
            name: service.refreshes.runner is not None and principal.may_change(name, view.region_of(name))
            for name in (*(row["store"] for row in listed.rows), *lost)
        },
    }
    if chosen:
        context |= _week_context(view, chosen) | {"listed": listed, "headings": stores.order_links(sort)}
    return render_page(request, "overview.html", context, principal)


def _week_context(view: FreshnessView, chosen: list[StoreData]) -> dict[str, Any]:
    """Return what the overview shows of the coming week of the chosen stores."""
    in_step = find_stores_in_step(chosen)
    series = sum_totals(in_step)
    summary = summarize_week(in_step, series)
    heat_days = series.dates[: columns.DAYS_SHOWN]
    return {
        "in_step": in_step,
        "left_behind": sorted({arrays.store for arrays in chosen} - {arrays.store for arrays in in_step}),
        "as_of": min(arrays.entry.as_of for arrays in chosen),
        "generated_at": min(arrays.entry.generated_at for arrays in chosen),
        "next_deadline": min(view.freshness[arrays.store].next_deadline for arrays in chosen),
        "series": series,
        "summary": summary,
        "alerts": list(islice(merge_alert_groups(in_step), ALERTS_SHOWN * 3)),
        "alert_count": count_alert_groups(in_step),
        "heat": stores.heat_rows(in_step, heat_days),
        "heat_days": heat_days,
        "columns": columns.select_shown(columns.name_window(columns.STORES, series.spacing, summary.days)),
        **_name_periods(series.spacing),
    }


def _name_periods(spacing: Spacing) -> dict[str, Any]:
    """Return the words for the page's periods, and its table of totals."""
    return {"words": WORDS[spacing], "totals": columns.name_window(columns.TOTALS, spacing)}


@router.get("/stores/{store}")
@made_aside
def store_page(request: Request, service: Parts, principal: Viewer, store: Segment) -> Response:
    """Show a store: its total, its drivers, and its items."""
    view = service.view
    arrays = select_store(view, principal, store)
    series = sum_totals([arrays])
    shown = columns.select_shown(columns.name_window(columns.ITEMS, arrays.spacing))
    context = {
        "arrays": arrays,
        "entry": arrays.entry,
        "region": view.region_of(arrays.store),
        "fresh": view.freshness[arrays.store],
        "held_reason": view.explain_held(arrays.store),
        "series": series,
        "summary": summarize_week([arrays], series),
        "drivers": driver_chart(arrays),
        "peak": explain_peak(arrays),
        "alerts": list(islice(merge_alert_groups([arrays]), ALERTS_SHOWN)),
        "active": _active_refreshes(service, principal),
        "last_failed": _last_failed(service, principal, arrays),
        "may_refresh": service.refreshes.runner is not None
        and principal.may_change(arrays.store, view.region_of(arrays.store)),
        "scores": [row for row in arrays.scorecard if row.get("lead") == 0][-5:],
        "short_history": count_known_days(arrays) * 2 < arrays.spacing.past,
        "score_columns": columns.SCORES,
        "columns": shown,
        "days_shown": min(columns.DAYS_SHOWN, len(arrays.dates)),
        "cells": [column.to_json() for column in shown[1:]],
        **_name_periods(arrays.spacing),
    }
    return render_page(request, "store.html", context, principal)


@router.get("/stores/{store}/items.json")
@made_aside
def items_json(request: Request, service: Parts, principal: Viewer, store: Segment) -> Response:
    """Return the items' table for its script."""
    view = service.view
    arrays = select_store(view, principal, store)

    def body() -> bytes:
        days = min(columns.DAYS_SHOWN, len(arrays.days))
        shape = [[round(float(value), 1) for value in row] for row in arrays.mean[:, :days]]
        return encode_json(
            {**tabulate_items(arrays), "shape": shape, "names": [encode_id(item) for item in arrays.items]}
        )

    return answer_json(request, view, arrays.store, [arrays], body)


@router.get("/stores/{store}/items/{item}")
@made_aside
def item_page(request: Request, service: Parts, principal: Viewer, store: Segment, item: Segment) -> Response:
    """Show an item of a store: its history, its forecast, what makes up its days, and how its last forecast did."""
    view = service.view
    arrays = select_store(view, principal, store)
    row = _find_item(arrays, item)
    level = compare_levels(arrays, total=False)
    series = item_series(arrays, row)
    known_days = sum(value is not None for value in series.past)
    context = {
        "arrays": arrays,
        "entry": arrays.entry,
        "item": arrays.items[row],
        "fresh": view.freshness[arrays.store],
        "held_reason": view.explain_held(arrays.store),
        "series": series,
        "row": {name: column[row] for name, column in tabulate_items(arrays).items()},
        "days": level.days,
        "parts": item_parts_chart(arrays, row),
        "alerts": [found for found in merge_alert_groups([arrays]) if found[0].item == arrays.items[row]],
        "score": score_item(service.publications.load_earlier_forecasts(arrays), arrays, row),
        "known_days": known_days,
        "past_days": len(series.past),
        "short_history": known_days * 2 < len(series.past),
        **_name_periods(arrays.spacing),
    }
    return render_page(request, "item.html", context, principal)


@router.get("/export.{kind}")
@made_aside
def export_overview(
    service: Parts,
    principal: Viewer,
    kind: Annotated[str, Path(pattern="^(csv|xlsx)$")],
    store: Texts = None,
    region: Texts = None,
    q: Text = "",
    sort: Order = "store",
) -> Response:
    """Export the overview as it is on screen, with all pages of its list."""
    view = service.view
    chosen = _select_stores(view, principal, store, region, q)
    return exports.answer_export(kind, "foreact-overview", exports.overview_sheets(view, chosen, sort))


@router.get("/stores/{store}/export.{kind}")
@made_aside
def export_store(
    service: Parts,
    principal: Viewer,
    store: Segment,
    kind: Annotated[str, Path(pattern="^(csv|xlsx)$")],
    q: Text = "",
    sort: Annotated[str, Query(max_length=20)] = "expected",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
) -> Response:
    """Export a store's items, filtered and sorted as on screen."""
    arrays = select_store(service.view, principal, store)
    rows = select_items(arrays, q, sort, descending=order == "desc")
    return exports.answer_export(kind, f"foreact-{encode_id(arrays.store)}", exports.store_sheets(arrays, rows))


@router.get("/stores/{store}/items/{item}/export.{kind}")
@made_aside
def export_item(
    service: Parts,
    principal: Viewer,
    store: Segment,
    item: Segment,
    kind: Annotated[str, Path(pattern="^(csv|xlsx)$")],
) -> Response:
    """Export an item's days as they are on screen."""
    arrays = select_store(service.view, principal, store)
    row = _find_item(arrays, item)
    name = f"foreact-{encode_id(arrays.store)}-{encode_id(arrays.items[row])}"
    return exports.answer_export(kind, name, exports.item_sheets(arrays, row))


@router.get("/static/{version}/{name}")
def static_file(version: Annotated[str, Path(max_length=20)], name: Annotated[str, Path(max_length=50)]) -> Response:
    """Return a static file; none of them is secret."""
    path = {path.name: path for path in STATIC.iterdir()}.get(name)
    if path is None:
        raise not_found("this file", "not_found")
    caching = "public, max-age=31536000, immutable" if version == static_version() else "no-cache"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(path.read_bytes(), 200, {"cache-control": caching}, kind)


def _find_item(arrays: StoreData, segment: str) -> int:
    """Return the row of the item that a URL's segment names, by its encoded name or by its id."""
    derived = arrays.detail.derived
    names = derived.get("item_names")
    if names is None:
        names = derived["item_names"] = {encode_id(item): row for row, item in enumerate(arrays.items)}
    row = names.get(segment, arrays.detail.rows.get(segment))
    if row is None:
        raise not_found(f"item {segment!r}", "item_not_found")
    return int(row)


def _active_refreshes(service: Service, principal: Principal) -> dict[str, str]:
    """Return the ids of the refreshes under way, by store."""
    view, scope = service.view, principal.visible_scope
    return {
        refresh.store: refresh.id for refresh in service.refreshes.list_active() if view.covers(scope, refresh.store)
    }


def _last_failed(service: Service, principal: Principal, arrays: StoreData) -> Any:
    """Return the store's last refresh, if it failed after the shown forecast was generated."""
    refresh = service.refreshes.last_failed(arrays.store)
    if refresh is None or refresh.ended_at is None or refresh.ended_at < arrays.entry.generated_at:
        return None
    return refresh.model_copy(update={"sentence": explain_refresh(service, principal, refresh)})
