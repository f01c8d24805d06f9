"""Ports for services: no two that run at once are told the same, and a server may come back to its own."""

import errno
import socket

import pytest

from tests.services import hold_port, listens


def test_a_held_port_is_taken_only_by_a_server_that_is_told_of_it() -> None:
    port = hold_port()
    assert not listens(port)
    with socket.socket() as stranger, pytest.raises(OSError, match="in use") as refused:
        stranger.bind(("127.0.0.1", port))
    assert refused.value.errno == errno.EADDRINUSE
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)):
            assert listens(port)
        assert not listens(port)


def test_a_held_port_is_not_given_to_whoever_asks_for_any() -> None:
    ports = [hold_port() for _ in range(200)]
    assert len(set(ports)) == 200
    others = [socket.create_server(("127.0.0.1", 0)) for _ in range(200)]
    assert not {other.getsockname()[1] for other in others} & set(ports)
    for other in others:
        other.close()
