"""Shapes of requests and answers for the OpenAPI description; answers themselves are encoded from arrays."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from foreact.spacing import Spacing
from serving.errors import Problem


class Publication(BaseModel):
    """The version that the whole answer is from."""

    version: int
    created_at: datetime
    action: Literal["publish", "restore", "withdraw"]
    timezone: str = Field(description="Dates are days in this time zone")
    refused: str | None = Field(description="What of the newest publication is not served, or null")


class FreshnessAnswer(BaseModel):
    """Whether a store's numbers are as fresh as promised."""

    state: Literal["fresh", "stale", "missing"]
    reasons: list[str]
    deadline: datetime
    next_deadline: datetime


class Model(BaseModel):
    """The registered version whose numbers these are."""

    name: str
    version: str | None = Field(description="null: a baseline that has no version, or not registered yet")
    run: str = Field(description="The run that trained it; empty: a baseline, or published by an older release")


class StoreSource(BaseModel):
    """Where a store's numbers come from."""

    model: Model
    run: str
    spacing: Spacing = Field(description="Whether dates stand for days, or for weeks or months by their own date")
    as_of: date = Field(description="The newest day, week or month of sales that the numbers know of")
    generated_at: datetime
    fallback: str | None = Field(description="Why a model or baseline had to stand in for the gate's choice, or null")
    held: str | None = Field(description="Why these are last good numbers, and newer ones are not shown, or null")
    freshness: FreshnessAnswer


class Answer(BaseModel):
    """What every answer with numbers carries."""

    publication: Publication
    stores: dict[str, StoreSource]


class _WithQuantiles(BaseModel):
    """A row that has further quantiles where the request names them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None] = Field(init=False)


class ForecastRow(_WithQuantiles):
    """Expected units of an item on a day, and what they stay below with 10, 50 and 90 % probability.

    Quantiles that the request names follow under their names, such as p95; null where a store has none.
    """

    store: str
    item: str
    date: date
    mean: float
    p10: float
    p50: float
    p90: float


class Forecasts(Answer):
    """Rows by store, item and date."""

    rows: list[ForecastRow]
    next: str | None = Field(description="The `cursor` of the next page; null: this was the last")


class TotalRow(_WithQuantiles):
    """A store's expected units of a day, with the total's own quantiles; those that the request names follow."""

    store: str
    date: date
    mean: float
    p10: float
    p50: float | None = Field(description="null: published before totals had it")
    p90: float


class Totals(Answer):
    """Rows by store and date."""

    rows: list[TotalRow]


class HistoryRow(BaseModel):
    """What was sold; without an item, in the whole store."""

    store: str
    item: str | None
    date: date
    units: float


class History(Answer):
    """The last eight weeks, and the days of last year that the forecast covers."""

    rows: list[HistoryRow]


class DriverRow(BaseModel):
    """What a driver adds to a store's total on a day; a day's drivers add up to it."""

    store: str
    date: date
    driver: str
    units: float


class Drivers(Answer):
    """Rows by store, driver and date."""

    rows: list[DriverRow]


class Triple(BaseModel):
    """One query of a bulk request."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(max_length=500)
    item: str = Field(max_length=500)
    # Text, so that an invalid day fails its own query only.
    start: str | None = Field(None, max_length=100, description="First day, 2026-12-24; none: the first forecast day")
    end: str | None = Field(None, max_length=100, description="Last day; none: the last forecast day")


class Bulk(BaseModel):
    """Many queries in one request."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Triple] = Field(min_length=1, max_length=2_000)
    quantiles: str | None = Field(None, max_length=500, description="Quantiles to add to every row, as in p5,p95")


class BulkResult(BaseModel):
    """One query's rows, or why there are none."""

    store: str
    item: str
    rows: list[ForecastRow] | None = None
    error: Problem | None = None


class BulkAnswer(Answer):
    """The results, in the order of the queries."""

    results: list[BulkResult]


class StoreAnswer(StoreSource):
    """A store and all that is known about its publication."""

    store: str
    name: str = Field(description="How URLs name it")
    region: str | None
    attributes: dict[str, str]
    items: int
    quantiles: list[str] = Field(description="The published quantiles, from the lowest to the highest")
    first_date: date
    last_date: date
    accuracy: dict[str, float] = Field(description="Backtest figures of the model behind the numbers")


class Stores(BaseModel):
    """The stores that the caller may see."""

    publication: Publication
    stores: list[StoreAnswer]


class Items(BaseModel):
    """A store's items."""

    publication: Publication
    store: str
    items: list[str]
    next: str | None


class OneStore(BaseModel):
    """One store."""

    publication: Publication
    store: StoreAnswer


class Scorecard(Answer):
    """How past forecasts of stores did once the sales were known."""

    rows: list[dict[str, Any]]
