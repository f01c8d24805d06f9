"""Sends answers: with a tag, without a body that the caller has already, compressed if wanted, large ones in turns."""

import asyncio
import gzip
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial, wraps
from itertools import chain, islice
from typing import Any
from urllib.parse import quote

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from serving.auth.principal import Principal
from serving.dependencies import service_of
from serving.errors import too_many_requests
from serving.parts import Service
from serving.publication import StoreData
from serving.publication.detail import StoreDetail
from serving.publication.view import FreshnessView

JSON, CSV = "application/json", "text/csv; charset=utf-8"
# Below this, compressing costs more than it saves.
WORTH_COMPRESSING = 1_200
STORES_IN_HEADER = 20
VARY = "authorization, cookie, accept, accept-encoding"
# An answer of more leaves in pieces, one in turn.
LARGE_BYTES = 1 << 16
# Of rows that are made one by one, so many take about a millisecond.
ROWS_AT_ONCE = 100
TAG = re.compile(r'(?:W/)?"([^"]*)"')


def made_aside(route: Callable[..., Response]) -> Callable[..., Coroutine[Any, Any, Response]]:
    """Let a route make its answers in a thread, few at a time; callers who wait for several already are refused."""

    @wraps(route)
    async def run(*, service: Service, principal: Principal, **given: Any) -> Response:
        if service.waiting.is_used_up(principal.id):
            message = f"{service.waiting.each} of your pages and files are being made already; wait for one"
            raise too_many_requests("too_many_at_once", message, 1)
        with service.waiting.hold(principal.id):
            work = partial(route, service=service, principal=principal, **given)
            return await to_thread.run_sync(work, limiter=service.aside)

    return run


@dataclass(frozen=True)
class Opened:
    """Whether the items that an answer needs are in memory: if not, it is made in threads, apart from all others."""

    # Held until the answer has left, so that nothing is read again on the event loop.
    details: Sequence[StoreDetail]
    limiter: CapacityLimiter | None = None


async def answer_with_items(
    service: Service, stores: Sequence[StoreData], answer: Callable[[Opened], Response]
) -> Response:
    """Return an answer that needs the items of some stores; where they have to be read, nobody else waits for that."""
    found = [arrays.open_detail for arrays in stores]
    details = [detail for detail in found if detail is not None]
    if len(details) == len(found):
        return answer(Opened(details))
    opened = Opened((), service.opening)
    return await to_thread.run_sync(answer, opened, limiter=service.opening)


def answer_json(
    request: Request, view: FreshnessView, request_key: object, stores: Iterable[StoreData], body: Callable[[], bytes]
) -> Response:
    """Return the JSON answer to a request; it must depend only on the view and on `request_key`."""
    return answer_pieces(request, view, request_key, stores, (body() for _ in range(1)))


def answer_pieces(
    request: Request,
    view: FreshnessView,
    request_key: object,
    stores: Iterable[StoreData],
    pieces: Iterator[bytes],
    opened: Opened | None = None,
) -> Response:
    """Return the JSON answer to a request, made piece by piece; it must depend only on the view and `request_key`."""
    tag = tag_of(request, view, request_key)
    return _answer(request, tag, shared_headers(view, stores), pieces, JSON, opened)


def answer_csv(
    request: Request,
    view: FreshnessView,
    request_key: object,
    stores: Iterable[StoreData],
    chunks: Iterable[bytes],
    filename: str,
    opened: Opened | None = None,
) -> Response:
    """Return the CSV answer to a request, sent while it is made."""
    tag = tag_of(request, view, request_key) + "c"
    headers = shared_headers(view, stores) | {"content-disposition": f'attachment; filename="{filename}"'}
    return _answer(request, tag, headers, iter(chunks), CSV, opened)


def _answer(
    request: Request, tag: str, headers: dict[str, str], pieces: Iterator[bytes], media: str, opened: Opened | None
) -> Response:
    known_tag = find_known_tag(request, tag) if request.method == "GET" else None
    if known_tag is not None:
        return Response(status_code=304, headers={**headers, "etag": f'"{known_tag}"'})
    first: list[bytes] = []
    size = 0
    for piece in pieces:
        first.append(piece)
        size += len(piece)
        if size > LARGE_BYTES:
            break
    is_packed = wants_gzip(request) and size >= WORTH_COMPRESSING
    headers["etag"] = f'"{packed_tag(tag) if is_packed else tag}"'
    if is_packed:
        headers["content-encoding"] = "gzip"
    if size <= LARGE_BYTES:
        body = b"".join(first)
        return Response(compress_body(body) if is_packed else body, 200, headers, media)
    rest = chain(_split(first), pieces)
    turns = _Turns(service_of(request).turn, opened or Opened(()))
    return StreamingResponse(_send_in_turns(turns, rest, is_packed=is_packed), 200, headers, media)


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return pieces that are no larger than one turn is long."""
    for piece in pieces:
        for start in range(0, len(piece), LARGE_BYTES):
            yield piece[start : start + LARGE_BYTES]


@dataclass(frozen=True)
class _Turns:
    """How the pieces of an answer are made."""

    turn: asyncio.Lock
    opened: Opened

    async def make_piece(self, make: Callable[[], bytes | None]) -> bytes | None:
        """Make a piece: in a thread if items may have to be read for it, else when no other piece is being made."""
        if self.opened.limiter is not None:
            return await to_thread.run_sync(make, limiter=self.opened.limiter)
        async with self.turn:
            piece = make()
            await asyncio.sleep(0)
        return piece


async def _send_in_turns(turns: _Turns, pieces: Iterator[bytes], *, is_packed: bool) -> AsyncIterator[bytes]:
    """Make and send pieces; between any two of them, of whichever answers, the event loop looks for other requests."""
    packer = zlib.compressobj(4, zlib.DEFLATED, 31) if is_packed else None
    piece: bytes | None = b""

    def make() -> bytes | None:
        nonlocal piece
        piece = next(pieces, None)
        if packer is None:
            return piece
        return packer.flush() if piece is None else packer.compress(piece)

    while True:
        sent = await turns.make_piece(make)
        if sent:
            yield sent
        if piece is None:
            return


def shared_headers(view: FreshnessView, stores: Iterable[StoreData]) -> dict[str, str]:
    """Return the headers that an answer has in every form."""
    return {**describe_in_headers(view, stores), "cache-control": "private, no-cache", "vary": VARY}


def tag_of(request: Request, view: FreshnessView, request_key: object) -> str:
    """Return the tag of the answer to a request."""
    return make_tag(view, request.scope["path"], request_key)


def make_tag(view: FreshnessView, path: str, request_key: object) -> str:
    """Return an answer's tag; equal tags mean equal bytes."""
    text = f"{view.tag}|{path}|{request_key!r}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def packed_tag(tag: str) -> str:
    """Return the tag of the compressed answer; its bytes differ, so its tag does too."""
    return f"{tag}-gzip"


