"""Requests that meet a damaged store, answered again with its last good numbers."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.dependencies import service_of
from serving.errors import ApiError, Page, answer_error
from serving.publication import DamagedStore

# Of the stores that an answer is made of, no more are likely to turn out to be damaged at once.
MOST_TRIES = 5


class DamageMiddleware:
    """Sets aside a store whose items turn out to be damaged when they are read, and asks the same route again."""

    def __init__(self, app: ASGIApp, *, page: Page) -> None:
        self.app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, from the beginning again while nothing of the answer has left."""
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        for _ in range(MOST_TRIES):
            try:
                await self.app(scope, receive, note_start)
                return
            except DamagedStore as problem:
                publications = service_of(Request(scope)).publications
                again = await run_in_threadpool(publications.set_aside, problem)
                if started:
                    raise
                # A body has been read by then.
                if not again or scope["method"] != "GET":
                    break
        message = "a store that you asked for turned out to be damaged just now; ask again"
        error = ApiError(503, "store_damaged", message, headers={"retry-after": "5"})
        await (await answer_error(Request(scope), self._page, error))(scope, receive, send)
