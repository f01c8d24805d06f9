"""Every error as JSON of one shape with a stable code, or as a page for people."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from foreact.blobs import BlobUnavailable
from foreact.errors import ForeactError


class Problem(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable, for programs")
    message: str = Field(description="One sentence, for people")
    request_id: str | None = Field(None, description="Names the request in the logs")
    details: list[dict[str, Any]] | None = Field(None, description="Which parameters, and why")


class ErrorAnswer(BaseModel):
    """The body of every error answer."""

    error: Problem


class ApiError(Exception):
    """An error that is answered with a status, a code and a message."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


class SignInFailed(ForeactError):
    """A sign-in that failed; its message is shown to the person."""


def not_found(what: str, code: str) -> ApiError:
    """Return the error for what does not exist, or is not for this caller to see: the answer is the same."""
    return ApiError(404, code, f"{what} does not exist, or you may not see it")


# Messages for errors of the framework that carry only a status.
SENTENCES = {404: "nothing exists at this address", 405: "this address does not support this method"}
CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_parameter",
    429: "too_many_requests",
    503: "unavailable",
}


def error_response(
    request_id: str | None,
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    details: list[dict[str, Any]] | None = None,
) -> Response:
    """Return an error answer in JSON."""
    problem: dict[str, Any] = {"code": code, "message": message, "request_id": request_id}
    if details:
        problem["details"] = details
    body = orjson.dumps({"error": problem}, default=str)
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def error_responses(*statuses: int, csv: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a route's errors, and of CSV if it answers in that too."""
    tables: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
    return (tables if csv else {}) | {
        status: {"model": ErrorAnswer, "description": CODES[status].replace("_", " ").capitalize()}
        for status in (400, 401, 404, 422, *statuses)
    }


Page = Callable[[Request, int, str, str], Awaitable[Response]]


def not_authenticated() -> ApiError:
    """Return the error for a caller without a valid key or session."""
    headers = {"www-authenticate": 'Bearer realm="foreact"'}
    return ApiError(401, CODES[401], "log in, or send a valid API key as a bearer token", headers=headers)


def too_many_requests(code: str, message: str, seconds: float) -> ApiError:
    """Return the error for a caller who is to come back later."""
    return ApiError(429, code, message, headers={"retry-after": str(int(seconds) + 1)})


def wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page, so that a person reads the answer."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


async def answer_error(
    request: Request, page: Page, error: ApiError, details: list[dict[str, Any]] | None = None
) -> Response:
    """Return an error as JSON, or as a page with the same message for browsers."""
    if not wants_page(request):
        told = (_request_id(request), error.status, error.code, error.message)
        return error_response(*told, headers=error.headers, details=details)
    response = await page(request, error.status, error.code, error.message)
    if response.status_code == error.status:
        response.headers.update(error.headers)
    return response


def install_handlers(app: FastAPI, page: Page) -> None:
    """Answer every exception as JSON, or as a page with the same message for browsers."""

    async def api_error(request: Request, error: ApiError) -> Response:
        return await answer_error(request, page, error)

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and any(problem["loc"] == ("body",) for problem in error.errors()):
            message = "send JSON, with the header content-type: application/json"
            return error_response(_request_id(request), 415, CODES[415], message)
        details = [
            {
                "where": ".".join(str(part) for part in problem["loc"]),
                "problem": problem["msg"].removeprefix("Value error, "),
            }
            for problem in error.errors()[:20]
        ]
        message = "; ".join(f"{detail['where']}: {detail['problem']}" for detail in details[:3])
        if wants_page(request):
            named = dict.fromkeys(str(problem["loc"][1]) for problem in error.errors() if problem["loc"][1:])
            message = f"these parts are not valid: {', '.join(named)}" if named else message
        return await answer_error(request, page, ApiError(422, CODES[422], message), details)

    async def http(request: Request, error: HTTPException) -> Response:
        status, code = error.status_code, CODES.get(error.status_code, "error")
        bare = error.detail == HTTPStatus(status).phrase
        message = SENTENCES.get(status, error.detail) if bare else str(error.detail)
        return await answer_error(request, page, ApiError(status, code, message or "", headers=error.headers))

    async def store_unavailable(request: Request, error: Exception) -> Response:
        message = "the store of publications does not answer; forecasts already loaded are still served"
        problem = ApiError(503, "store_unavailable", message, headers={"retry-after": "10"})
        return await answer_error(request, page, problem)

    app.exception_handler(ApiError)(api_error)
    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(HTTPException)(http)
    app.exception_handler(BlobUnavailable)(store_unavailable)


def _request_id(request: Request) -> str | None:
    found = request.scope.get("request_id")
    return str(found) if found else None
