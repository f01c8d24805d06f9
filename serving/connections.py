"""Connections with deadlines and sizes: what a head may hold, how long a caller may send, or read nothing.

Many connections shut nobody out: where there are too many, those go that have kept the service waiting longest.
"""

import heapq
import resource
import sys
from asyncio import BaseTransport, Transport
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

LARGEST_HEAD = 1 << 16
# How long the service waits for a caller: to send a head, to send a body, to read on, to read the end.
SECONDS = {"head": 10.0, "body": 30.0, "": 30.0, "end": 10.0}
MOST_CONNECTIONS = 1_000
# So many are closed at once when there are too many, so that whoever opens them fast causes little work.
CLOSED_AT_ONCE = 50
# What files, threads and other parts need besides connections, and those that arrive together.
OTHER_FILES = 1_000
# How soon the event loop gets the interpreter back from threads that make pages and files; by default ten times that.
SWITCH_SECONDS = 0.0005
REFUSALS = {400: "This is no HTTP request.", 431: "The head of a request may have at most 65,536 bytes."}


class Connection(HttpToolsProtocol):
    """One connection, and what it keeps the service waiting for."""

    # What the caller is to send next; nothing while the service is to answer.
    awaited = "head"
    since = 0.0
    _received = 0
    _unread = 0
    _refusal = 400

    def connection_made(self, transport: BaseTransport) -> None:
        """Take a connection, and close older ones that wait if there are too many."""
        super().connection_made(cast(Transport, transport))
        self._await("head")
        if len(self.connections) > MOST_CONNECTIONS:
            others = cast(set["Connection"], self.connections) - {self}
            waiting = [other for other in others if other.is_waiting and not other.transport.is_closing()]
            for other in heapq.nsmallest(CLOSED_AT_ONCE, waiting, key=lambda other: other.since):
                other.transport.abort()

    @property
    def is_waiting(self) -> bool:
        """Return whether the service waits for the caller, not the caller for the service."""
        return bool(self.awaited) or self.transport.get_write_buffer_size() > 0

    def close_if_overdue(self, now: float) -> None:
        """Close the connection if the caller has neither sent nor read anything for too long."""
        unread = self.transport.get_write_buffer_size()
        if unread != self._unread:
            self._unread, self.since = unread, now
        if self.transport.is_closing() and self.awaited != "end":
            self._await("end")
        if (self.awaited or unread) and now - self.since > SECONDS[self.awaited]:
            self.transport.abort()

    def resume_writing(self) -> None:
        """Go on answering a caller who reads."""
        self.since = self.loop.time()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Read on, unless what is no body has no end: a head, what comes with a chunk, or after the last."""
        self._received += len(data)
        super().data_received(data)
        if self._received > LARGEST_HEAD:
            self._refusal = 431
            self.send_400_response(REFUSALS[431])

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._received = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._received = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Begin to answer; the parser reads nothing more once this raises."""
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > LARGEST_HEAD:
            self._refusal = 431
            raise ValueError(REFUSALS[431])
        self._await("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing more of a request that is whole."""
        super().on_message_complete()
        if self.awaited == "body":
            self._await("")

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is here already."""
        if not self.pipeline:
            self._await("head")
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or has too large a head, and close the connection."""
        if self.transport.is_closing():
            return
        text = REFUSALS[self._refusal].encode()
        head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
        self.transport.write(STATUS_LINE[self._refusal] + head + text)
        self.transport.close()

    def _await(self, what: str) -> None:
        self.awaited, self.since = what, self.loop.time()


class Server(uvicorn.Server):
    """Serves, and looks each second for connections that are overdue."""

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second; return whether the server is to end."""
        if counter % 10 == 0:
            for connection in cast(set[Connection], set(self.server_state.connections)):
                connection.close_if_overdue(connection.loop.time())
        return await super().on_tick(counter)


def make_server(app: Any, **options: Any) -> Server:
    """Return a server of an application, whose connections have deadlines and sizes."""
    allow_files(MOST_CONNECTIONS + OTHER_FILES)
    sys.setswitchinterval(SWITCH_SECONDS)
    config = uvicorn.Config(
        app, http=Connection, ws="none", access_log=False, log_config=None, server_header=False, backlog=128, **options
    )
    return Server(config)


def allow_files(wanted: int) -> None:
    """Let this process open so many files, connections among them, or as many as it may be allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
