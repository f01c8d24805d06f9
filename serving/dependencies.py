"""FastAPI dependencies: the application's parts, and what a route requires of its caller."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from serving.auth.cross_site import check_csrf
from serving.auth.principal import Principal, Role
from serving.errors import ApiError, not_authenticated
from serving.parts import Service


def service_of(request: Request) -> Service:
    """Return the application's parts."""
    service: Service = request.app.state.service
    return service


async def provide_service(request: Request) -> Service:
    """Return the application's parts; a coroutine, because FastAPI runs anything else in a thread."""
    return service_of(request)


Parts = Annotated[Service, Depends(provide_service)]


async def identify(request: Request) -> Principal | None:
    """Return the caller by API key or session; None if neither is valid. Whoever asks again is told the same."""
    scope = request.scope
    if "principal" not in scope:
        principal = scope["principal"] = await find_principal(request)
        if principal is None and "authorization" in request.headers:
            service_of(request).metrics.keys_refused.inc()
        # Log lines name it.
        scope["caller"] = principal.id if principal else None
    known: Principal | None = scope["principal"]
    return known


async def find_principal(request: Request) -> Principal | None:
    """Return whose key or session this is now, which may have been revoked since the request began."""
    service = service_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        if service.keys.is_late:
            await run_in_threadpool(service.keys.load_keys)
        found = service.keys.find_principal(text.strip())
        if found is None and service.keys.may_be_behind:
            # It may have been made since keys were loaded.
            await run_in_threadpool(partial(service.keys.load_keys, anew=True))
            found = service.keys.find_principal(text.strip())
        return found
    session = request.cookies.get(service.sessions.cookie)
    return service.sessions.read_cookie(session) if session else None


async def require_principal(request: Request) -> Principal:
    """Return the caller; raise ApiError for one without a valid key or session."""
    principal = await identify(request)
    if principal is None:
        raise not_authenticated()
    return principal


def require_role(role: Role) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """Return a dependency that lets callers of a role, or a higher one, pass."""

    async def guard(request: Request) -> Principal:
        principal = await require_principal(request)
        check_csrf(request, principal)
        if principal.role < role:
            raise ApiError(403, "forbidden", f"this needs the role {role.name}; you have {principal.role.name}")
        return principal

    return guard


Viewer = Annotated[Principal, Depends(require_role(Role.viewer))]
Planner = Annotated[Principal, Depends(require_role(Role.planner))]
Admin = Annotated[Principal, Depends(require_role(Role.admin))]
