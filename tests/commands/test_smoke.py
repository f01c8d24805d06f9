"""Smoke is content with what a sound service answers, and with nothing else."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from commands.serving import smoke
from foreact.errors import ForeactError

CLOSED = {"/healthz": 200, "/metrics": 401, "/v1/stores": 401, "/v1/publications": 401, "/v1/audit": 401}
OPEN = {"/healthz": 200, "/metrics": 200, "/v1/stores": 200, "/v1/publications": 200, "/v1/audit": 200}
WITH_KEY = {**OPEN, "/metrics": 401, "/v1/audit": 403}


@contextlib.contextmanager
def serving(statuses: dict[str, int]) -> Iterator[str]:
    answer = {"paths": {path: {"get": {}} for path in statuses}, "stores": [], "publications": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.get(self.path, 200))
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("statuses", "key"), [(CLOSED, ""), (OPEN, "key"), (WITH_KEY, "key")])
def test_a_sound_service_surprises_nobody(statuses: dict[str, int], key: str) -> None:
    with serving(statuses) as url:
        smoke(url, key=key, timeout=60)


@pytest.mark.parametrize(
    ("path", "status", "key"),
    [
        ("/v1/stores", 200, ""),
        ("/v1/stores", 401, "key"),
        ("/metrics", 500, ""),
        ("/healthz", 401, ""),
        ("/v1/audit", 403, ""),
    ],
)
def test_whatever_else_is_a_surprise(path: str, status: int, key: str) -> None:
    with (
        serving({**(OPEN if key else CLOSED), path: status}) as url,
        pytest.raises(ForeactError, match="1 of 5 routes"),
    ):
        smoke(url, key=key, timeout=60)
