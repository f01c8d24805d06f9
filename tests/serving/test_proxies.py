"""Whose address counts: the one that a known proxy tells of, and nobody else's word."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from foreact.errors import ForeactError
from serving.settings import ServingSettings
from tests.services import Process, hold_port


@contextmanager
def serving(workspace: Path, proxies: str) -> Iterator[httpx.Client]:
    port = hold_port()
    process = Process(
        [sys.executable, "-m", "commands", "serve", "--port", str(port), "--workspace", str(workspace)],
        port,
        workspace / "serve.txt",
        # A minute goes by before one who has failed may try again.
        {"FOREACT_PROXIES": proxies, "FOREACT_LOGIN_ATTEMPTS": "1", "FOREACT_RUNNER": "none"},
    )
    process.start()
    try:
        with httpx.Client(base_url=process.url, timeout=60) as client:
            yield client
    finally:
        process.stop()


def fail_to_log_in(client: httpx.Client, address: str) -> int:
    headers = {"x-forwarded-for": f"203.0.113.9, {address}"}
    return client.post("/login", data={"account": "demo", "password": "guess"}, headers=headers).status_code


@pytest.mark.parametrize(("proxies", "next_door"), [("127.0.0.0/8", 401), ("", 429)])
def test_only_a_known_proxy_says_who_asks(tmp_path: Path, proxies: str, next_door: int) -> None:
    with serving(tmp_path, proxies) as client:
        assert [fail_to_log_in(client, "198.51.100.1") for _ in range(2)] == [401, 429]
        assert fail_to_log_in(client, "198.51.100.2") == next_door


@pytest.mark.parametrize("proxies", ["10.244.0.0/16x", "gateway", "*", "10.0.0.1/8"])
def test_a_proxy_that_would_be_nobody_is_told(tmp_path: Path, proxies: str) -> None:
    settings = ServingSettings(workspace=tmp_path, _env_file=None, proxies=f"10.1.0.0/16, {proxies}")
    with pytest.raises(ForeactError, match="FOREACT_PROXIES has"):
        settings.check_proxies()
    ServingSettings(workspace=tmp_path, _env_file=None, proxies="10.1.0.0/16, ::1").check_proxies()
