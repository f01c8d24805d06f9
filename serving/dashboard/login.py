"""Logging in and out."""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Annotated, Any
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from serving.auth.cross_site import check_csrf, check_same_site, is_cross_site
from serving.auth.principal import Principal
from serving.auth.sessions import FLOW, FLOW_SECONDS
from serving.dashboard.pages import LONGEST_TARGET, render_page
from serving.dependencies import Parts, require_principal
from serving.errors import ApiError, SignInFailed, too_many_requests
from serving.parts import Service

router = APIRouter(include_in_schema=False)
CALLBACK = "/login/callback"
# Sign-ins that may wait for a thread.
MOST_WAITING = 100
Target = Annotated[str, Query(max_length=LONGEST_TARGET)]


def asking_provider(route: Callable[..., Response]) -> Callable[..., Coroutine[Any, Any, Response]]:
    """Let a route wait for the provider in one of the few threads that are for that; refuse what would wait long."""

    @wraps(route)
    async def run(*, service: Service, **given: Any) -> Response:
        if service.sign_ins.statistics().tasks_waiting >= MOST_WAITING:
            raise too_many_requests("too_many_requests", "too many are signing in now; wait a minute", 60)
        return await to_thread.run_sync(partial(route, service=service, **given), limiter=service.sign_ins)

    return run


@router.get("/login")
def show_login(request: Request, service: Parts, target: Target = "/") -> Response:
    """Show the login page."""
    return _login_page(request, service, target)


@router.post("/login")
def log_in(
    request: Request,
    service: Parts,
    account: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=200)] = "",
    target: Annotated[str, Form(max_length=LONGEST_TARGET)] = "/",
) -> Response:
    """Log in with the local login."""
    check_same_site(request)
    _limit_attempts(request, service, "local")
    if service.local is None or not service.local.accepts_password(account, password):
        _record_login(request, service, None, "local")
        return _login_page(request, service, target, "The account or the password is wrong.", 401)
    return _start_session(request, service, service.local.principal, target, "local")


@router.get("/login/once")
def log_in_once(request: Request, service: Parts, token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Log in with the link that was printed at the start; it works once."""
    # A page of another site must not use up an office's tries; a token cannot be guessed.
    counts = not is_cross_site(request)
    if counts:
        _limit_attempts(request, service, "link")
    if service.local is None or not service.local.redeem_token(token):
        if counts:
            _record_login(request, service, None, "link")
        problem = "This link was used already, or the service has been restarted since."
        return _login_page(request, service, "/", problem, 401)
    return _start_session(request, service, service.local.principal, "/", "link")


@router.get("/login/sso")
@asking_provider
def begin_sign_on(request: Request, service: Parts, target: Target = "/") -> Response:
    """Redirect to the provider's sign-in."""
    if service.sign_on is None:
        raise ApiError(404, "not_found", "single sign-on is not set up here")
    try:
        url, flow = service.sign_on.begin_sign_in(_callback_url(request, service), safe_target(target))
    except SignInFailed as problem:
        return _login_page(request, service, target, f"Signing in failed: {problem}.", 503)
    response = RedirectResponse(url, 303)
    https = service.sessions.https
    response.set_cookie(FLOW, flow, max_age=FLOW_SECONDS, path=CALLBACK, secure=https, httponly=True, samesite="lax")
    return response


@router.get(CALLBACK)
@asking_provider
def complete_sign_on(request: Request, service: Parts) -> Response:
    """Log in whoever comes back from the provider's sign-in."""
    if service.sign_on is None:
        raise ApiError(404, "not_found", "single sign-on is not set up here")
    query = {name: value[:4_000] for name, value in request.query_params.items()}
    flow = request.cookies.get(FLOW, "")
    # The provider's page is another site too, but no other knows which sign-in this browser has begun.
    counts = not is_cross_site(request) or service.sign_on.find_flow(flow, query) is not None
    if counts:
        _limit_attempts(request, service, "sso")
    try:
        principal, target = service.sign_on.complete_sign_in(_callback_url(request, service), flow, query)
    except SignInFailed as problem:
        if counts:
            _record_login(request, service, None, "sso")
        return _login_page(request, service, "/", f"Signing in failed: {problem}.", 401)
    response = _start_session(request, service, principal, target, "sso")
    response.delete_cookie(FLOW, path=CALLBACK)
    return response


@router.post("/logout")
def log_out(
    request: Request,
    service: Parts,
    principal: Annotated[Principal, Depends(require_principal)],
    csrf: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """End the session; the form sends the CSRF token itself, so that no script is needed."""
    check_csrf(request, principal, csrf)
    service.audit.record_or_queue("logout", principal.id, "", request.scope["request_id"])
    response = RedirectResponse("/login", 303)
    service.sessions.end_session(response, request.cookies.get(service.sessions.cookie, ""))
    return response


def safe_target(target: str) -> str:
    """Return the address of a page of ours, or the overview's instead of any other address."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    is_ours = target.startswith("/") and not target.startswith("//") and not parts.netloc and not parts.scheme
    return target if is_ours and target.isprintable() and "\\" not in target else "/"


def _start_session(request: Request, service: Service, principal: Principal, target: str, method: str) -> Response:
    # Only failures count, because a whole office may log in from one address.
    service.login_limit.return_try(_client_address(request))
    _record_login(request, service, principal, method)
    response = RedirectResponse(safe_target(target), 303)
    service.sessions.set_cookie(response, principal)
    return response


def _record_login(request: Request, service: Service, principal: Principal | None, method: str) -> None:
    service.metrics.logins.labels(method, "succeeded" if principal else "failed").inc()
    account = principal.id if principal else "unknown"
    service.audit.record_or_queue(
        "login" if principal else "login_failed", account, method, request.scope["request_id"]
    )


def _client_address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _limit_attempts(request: Request, service: Service, method: str) -> None:
    wait = service.login_limit.take_try(_client_address(request))
    if wait:
        service.metrics.logins.labels(method, "limited").inc()
        raise too_many_requests("too_many_requests", "too many logins failed from here; wait a minute", wait)


def _callback_url(request: Request, service: Service) -> str:
    base = service.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return base + CALLBACK


def _login_page(request: Request, service: Service, target: str, problem: str = "", status: int = 200) -> Response:
    context = {
        "target": safe_target(target),
        "problem": problem,
        "local": service.local is not None,
        "sign_on": service.sign_on is not None,
    }
    return render_page(request, "login.html", context, None, status)
