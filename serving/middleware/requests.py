"""The outermost layer of every request; plain ASGI, because each frame here slows every answer down."""

import contextlib
import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foreact.telemetry import tracing
from serving.auth.sessions import COOKIE, FLOW
from serving.errors import error_response, wants_page
from serving.metrics.service import Metrics

log = logging.getLogger("foreact.http")
SLOW_SECONDS = 1.0
MOST_HOSTS = 100
# Five hundred stores and as many items may be chosen; nothing has use for more.
MOST_PARAMETERS = 1_100
# The largest form is a login that leads back to a long address.
FORM_BYTES = 1 << 15
MOST_FIELDS = 20
# A type with many parameters takes time by the square of their number to read.
LONGEST_TYPE = 500
# Of what may be said only once, two values would let two readers of a request see two callers, or two hosts.
SINGLE = frozenset({b"authorization", b"cookie", b"host"})
# No cookie of ours is quoted; Python takes time by the square of the length to read one that is.
OWN_COOKIES = re.compile(rf'(?:^|;)[ \t]*((?:(?:__Host-)?{COOKIE}|{FLOW})=[^;"]*)(?=;|$)'.encode())
# Probes address the process, by whatever host name.
PROBES = frozenset({"/healthz", "/startupz", "/readyz"})
METRICS = "/metrics"
# The tokens of these work once, and a mail scanner's HEAD must not use them up.
ONCE = frozenset({"/login/once", "/login/callback"})
REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
Headers = dict[bytes, bytes]
HSTS = (b"strict-transport-security", b"max-age=31536000")


