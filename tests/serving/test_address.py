"""Where the service listens."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from foreact.errors import ForeactError
from serving.address import listen_at
from tests.services import hold_port


def test_a_port_that_is_taken_is_told_before_any_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "commands", "demo", "--port", str(port), "--workspace", str(tmp_path / "demo")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (
        f"foreact: Nothing can listen at 127.0.0.1, port {port} (address already in use): choose another with --port.\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert not (tmp_path / "demo").exists()
    listen_at("127.0.0.1", port).close()


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ForeactError, match=r"at 203\.0\.113\.4, port 8000 \(cannot assign requested address\)"):
        listen_at("203.0.113.4", 8000)


def test_of_two_who_take_an_address_at_once_one_is_refused() -> None:
    port = hold_port()
    with listen_at("127.0.0.1", port), pytest.raises(ForeactError, match="address already in use"):
        listen_at("127.0.0.1", port)
