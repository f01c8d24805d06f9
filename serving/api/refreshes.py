"""Refreshes over HTTP: requested, followed live or by polling, listed."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from foreact.naming import encode_id
from serving.api.stores import Segment
from serving.auth.principal import Principal
from serving.dependencies import Parts, Planner, Viewer, find_principal
from serving.errors import ApiError, error_responses, not_found, too_many_requests
from serving.parts import Service
from serving.refreshes.records import Refresh, Step
from serving.refreshes.wording import conceal_names

router = APIRouter(prefix="/v1", tags=["refreshes"])
RefreshId = Annotated[str, Path(max_length=100, description="A refresh's id")]
POLL_SECONDS = 0.4
HEARTBEAT_SECONDS = 10.0
LONGEST_STREAM_SECONDS = 1_800


class RefreshAnswer(BaseModel):
    """A refresh as it is now."""

    id: str
    store: str
    store_name: str
    state: Literal["queued", "running", "succeeded", "failed"]
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    elapsed_seconds: float = Field(description="From the request to its end, or to now")
    usual_seconds: float | None = Field(
        description="How long the latest updates took, once started; none has ended well yet: null"
    )
    waiting_before: int | None = Field(description="While queued: how many come first")
    steps: list[Step]
    failed_step: str | None
    sentence: str | None = Field(description="Why it failed")
    version: int | None = Field(description="The publication that shows its numbers")
    already_running: bool = Field(False, description="The request joined a refresh that was under way")


class RefreshList(BaseModel):
    """Refreshes, those under way first, then the latest."""

    refreshes: list[RefreshAnswer]


@router.post(
    "/stores/{store}/refreshes",
    status_code=202,
    response_model=RefreshAnswer,
    responses=error_responses(403, 429, 503),
)
def request_refresh(request: Request, response: Response, service: Parts, principal: Planner, store: Segment) -> Any:
    """Request new numbers of a store; a second request joins the first."""
    view = service.view
    chosen = view.snapshot.store_of(store)
    if not view.covers(principal.visible_scope, chosen):
        # By the name that was asked for: its id would say that there is one.
        raise not_found(f"store {store!r}", "store_not_found")
    if not principal.may_change(chosen, view.region_of(chosen)):
        raise ApiError(403, "forbidden", f"you may view store {chosen!r}, but not refresh it")
    wait = service.refresh_limit.take_try(principal.id)
    if wait:
        raise too_many_requests("too_many_requests", "you requested too many refreshes; wait a minute", wait)
    trace = request.scope.get("traceparent") or request.headers.get("traceparent", "")[:55]
    refresh, joined = service.refreshes.request(chosen, principal.id, request.scope["request_id"], trace)
    if not joined:
        service.audit.record_or_queue("refresh", principal.id, chosen, request.scope["request_id"])
    response.headers["location"] = f"/v1/refreshes/{refresh.id}"
    return describe_refresh(service, principal, refresh, joined=joined)


@router.get("/refreshes", response_model=RefreshList, responses=error_responses(503))
def list_refreshes(
    service: Parts,
    principal: Viewer,
    store: Annotated[list[str] | None, Query(max_length=500, description="Stores; none: all that you may see")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> RefreshList:
    """Return the refreshes of your stores, those under way first."""
    listed = [*reversed(service.refreshes.records.list_active()), *service.refreshes.list_ended()]
    # A refresh that ends between these two reads is in both lists.
    found = {one.id: one for one in listed}.values()
    chosen = [one for one in found if may_see(service, principal, one) and (not store or one.store in store)][:limit]
    return RefreshList(
        refreshes=[
            describe_refresh(service, principal, service.refreshes.find_refresh(one.id) or one) for one in chosen
        ]
    )


@router.get("/refreshes/{refresh_id}", response_model=RefreshAnswer, responses=error_responses(503))
def show_refresh(service: Parts, principal: Viewer, refresh_id: RefreshId) -> RefreshAnswer:
    """Return a refresh as it is now."""
    return describe_refresh(service, principal, _find_refresh(service, principal, refresh_id))


@router.get(
    "/refreshes/{refresh_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **error_responses(429, 503)},
)
async def follow_refresh(request: Request, service: Parts, principal: Viewer, refresh_id: RefreshId) -> Response:
    """Follow a refresh live, by server-sent events named `refresh`, until it ends."""
    await run_in_threadpool(_find_refresh, service, principal, refresh_id)
    if service.streams.is_used_up(principal.id):
        message = "too many refreshes are followed live now; poll this one's state instead"
        raise too_many_requests("too_many_streams", message, 4)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    events = _stream_events(request, service, principal, refresh_id)
    return StreamingResponse(events, 200, headers, "text/event-stream")


async def _stream_events(
    request: Request, service: Service, principal: Principal, refresh_id: str
) -> AsyncIterator[bytes]:
    last, sent_at, started_at = None, time.monotonic(), time.monotonic()
    with service.streams.hold(principal.id), service.metrics.streams.track_inprogress():
        while time.monotonic() - started_at < LONGEST_STREAM_SECONDS and not service.closing:
            refresh = await run_in_threadpool(service.refreshes.find_refresh, refresh_id)
            # A key that was revoked meanwhile, or a session that has ended, sees nothing more.
            if refresh is None or await find_principal(request) != principal:
                return
            if refresh != last:
                answer = describe_refresh(service, principal, refresh).model_dump(mode="json")
                yield b"event: refresh\ndata: " + orjson.dumps(answer) + b"\n\n"
                last, sent_at = refresh, time.monotonic()
            elif time.monotonic() - sent_at > HEARTBEAT_SECONDS:
                yield b": still here\n\n"
                sent_at = time.monotonic()
            if refresh.ended_at is not None:
                return
            await asyncio.sleep(POLL_SECONDS)


def _find_refresh(service: Service, principal: Principal, refresh_id: str) -> Refresh:
    refresh = service.refreshes.find_refresh(refresh_id)
    if refresh is None or not may_see(service, principal, refresh):
        raise not_found("this refresh", "refresh_not_found")
    return refresh


def may_see(service: Service, principal: Principal, refresh: Refresh) -> bool:
    """Return whether the caller may see a refresh's store."""
    view = service.views.current
    if view is None:
        return principal.visible_scope.everything
    return principal.visible_scope.everything or view.covers(principal.visible_scope, refresh.store)