class BodyTooLarge(HTTPException):
    """The request's body is larger than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"requests may have at most {limit:,} bytes", {"connection": "close"})


class HeadSent(Exception):
    """The head of an answer to HEAD has been sent; the body is not wanted."""


class RequestMiddleware:
    """Identifies each request, refuses foreign hosts and large bodies, adds security headers, counts and logs.

    HEAD is answered as GET would be, without the body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        hosts: frozenset[str],
        max_body_bytes: int,
        https: bool,
        failure_page: Callable[[str], Response],
    ) -> None:
        self.app = app
        self._failure_page = failure_page
        self._metrics = metrics
        self._hosts = hosts
        self._limit = max_body_bytes
        # The parts of this process's request ids: a random prefix that cannot be guessed, and a counter.
        self._prefix, self._count = secrets.token_hex(6).encode(), 0
        self._known_hosts: dict[bytes, bool] = {}
        self._headers = [*HEADERS, HSTS] if https else HEADERS
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._timers: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _unite_headers(scope)
        if scope["method"] == "HEAD" and scope["path"] not in ONCE:
            scope = {**scope, "method": "GET", "head": True}
        if not tracing.is_started() or scope["path"] in {*PROBES, METRICS}:
            await self._serve_request(scope, headers, receive, send)
        else:
            await self._serve_in_span(scope, headers, receive, send)

    async def _serve_in_span(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Serve one request within a tracing span, so that the runs it starts can be linked to it."""
        parent = headers.get(b"traceparent", b"").decode("latin-1")
        method = _request_method(scope)
        with tracing.span("request", parent=parent, kind="server", http__request__method=method) as span:
            scope["traceparent"] = tracing.format_traceparent(span)
            await self._serve_request(scope, headers, receive, send)
            route = getattr(scope.get("route"), "path", None) or "none"
            span.update_name(f"{method} {route}")
            span.set_attribute("foreact.request_id", scope["request_id"])

    async def _serve_request(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = headers.get(b"x-request-id")
        if request_id is None or not REQUEST_ID.fullmatch(request_id):
            self._count += 1
            request_id = b"%b%08x" % (self._prefix, self._count)
        scope["request_id"] = request_id.decode()
        status = 500
        has_started = False

        async def answer(message: Message) -> None:
            nonlocal status, has_started
            if message["type"] == "http.response.start":
                status, has_started = message["status"], True
                message["headers"] = [*message.get("headers", ()), *self._headers, (b"x-request-id", request_id)]
                await send(message)
                if "head" in scope:
                    await send({"type": "http.response.body"})
                    raise HeadSent
                return
            await send(message)

        try:
            refusal = self._find_refusal(scope, headers)
            if refusal is not None:
                await refusal(scope, receive, answer)
            else:
                await self.app(scope, self._limit_body(scope, receive) if scope["method"] != "GET" else receive, answer)
        except Exception:
            if has_started and "head" in scope:
                return
            told = {"request_id": scope["request_id"], "caller": scope.get("caller")}
            log.exception("request failed", extra=told)
            if has_started:
                raise
            with contextlib.suppress(HeadSent):
                await self._describe_failure(scope)(scope, receive, answer)
        finally:
            self._record_request(scope, status, time.perf_counter() - started)

    def _describe_failure(self, scope: Scope) -> ASGIApp:
        """Return the answer to an unexpected error, which does not reveal it: a page for browsers, or else JSON."""
        if wants_page(Request(scope)):
            try:
                return self._failure_page(scope["request_id"])
            except Exception:
                log.exception("the page for this failure failed too", extra={"request_id": scope["request_id"]})
        message = "something went wrong here; the logs have the details under the request id"
        return error_response(scope["request_id"], 500, "internal", message)

    def _find_refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """Return the answer to a request that nothing more is to be read of; None for any other."""
        request_id = scope["request_id"]
        if "repeated" in scope:
            message = f"the header {scope['repeated']} may be sent only once"
            return error_response(request_id, 400, "repeated_header", message)
        if scope["path"] not in PROBES and not self._is_own_host(headers.get(b"host", b""), scope):
            message = "this service does not answer to that host name"
            return error_response(request_id, 400, "wrong_host", message)
        if scope["query_string"].count(b"&") >= MOST_PARAMETERS:
            message = f"an address may have at most {MOST_PARAMETERS:,} parameters"
            return error_response(request_id, 400, "too_many_parameters", message)
        if len(headers.get(b"content-type", b"")) > LONGEST_TYPE:
            message = f"the header content-type may have at most {LONGEST_TYPE} bytes"
            return error_response(request_id, 415, "unsupported_media_type", message)
        length, limit = headers.get(b"content-length"), self._largest_body(scope)
        if length is not None and (not length.isdigit() or len(length) > 18 or int(length) > limit):
            error = BodyTooLarge(limit)
            return error_response(request_id, 413, "body_too_large", error.detail, headers=error.headers)
        return None

    def _largest_body(self, scope: Scope) -> int:
        return self._limit if scope["path"].startswith("/v1/") else min(FORM_BYTES, self._limit)

    def _is_own_host(self, host: bytes, scope: Scope) -> bool:
        """Return whether a request means this service: by its name, or of its metrics by the address it came to."""
        known = self._known_hosts.get(host)
        if known is None:
            try:
                known = _read_host(host) in self._hosts
            except ValueError:
                return False
            if len(self._known_hosts) < MOST_HOSTS:
                self._known_hosts[host] = known
        # Prometheus asks each process by its own address, which no page of another site can stand for.
        return known or (scope["path"] == METRICS and bool(scope["server"]) and _read_host(host) == scope["server"][0])

    def _limit_body(self, scope: Scope, receive: Receive) -> Receive:
        limit, is_form = self._largest_body(scope), not scope["path"].startswith("/v1/")
        seen = fields = 0

        async def counted() -> Message:
            nonlocal seen, fields
            message = await receive()
            body = message.get("body", b"")
            seen += len(body)
            fields += body.count(b"&") if is_form else 0
            if seen > limit or fields > MOST_FIELDS:
                raise BodyTooLarge(limit)
            return message

        return counted

    def _record_request(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "none"
        method = _request_method(scope)
        if method not in {"GET", "HEAD", "POST", "DELETE", "PUT"}:
            method = "other"
        key = (route, method, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._metrics.requests.labels(route, method, str(status))
            self._timers.setdefault(route, self._metrics.latency.labels(route))
        counter.inc()
        self._timers[route].observe(seconds)
        if status >= 400 or seconds > SLOW_SECONDS or method not in {"GET", "HEAD"}:
            log.info(
                "request",
                extra={
                    "request_id": scope["request_id"],
                    "method": method,
                    "route": route,
                    "status": status,
                    "seconds": round(seconds, 4),
                    "caller": scope.get("caller"),
                },
            )


def _unite_headers(scope: Scope) -> Headers:
    """Return a request's headers by name, those that are repeated joined by commas, which all that read them then see.

    What may be said only once is left in the scope as `repeated`. Cookies that are not ours are left out.
    """
    headers: Headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]):
        values: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            values.setdefault(name, []).append(value)
        repeated = sorted(name for name in SINGLE if len(values.get(name, ())) > 1)
        if repeated:
            scope["repeated"] = repeated[0].decode()
        headers = {name: b", ".join(parts) for name, parts in values.items()}
        scope["headers"] = list(headers.items())
    if b"cookie" in headers:
        headers[b"cookie"] = b"; ".join(OWN_COOKIES.findall(headers[b"cookie"]))
        scope["headers"] = list(headers.items())
    return headers


def _read_host(host: bytes) -> str | None:
    return urlsplit("//" + host.decode("latin-1")).hostname


def _request_method(scope: Scope) -> str:
    """Return the method that the caller used."""
    return "HEAD" if "head" in scope else str(scope["method"])
