"""The short way to answers that programs ask for again and again.

What the routes answered is kept while it is true, and one item's forecast in one store is put together from rows that
are encoded already. Both are byte for byte what the routes answer; whatever is unusual about a request is left to them.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.answers import (
    JSON,
    WORTH_COMPRESSING,
    compress,
    envelope,
    make_tag,
    packed_tag,
    shared_headers,
    takes_gzip,
)
from serving.api.forecasts import PATH, asked_of
from serving.auth.principal import Principal
from serving.board import View
from serving.cache import StoreArrays
from serving.service import Service

# Headers that may ask for something other than the plain case.
UNUSUAL = frozenset({b"if-none-match", b"range", b"expect"})
KEPT_BYTES = 32 << 20
Headers = list[tuple[bytes, bytes]]
Answer = tuple[Headers, bytes]
Key = tuple[Any, ...]


class Express:
    """Answers what it can of the GET requests below /v1, and passes on everything else."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self._service = service
        self._view: View | None = None
        self._heads: dict[str, Headers] = {}
        self._kept: OrderedDict[Key, tuple[Answer, Any]] = OrderedDict()
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        view, principal = self._service.board.view, self._caller(headers)
        if view is None or principal is None or not UNUSUAL.isdisjoint(headers):
            await self.app(scope, receive, send)
            return
        if view is not self._view:
            self._view, self._heads, self._size = view, {}, 0
            self._kept.clear()
        gzip = takes_gzip(headers.get(b"accept-encoding", b"").decode("latin-1"))
        question = (scope["path"], scope["query_string"], headers.get(b"accept", b""))
        key = (*question, gzip, principal.role, principal.sees)
        found = self._kept.get(key)
        if found is not None:
            answer, scope["route"] = found
            await _send(answer, send)
            return
        made = self._one_item(scope, view, principal, key) if question[0] == PATH else None
        if made is not None:
            scope["route"] = ROUTE
            await _send(made, send)
            return
        await self.app(scope, receive, self._watched(scope, send, view, key))

    def _caller(self, headers: dict[bytes, bytes]) -> Principal | None:
        """Give the caller where that takes no look into the store; browsers go the long way."""
        given = headers.get(b"authorization")
        if given is None or self._service.keys.is_due or given[:7].lower() != b"bearer ":
            return None
        return self._service.keys.find(given[7:].decode("latin-1").strip())

    def _watched(self, scope: Scope, send: Send, view: View, key: Key) -> Send:
        """Keep an answer on its way, if it is one of those that are true until the view changes."""
        started: list[Message] = []

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
                # Whoever wraps the answer further adds headers of this one request to another list.
                await send({**message})
                return
            if started and not message.get("more_body") and view is self._view:
                begun = started.pop()
                headers = list(begun.get("headers", ()))
                if begun["status"] == 200 and any(name == b"etag" for name, _ in headers):
                    self._keep(key, (headers, message.get("body", b"")), scope.get("route"))
            started.clear()
            await send(message)

        return watched

    def _keep(self, key: Key, answer: Answer, route: Any) -> None:
        size = len(answer[1])
        if size > KEPT_BYTES // 8 or key in self._kept:
            return
        self._kept[key] = (answer, route)
        self._size += size
        while self._size > KEPT_BYTES:
            self._size -= len(self._kept.popitem(last=False)[1][0][1])

    def _one_item(self, scope: Scope, view: View, principal: Principal, key: Key) -> Answer | None:
        """Answer `store=S&item=I`."""
        if b"csv" in key[2]:
            return None
        try:
            asked = parse_qsl(scope["query_string"].decode("ascii"), strict_parsing=True, keep_blank_values=True)
        except ValueError:
            return None
        if len(asked) != 2 or asked[0][0] != "store" or asked[1][0] != "item":
            return None
        arrays = view.visible(principal.sees).get(asked[0][1])
        row = None if arrays is None else arrays.rows.get(asked[1][1])
        if arrays is None or row is None:
            return None
        body = envelope(view, [arrays.store], rows=b"[" + arrays.fragment(row) + b"]", next=b"null")
        tag = make_tag(view, PATH, asked_of([arrays.store], [arrays.items[row]]))
        headers = [*self._head(view, arrays)]
        if key[3] and len(body) >= WORTH_COMPRESSING:
            body, tag = compress(body), packed_tag(tag)
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"etag", b'"%b"' % tag.encode()), (b"content-length", b"%d" % len(body))]
        if key[3]:
            # Compressing is what takes time here; rows are kept by themselves.
            self._keep(key, (headers, body), ROUTE)
        return headers, body

    def _head(self, view: View, arrays: StoreArrays) -> Headers:
        """Give the headers that all answers of a store's items share."""
        head = self._heads.get(arrays.store)
        if head is None:
            shared = {**shared_headers(view, [arrays]), "content-type": JSON}
            head = self._heads[arrays.store] = [(name.encode(), value.encode()) for name, value in shared.items()]
        return head


async def _send(answer: Answer, send: Callable[[Message], Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": answer[0]})
    await send({"type": "http.response.body", "body": answer[1]})


class _Route:
    """What metrics and logs call it: the route that it stands for."""

    path = PATH


ROUTE = _Route()
