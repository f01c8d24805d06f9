"""A front before a server that can refuse, answer from memory and tear answers."""

import http.client
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What concerns one connection alone.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass
class Front:
    """What the front does with requests; by itself it hands all of them on."""

    upstream: int
    # The status that everything is answered with; 0: none.
    refuses: int = 0
    # Answers to requests that hold one of these texts lose the second half of their bodies.
    tears: tuple[str, ...] = ()
    # In answers to these the second half is nought.
    spoils: tuple[str, ...] = ()
    # How often that is done, if not always.
    times: float = math.inf
    # Lists are answered as they were when this was set.
    stale: bool = False
    port: int = 0
    # How many requests were refused, torn, or answered from memory.
    lied: int = 0
    connections: set[socket.socket] = field(default_factory=set)
    _lists: dict[str, Answer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Return status, headers and body for a request."""
        if self.refuses:
            self._count()
            return self.refuses, [], b""
        is_list = method == "GET" and "comp=list" in path
        if is_list and self.stale and path in self._lists:
            self._count()
            return self._lists[path]
        status, given, content = self._ask(method, path, headers, body)
        if is_list and not self.stale:
            self._lists[path] = status, given, content
        half = len(content) // 2
        if method == "GET" and half and self.times > 0:
            for texts, rest in ((self.tears, b""), (self.spoils, bytes(len(content) - half))):
                if any(text in path for text in texts):
                    self._count()
                    self.times -= 1
                    content = content[:half] + rest
        return status, given, content

    def drop(self) -> None:
        """Cut every connection that is open."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _count(self) -> None:
        with self._lock:
            self.lied += 1


@contextmanager
def serve_front(front: Front) -> Iterator[Front]:
    """Serve a front on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            front.connections.add(self.connection)

        def finish(self) -> None:
            front.connections.discard(self.connection)
            with suppress(OSError):
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, headers, content = front.answer(self.command, self.path, self.headers.items(), body)
            except OSError:
                # The server behind is away: so is this one.
                self.close_connection = True
                return
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in HOP:
                    self.send_header(name, value)
            whole = {name.lower(): value for name, value in headers}.get("content-length", "0")
            self.send_header("Content-Length", whole if self.command == "HEAD" else str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    front.port = int(server.server_address[1])
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