def explain_refresh(service: Service, principal: Principal, refresh: Refresh) -> str | None:
    """Return why a refresh failed, naming only what the caller may see."""
    view, scope = service.views.current, principal.visible_scope
    if refresh.sentence is None or scope.everything:
        return refresh.sentence
    visible = view.visible_stores(scope) if view else {}
    own = visible.get(refresh.store)
    return conceal_names(
        refresh.sentence,
        lambda name: name == refresh.store or name in visible or (own is not None and own.find_row(name) is not None),
    )


def describe_refresh(
    service: Service, principal: Principal, refresh: Refresh, *, joined: bool = False
) -> RefreshAnswer:
    """Return a refresh as the API shows it; who requested it stays in the audit log."""
    until = refresh.ended_at or service.clock()
    return RefreshAnswer(
        store_name=encode_id(refresh.store),
        elapsed_seconds=round(max(0.0, (until - refresh.requested_at).total_seconds()), 1),
        usual_seconds=service.refreshes.estimate_seconds(),
        waiting_before=service.refreshes.count_ahead(refresh) if refresh.state == "queued" else None,
        steps=list(refresh.steps),
        already_running=joined,
        sentence=explain_refresh(service, principal, refresh),
        **refresh.model_dump(
            include={
                "id",
                "store",
                "state",
                "requested_at",
                "started_at",
                "ended_at",
                "failed_step",
                "version",
            }
        ),
    )
