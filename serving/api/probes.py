"""Health, readiness, and metrics for Prometheus."""

import hmac

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from foreact import __version__
from serving.dependencies import Parts
from serving.errors import ApiError, error_responses

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The process is alive."""

    status: str
    version: str


class Readiness(BaseModel):
    """What the process can serve."""

    status: str
    publication: int | None
    stores: int
    refused: str | None
    unreachable: str | None


@router.get("/healthz", response_model=Health)
async def healthz() -> dict[str, str]:
    """Answer that the process is alive."""
    return {"status": "ok", "version": __version__}


@router.get("/startupz", response_model=Health, responses=error_responses(503))
async def startupz(service: Parts) -> dict[str, str]:
    """Return whether the service has looked for a publication once, whatever it found."""
    cache = service.publications
    if cache.checked_at is None and cache.unreachable is None:
        raise ApiError(503, "starting", "the service is still looking for a publication")
    return {"status": "ok", "version": __version__}


@router.get("/readyz", response_model=Readiness, responses=error_responses(503))
async def readyz(service: Parts) -> Readiness:
    """Return whether there are forecasts to serve; last good ones count, and the answer names what is wrong.

    Without any publication the service is ready too, because otherwise the first rollout could never end.
    """
    view, cache = service.views.current, service.publications
    wrong = cache.refused or cache.unreachable
    if view is None and (wrong or cache.checked_at is None):
        raise ApiError(
            503,
            "no_publication",
            f"there are no forecasts to serve: {wrong or 'the service is still looking for a publication'}",
        )
    return Readiness(
        status="degraded" if wrong else "ready" if view else "empty",
        publication=view.snapshot.version if view else None,
        stores=len(view.snapshot.stores) if view else 0,
        refused=cache.refused,
        unreachable=cache.unreachable,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **error_responses()},
)
async def metrics(request: Request, service: Parts) -> Response:
    """Return this process's metrics in Prometheus' text format."""
    expected = service.settings.metrics_token.get_secret_value()
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if expected and not hmac.compare_digest(token.encode(), expected.encode()):
        raise ApiError(401, "not_authenticated", "send the metrics token as a bearer token")
    body = await run_in_threadpool(service.metrics.render_text)
    return Response(body, 200, {"cache-control": "no-store"}, "text/plain; version=0.0.4; charset=utf-8")
