"""Refuses requests for changes that a page of another site makes a browser send."""

import hmac
from urllib.parse import urlsplit

from fastapi import Request

from serving.auth.principal import Principal
from serving.errors import ApiError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"


def is_cross_site(request: Request) -> bool:
    """Return whether a page of another site made the browser send this request."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    foreign = origin is not None and _read_host(origin) != request.headers.get("host")
    return foreign or site not in {None, "same-origin", "none"}


def _read_host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def check_same_site(request: Request) -> None:
    """Raise ApiError if a page of another site made the browser send this request."""
    if is_cross_site(request):
        raise ApiError(403, "cross_site", "this request came from another site's page")


def check_csrf(request: Request, principal: Principal, form_token: str = "") -> None:
    """Raise ApiError for a change with a session's cookie that does not come from one of our own pages."""
    if principal.csrf is None or request.method in SAFE_METHODS:
        return
    check_same_site(request)
    token = form_token or request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(token.encode(), principal.csrf.encode()):
        raise ApiError(403, "csrf", "the page that sent this is out of date; load it again")
