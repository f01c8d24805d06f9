"""What every route asks of its caller before it does anything."""

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from serving.auth.principal import Principal, Role
from serving.errors import ApiError
from serving.service import Service

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"


def service_of(request: Request) -> Service:
    """Give the parts that the application was made of."""
    service: Service = request.app.state.service
    return service


async def provide_service(request: Request) -> Service:
    """Return the application's parts; FastAPI would call what is not a coroutine in a thread."""
    return service_of(request)


Parts = Annotated[Service, Depends(provide_service)]


async def identify(request: Request) -> Principal | None:
    """Give the caller, by key or by session, or nobody."""
    service = service_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        if service.keys.is_due:
            await run_in_threadpool(service.keys.load)
        return service.keys.find(text.strip())
    session = request.cookies.get(service.sessions.cookie)
    return service.sessions.read(session) if session else None


def check_same_site(request: Request) -> None:
    """Refuse a change that another site's page asks a browser for."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or site not in {None, "same-origin", "none"}:
        raise ApiError(403, "cross_site", "this request came from another site's page")


def check_csrf(request: Request, principal: Principal, given: str = "") -> None:
    """See that a change asked for with a session's cookie comes from one of our own pages."""
    if principal.csrf is None or request.method in SAFE:
        return
    check_same_site(request)
    token = given or request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(token.encode(), principal.csrf.encode()):
        raise ApiError(403, "csrf", "the page that sent this is out of date; load it again")


async def known(request: Request) -> Principal:
    """Give the caller, or refuse whom nobody knows."""
    principal = await identify(request)
    if principal is None:
        headers = {"www-authenticate": 'Bearer realm="foreact"'}
        raise ApiError(401, "not_authenticated", "log in, or send a valid API key as a bearer token", headers=headers)
    return principal


def need(role: Role) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """Make the dependency that lets callers of a role, or a higher one, pass."""

    async def guard(request: Request) -> Principal:
        principal = await known(request)
        check_csrf(request, principal)
        if principal.role < role:
            raise ApiError(403, "forbidden", f"this needs the role {role.name}; you have {principal.role.name}")
        return principal

    return guard


Viewer = Annotated[Principal, Depends(need(Role.viewer))]
Planner = Annotated[Principal, Depends(need(Role.planner))]
Admin = Annotated[Principal, Depends(need(Role.admin))]
