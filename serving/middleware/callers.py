"""Who asks, found out before anything else of a request is read, and how much each caller may have under way."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from foreact.blobs import BlobUnavailable
from serving.auth.limits import Shares
from serving.dependencies import identify
from serving.errors import ApiError, Page, answer_error, not_authenticated, too_many_requests

# More than a browser with many tabs asks for at once, and than a program needs.
MOST_UNDER_WAY = 32
# What these are asked for has nothing to do with keys and sessions, and is answered whatever becomes of them.
OPEN = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})


class CallerMiddleware:
    """Lets nobody unknown past the door of /v1, and no caller have more than a share of the answers under way."""

    def __init__(self, app: ASGIApp, *, page: Page) -> None:
        self.app = app
        self._page = page
        self._under_way = Shares(MOST_UNDER_WAY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of a caller who may ask for it now."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            caller = await self._admit(request)
        except ApiError as error:
            await (await answer_error(request, self._page, error))(scope, receive, send)
            return
        if caller is None:
            await self.app(scope, receive, send)
            return
        with self._under_way.hold(caller):
            await self.app(scope, receive, send)

    async def _admit(self, request: Request) -> str | None:
        """Return the caller's id, None for nobody; raise ApiError for one who may not ask, or not now."""
        try:
            principal = await identify(request)
        except BlobUnavailable:
            # The route finds that too, and its error becomes an answer.
            return None
        if principal is None:
            if request.scope["path"].startswith("/v1/"):
                raise not_authenticated()
            return None
        if self._under_way.is_used_up(principal.id):
            message = f"{MOST_UNDER_WAY} of your requests are being answered already; wait for one to end"
            raise too_many_requests("too_many_under_way", message, 1)
        return principal.id
