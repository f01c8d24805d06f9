"""Ranked alerts over HTTP."""

from datetime import date
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from foreact.spacing import Spacing
from serving.alerts.ranking import rank_alerts
from serving.api.answers import answer_pieces, encode_rows, iterate_envelope, made_aside
from serving.api.schemas import Answer
from serving.api.selection import StoreFilter, select_stores
from serving.dependencies import Parts, Viewer
from serving.errors import error_responses

router = APIRouter(prefix="/v1", tags=["alerts"])


class AlertAnswer(BaseModel):
    """A peak: demand unusually high against lately and last year. A shortage: it may exceed a normal delivery."""

    kind: Literal["peak", "shortage"]
    store: str
    item: str | None = Field(description="null: the store as a whole")
    start: date
    end: date = Field(description="The last day, of weeks or months the last one's")
    periods: int = Field(description="How many days, weeks or months these are")
    spacing: Spacing
    expected: float = Field(description="Units from start to end")
    expected_high: float = Field(description="Units that demand stays below with 90 % probability")
    recent: float | None = Field(description="Units that as many periods brought lately")
    last_year: float | None = Field(description="Units on the same weekdays, or in the same weeks or months, last year")
    at_stake: float = Field(
        description="`expected` less the higher of `recent` and `last_year`, or less `normal_delivery`"
    )
    probability: float = Field(description="That demand exceeds the usual, or a normal delivery")
    peak_day: date = Field(description="The day, or the date of the week or month, with most units")
    normal_delivery: float | None = Field(description="Of a shortage: what four in five recent weeks needed at most")


class Alerts(Answer):
    """Alerts, those with most units at stake first."""

    alerts: list[AlertAnswer]


@router.get("/alerts", response_model=Alerts, responses=error_responses(503))
@made_aside
def list_alerts(
    request: Request,
    service: Parts,
    principal: Viewer,
    store: StoreFilter = None,
    kind: Annotated[Literal["peak", "shortage"] | None, Query(description="none: both")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> Response:
    """Return what is unusual in the coming week, those with most units at stake first."""
    view = service.view
    stores = select_stores(view, principal, store)
    names = [arrays.store for arrays in stores]

    ranked = (alert.to_json() for alert in islice(rank_alerts(stores, kind), limit))
    pieces = iterate_envelope(view, names, "alerts", encode_rows(ranked))
    return answer_pieces(request, view, (tuple(names), kind, limit), stores, pieces)