def find_known_tag(request: Request, tag: str) -> str | None:
    """Return the tag of a form of the answer that the caller has already and still accepts; None if there is none."""
    header = ",".join(request.headers.getlist("if-none-match"))
    if header.strip() == "*":
        return tag
    sent = set(TAG.findall(header))
    forms = [tag, packed_tag(tag)] if wants_gzip(request) else [tag]
    return next((form for form in forms if form in sent), None)


def wants_gzip(request: Request) -> bool:
    """Return whether the caller accepts compressed answers."""
    return accepts_gzip(request.headers.get("accept-encoding", ""))


def accepts_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header accepts gzip."""
    return "gzip" in accepted and read_preference(accepted, "gzip") > 0


def read_preference(header: str, name: str) -> float:
    """Return the preference, 0 to 1, of an Accept header for a named form; 0 for one that it does not name."""
    for part in header.split(","):
        named, _, parameters = part.partition(";")
        if named.strip().lower() == name:
            _, _, quality = parameters.partition("q=")
            try:
                return float(quality or 1)
            except ValueError:
                return 0.0
    return 0.0


def describe_in_headers(view: FreshnessView, stores: Iterable[StoreData]) -> dict[str, str]:
    """Return headers on where the numbers come from: of several stores the oldest, and stale if any store is."""
    shown = list(stores)
    headers = {"foreact-publication": str(view.snapshot.version), "foreact-timezone": view.timezone}
    if shown:
        entries = [arrays.entry for arrays in shown]
        models = sorted(
            {
                _quote_for_header(f"{entry.model.name}/{entry.model.version or entry.model.run or 'baseline'}")
                for entry in entries
            }
        )
        more = f", and {len(models) - STORES_IN_HEADER} more" if len(models) > STORES_IN_HEADER else ""
        headers["foreact-model"] = ", ".join(models[:STORES_IN_HEADER]) + more
        headers["foreact-as-of"] = min(entry.as_of for entry in entries).isoformat()
        headers["foreact-generated-at"] = min(entry.generated_at for entry in entries).astimezone(UTC).isoformat()
        states = {view.freshness[arrays.store].state for arrays in shown}
        headers["foreact-staleness"] = "fresh" if states == {"fresh"} else "stale"
        held_count = sum(view.explain_held(arrays.store) is not None for arrays in shown)
        if held_count:
            headers["foreact-held"] = str(held_count)
    return headers


def _quote_for_header(text: str) -> str:
    """Return a text with all characters quoted that have a meaning in headers."""
    return quote(text, safe="/~ ")


def iterate_envelope(
    view: FreshnessView, stores: Iterable[str], name: str, rows: Iterable[bytes], **parts: bytes
) -> Iterator[bytes]:
    """Return a JSON object in pieces: what every answer has, a list of rows, and other parts that are encoded."""
    described = b",".join(orjson.dumps(store) + b":" + view.store_json(store) for store in stores)
    head = b'{"publication":%b,"stores":{%b},"%b":' % (view.publication_json, described, name.encode())
    tail = b"".join(b',"%b":%b' % (part.encode(), value) for part, value in parts.items())
    return iterate_list(head, rows, tail + b"}")


def iterate_list(head: bytes, rows: Iterable[bytes], tail: bytes) -> Iterator[bytes]:
    """Return a JSON list in pieces, of rows that come some at a time, and what is before and after it."""
    before = head + b"["
    for some in filter(None, rows):
        yield before + some
        before = b","
    yield (before if before != b"," else b"") + b"]" + tail


def encode_rows(rows: Iterable[Any]) -> Iterator[bytes]:
    """Return rows as JSON joined by commas, so many at a time as take no longer than a turn."""
    rows = iter(rows)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield encode_json(some)[1:-1]


def encode_json(value: Any) -> bytes:
    """Return a part as JSON; NumPy's numbers keep exactly the digits they need."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def compress_body(body: bytes) -> bytes:
    """Compress a whole answer; equal bodies give equal bytes."""
    return gzip.compress(body, 4, mtime=0)
