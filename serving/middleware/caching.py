"""The latest answers, sent again to the same request before it reaches a route."""

from typing import Any

from cachetools import LRUCache
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.answers import accepts_gzip
from serving.dependencies import identify, service_of
from serving.publication.view import FreshnessView

CACHE_BYTES = 64 << 20
# A larger answer would displace too many others, and is kept for each caller who does not read it to its end.
LARGEST_BYTES = 1 << 20
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
        principal = await identify(request)
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
        """Return a `send` that also caches an answer once it is whole."""
        messages: list[Message] = []
        size = 0

        async def collect(message: Message) -> None:
            nonlocal size
            if message["type"] == "http.response.start":
                cacheable = message["status"] == 200 and any(name == b"etag" for name, _ in message["headers"])
                size = 0 if cacheable else LARGEST_BYTES + 1
            size += len(message.get("body", b""))
            if size <= LARGEST_BYTES:
                # A copy, because `send` adds the headers of this one request.
                messages.append({**message})
            else:
                messages.clear()
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body")
            if whole and messages and view is self._view:
                self._answers[key] = messages, scope.get("route")

        return collect


def _count_bytes(answer: Answer) -> int:
    return OVERHEAD_BYTES + sum(len(message.get("body", b"")) for message in answer[0])
