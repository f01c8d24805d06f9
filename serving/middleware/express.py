"""The short way to answers that programs ask for again and again.

What the routes answered is kept while it is true, and one item's forecast in one store is put together from rows that
are encoded already. Both are byte for byte what the routes answer; whatever is unusual about a request is left to them.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.answers import (
    JSON,
    WORTH_COMPRESSING,
    Kept,
    compress,
    envelope,
    make_tag,
    packed_tag,
    shared_headers,
    takes_gzip,
)
from serving.api.forecasts import PATH, asked_of
from serving.auth.principal import Principal
from serving.publication import StoreData
from serving.publication.view import FreshnessView
from serving.service import Service

# Headers that may ask for something other than the plain case.
UNUSUAL = frozenset({b"if-none-match", b"range", b"expect"})
# Questions whose answers are known by their tags.
MOST_KNOWN = 20_000
Headers = list[tuple[bytes, bytes]]
Answer = tuple[Headers, bytes]
Key = tuple[Any, ...]


class Express:
    """Answers what it can of the GET requests below /v1, and passes on everything else."""

    def __init__(self, app: ASGIApp, service: Service, kept: Kept) -> None:
        self.app = app
        self._service = service
        self._kept = kept
        self._view: FreshnessView | None = None
        self._heads: dict[str, Headers] = {}
        self._known: dict[Key, tuple[str, Headers, Any]] = {}

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
            self._view, self._heads, self._known = view, {}, {}
        gzip = takes_gzip(headers.get(b"accept-encoding", b"").decode("latin-1"))
        question = (scope["path"], scope["query_string"], headers.get(b"accept", b""))
        key = (*question, gzip, principal.role, principal.sees)
        if key in self._known:
            tag, known, scope["route"] = self._known[key]
            body = self._kept.get(tag)
            if body is not None:
                await _send((known, body), send)
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

    def _watched(self, scope: Scope, send: Send, view: FreshnessView, key: Key) -> Send:
        """Remember by its tag an answer on its way, if it is one of those that are true until the view changes."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200 and view is self._view:
                headers = list(message.get("headers", ()))
                tag = next((value for name, value in headers if name == b"etag"), None)
                if tag is not None:
                    self._remember(key, tag.decode().strip('"'), headers, scope.get("route"))
            await send(message)

        return watched

    def _remember(self, key: Key, tag: str, headers: Headers, route: Any) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key] = tag, headers, route

    def _one_item(self, scope: Scope, view: FreshnessView, principal: Principal, key: Key) -> Answer | None:
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
        packed = key[3] and len(body) >= WORTH_COMPRESSING
        if packed:
            body, tag = compress(body), packed_tag(tag)
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"etag", b'"%b"' % tag.encode()), (b"content-length", b"%d" % len(body))]
        if packed:
            # Compressing is what takes time here; rows are kept by themselves.
            self._kept.put(tag, body)
            self._remember(key, tag, headers, ROUTE)
        return headers, body

    def _head(self, view: FreshnessView, arrays: StoreData) -> Headers:
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
