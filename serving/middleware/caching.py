"""The latest answers, sent again to the same request before it reaches a route."""

from typing import Any

from cachetools import LRUCache
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.answers import accepts_gzip
from serving.auth.keys import UNREADABLE
from serving.dependencies import identify, service_of
from serving.publication.view import FreshnessView

CACHE_BYTES = 64 << 20
# What an answer takes up besides its body: its headers and its key.
OVERHEAD_BYTES = 1_500
Key = tuple[Any, ...]
Answer = tuple[list[Message], Any]


class AnswerCache:
    """Caches answers below /v1 that have a tag: they depend only on the view, the request and the caller's scope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._view: FreshnessView | None = None
        self._answers: LRUCache[Key, Answer] = LRUCache(CACHE_BYTES, getsizeof=_count_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request from the cache, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        headers = request.headers
        view = service_of(request).views.current
        try:
            principal = await identify(request)
        except UNREADABLE:
            # The route finds that too, and its error becomes an answer.
            principal = None
        if view is None or principal is None or "if-none-match" in headers:
            await self.app(scope, receive, send)
            return
        if view is not self._view:
            self._view = view
            self._answers.clear()
        question = (scope["path"], scope["query_string"], headers.get("accept"))
        key = (*question, accepts_gzip(headers.get("accept-encoding", "")), principal.role, principal.visible_scope)
        answer = self._answers.get(key)
        if answer is None:
            await self.app(scope, receive, self._collect_answer(scope, send, view, key))
            return
        messages, scope["route"] = answer
        for message in messages:
            await send({**message})

    def _collect_answer(self, scope: Scope, send: Send, view: FreshnessView, key: Key) -> Send:
        """Return a `send` that also caches an answer that comes whole; what comes in pieces may be read for long."""
        start: Message | None = None

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                cacheable = message["status"] == 200 and any(name == b"etag" for name, _ in message["headers"])
                # A copy, because `send` adds the headers of this one request.
                start = {**message} if cacheable else None
            elif start is not None:
                if not message.get("more_body") and view is self._view:
                    self._answers[key] = [start, {**message}], scope.get("route")
                start = None
            await send(message)

        return collect


def _count_bytes(answer: Answer) -> int:
    return OVERHEAD_BYTES + sum(len(message.get("body", b"")) for message in answer[0])
