"""Whose address counts: the one that a known proxy tells of, and nobody else's word."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.services import free_port


@contextmanager
def serving(workspace: Path, proxies: str) -> Iterator[httpx.Client]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "foreact", "serve", "--port", str(port), "--workspace", str(workspace)],
        env={**os.environ, "FOREACT_PROXIES": proxies, "FOREACT_LOGIN_ATTEMPTS": "2", "FOREACT_RUNNER": "none"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(300):
                try:
                    client.get("/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def fail_to_log_in(client: httpx.Client, address: str) -> int:
    headers = {"x-forwarded-for": f"203.0.113.9, {address}"}
    return client.post("/login", data={"account": "demo", "password": "guess"}, headers=headers).status_code


@pytest.mark.parametrize(("proxies", "next_door"), [("127.0.0.0/8", 401), ("10.244.0.0/16", 429)])
def test_only_a_known_proxy_says_who_asks(tmp_path: Path, proxies: str, next_door: int) -> None:
    with serving(tmp_path, proxies) as client:
        assert [fail_to_log_in(client, "198.51.100.1") for _ in range(3)] == [401, 401, 429]
        assert fail_to_log_in(client, "198.51.100.2") == next_door
