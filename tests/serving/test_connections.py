"""Connections that send too much, too slowly, or are too many, over real sockets; and whoever else comes meanwhile."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from serving import connections
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nhost: a\r\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[connections.Server]:
    """A server of one answer as large as its address asks for, with deadlines that no test waits for long."""
    monkeypatch.setattr(connections, "SECONDS", {"head": 0.5, "body": 0.5, "": 0.5, "end": 0.5})
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 20)
    monkeypatch.setattr(connections, "CLOSED_AT_ONCE", 5)

    async def app(scope, receive, send) -> None:
        while scope["method"] == "POST":
            message = await receive()
            if not message.get("more_body"):
                break
        size = int(scope["query_string"] or 2)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        for start in range(0, size, 1 << 16):
            more = start + (1 << 16) < size
            await send({"type": "http.response.body", "body": bytes(min(1 << 16, size - start)), "more_body": more})

    made = connections.make_server(app, lifespan="off")
    listener = socket.create_server(("127.0.0.1", 0))
    made.address = listener.getsockname()
    thread = threading.Thread(target=made.run, args=([listener],))
    thread.start()
    until(lambda: made.started)
    yield made
    made.should_exit = True
    thread.join()


@contextmanager
def connected(server: connections.Server, sent: bytes = b"") -> Iterator[socket.socket]:
    with closing(socket.create_connection(server.address, 60)) as caller:
        caller.sendall(sent)
        yield caller


def answer(caller: socket.socket) -> bytes:
    """Return the first of what comes back, empty if the connection ends without a word."""
    try:
        return caller.recv(1 << 16)
    except ConnectionResetError:
        return b""


def has_ended(caller: socket.socket) -> bool:
    """Return whether nothing more will come; wait for that."""
    while answer(caller):
        pass
    return True


def test_a_connection_serves_one_request_after_another(server: connections.Server) -> None:
    with connected(server) as caller:
        for _ in range(3):
            caller.sendall(GET + b"\r\n")
            assert answer(caller).startswith(b"HTTP/1.1 200 ")
        caller.sendall(2 * (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n" + bytes(200_000)))
        assert answer(caller).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(GET + b"a: " + bytes([65]) * 66_000 + b"\r\n\r\n", id="one long header"),
        pytest.param(GET + b"a: b\r\n" * 12_000 + b"\r\n", id="many headers"),
        pytest.param(b"GET /?" + bytes([65]) * 66_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", id="a long address"),
    ],
)
def test_a_large_head_is_refused(server: connections.Server, head: bytes) -> None:
    with connected(server, head) as caller:
        assert answer(caller).startswith(b"HTTP/1.1 431 ")
        assert has_ended(caller)


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(GET + b"a: ", id="header"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: ", id="trailer"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;a=", id="extension"),
    ],
)
def test_what_never_ends_is_cut_short(server: connections.Server, beginning: bytes) -> None:
    with connected(server, beginning) as caller:
        sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 1 << 25:
                sent += caller.send(bytes([65]) * 65_536)
        assert sent < 1 << 25


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n", id="blank lines"),
        pytest.param(GET, id="half a head"),
        pytest.param(GET + b"\r\n", id="no second request"),
        pytest.param(GET + b"\r\nGET ", id="half a second head"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf", id="half a body"),
        pytest.param(GET.replace(b"/ ", b"/?30000000 ") + b"\r\n", id="reads nothing"),
    ],
)
def test_whoever_keeps_the_service_waiting_is_let_go(server: connections.Server, sent: bytes) -> None:
    with connected(server, sent):
        until(lambda: server.server_state.connections)
        until(lambda: not server.server_state.connections)


def test_many_connections_shut_nobody_out(server: connections.Server) -> None:
    with ExitStack() as stack:
        for _ in range(4 * connections.MOST_CONNECTIONS):
            stack.enter_context(connected(server))
            with connected(server, GET + b"\r\n") as caller:
                assert answer(caller).startswith(b"HTTP/1.1 200 ")
        until(lambda: len(server.server_state.connections) <= connections.MOST_CONNECTIONS + 1)
