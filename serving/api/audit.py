"""The audit log over HTTP: JSON lines, for administrators."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from serving.api.selection import Day
from serving.dependencies import Admin, Parts
from serving.errors import ApiError, error_responses

router = APIRouter(prefix="/v1", tags=["operations"])


@router.get(
    "/audit",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}, **error_responses(403, 503)},
)
def export_audit(
    service: Parts,
    principal: Admin,
    start: Annotated[Day | None, Query(description="First day, in UTC; none: a week ago")] = None,
    end: Annotated[Day | None, Query(description="Last day, in UTC; none: today")] = None,
) -> StreamingResponse:
    """Export who logged in, requested which refresh and restored which version, one JSON object a line."""
    last = min(end, date(9999, 1, 1)) if end else service.clock().date()
    first = start or max(last, date(1, 2, 1)) - timedelta(days=7)
    if first > last or (last - first).days > service.settings.keep_days:
        raise ApiError(
            422,
            "invalid_parameter",
            f"the range must be 1 to {service.settings.keep_days} days long, with the start before the end",
        )
    return StreamingResponse(
        service.audit.export_lines(first, last), 200, {"cache-control": "no-store"}, "application/x-ndjson"
    )
