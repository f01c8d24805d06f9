"""Sends answers: with a tag, without a body that the caller has already, compressed if wanted, in pieces if large."""

import asyncio
import gzip
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC
from itertools import chain
from typing import Any
from urllib.parse import quote

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from serving.publication import StoreData
from serving.publication.view import FreshnessView

JSON, CSV = "application/json", "text/csv; charset=utf-8"
# Below this, compressing costs more than it saves.
WORTH_COMPRESSING = 1_200
STORES_IN_HEADER = 20
VARY = "authorization, cookie, accept, accept-encoding"
PIECE_BYTES = 1 << 18
# How many answers are computed in threads at once, because they share the interpreter with the event loop.
ASIDE = CapacityLimiter(1)
TAG = re.compile(r'(?:W/)?"([^"]*)"')


async def run_aside(work: Callable[[], Response]) -> Response:
    """Compute an answer in a thread, so that the event loop goes on answering other requests."""
    return await to_thread.run_sync(work, limiter=ASIDE)


def answer_json(
    request: Request, view: FreshnessView, request_key: object, stores: Iterable[StoreData], body: Callable[[], bytes]
) -> Response:
    """Return the JSON answer to a request; it must depend only on the view and on `request_key`."""
    tag = tag_of(request, view, request_key)
    headers = shared_headers(view, stores)
    known_tag = find_known_tag(request, tag) if request.method == "GET" else None
    if known_tag is not None:
        return Response(status_code=304, headers={**headers, "etag": f'"{known_tag}"'})
    plain = body()
    if not wants_gzip(request) or len(plain) < WORTH_COMPRESSING:
        return _make_response(plain, {**headers, "etag": f'"{tag}"'})
    return _make_response(compress_body(plain), {**headers, "etag": f'"{packed_tag(tag)}"', "content-encoding": "gzip"})


def _make_response(body: bytes, headers: dict[str, str]) -> Response:
    """Return a JSON response; a large body is sent in pieces, so that other requests are answered in between."""
    if len(body) <= PIECE_BYTES:
        return Response(body, 200, headers, JSON)
    return StreamingResponse(_split_body(body), 200, {**headers, "content-length": str(len(body))}, JSON)


async def _split_body(body: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES):
        yield whole[start : start + PIECE_BYTES]
        await asyncio.sleep(0)


def answer_csv(
    request: Request,
    view: FreshnessView,
    request_key: object,
    stores: Iterable[StoreData],
    chunks: Iterable[bytes],
    filename: str,
) -> Response:
    """Return the CSV answer to a request, sent while it is made."""
    tag = tag_of(request, view, request_key) + "c"
    headers = shared_headers(view, stores) | {"content-disposition": f'attachment; filename="{filename}"'}
    known_tag = find_known_tag(request, tag)
    if known_tag is not None:
        return Response(status_code=304, headers={**headers, "etag": f'"{known_tag}"'})
    if wants_gzip(request):
        packed = {**headers, "etag": f'"{packed_tag(tag)}"', "content-encoding": "gzip"}
        return StreamingResponse(_compress_chunks(chunks), 200, packed, CSV)
    return StreamingResponse(iter(chunks), 200, {**headers, "etag": f'"{tag}"'}, CSV)


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
        held_count = sum(arrays.store in view.snapshot.held_stores for arrays in shown)
        if held_count:
            headers["foreact-held"] = str(held_count)
    return headers


def _quote_for_header(text: str) -> str:
    """Return a text with all characters quoted that have a meaning in headers."""
    return quote(text, safe="/~ ")


def encode_envelope(view: FreshnessView, stores: Iterable[str], **parts: bytes) -> bytes:
    """Return a JSON object of encoded parts, after the parts that every answer has."""
    described = b",".join(orjson.dumps(store) + b":" + view.store_json(store) for store in stores)
    head = [b'{"publication":', view.publication_json, b',"stores":{', described, b"}"]
    named = ((b',"', name.encode(), b'":', value) for name, value in parts.items())
    # One copy: parts may be large.
    return b"".join([*head, *chain.from_iterable(named), b"}"])


def encode_json(value: Any) -> bytes:
    """Return a part as JSON; NumPy's numbers keep exactly the digits they need."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def compress_body(body: bytes) -> bytes:
    """Compress a whole answer; equal bodies give equal bytes."""
    return gzip.compress(body, 4, mtime=0)


def _compress_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(4, zlib.DEFLATED, 31)
    for chunk in chunks:
        packed = packer.compress(chunk)
        if packed:
            yield packed
    yield packer.flush()
