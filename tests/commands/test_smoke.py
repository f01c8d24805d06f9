"""Smoke is content with a sound service that has forecasts, and with nothing else."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands.smoke import check_service, smoke
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from tests.services import hold_port
from tests.serving import shop
from tests.serving.conftest import Serving, serving, start, store, tokens

# Fixtures are found by their names here.
__all__ = ["serving", "start", "store", "tokens"]


def check(service: Serving, role: str = "", **options: float) -> None:
    """Check a service, with a key or without one."""
    if role:
        service.client.headers.update(service.bearer(role))
    check_service(service.client, has_key=bool(role), **options)


@pytest.mark.parametrize("role", ["", "viewer", "admin"])
def test_a_sound_service_surprises_nobody(serving: Serving, capsys: pytest.CaptureFixture[str], role: str) -> None:
    check(serving, role)
    told = capsys.readouterr().out
    assert "BAD" not in told
    called = {line.split()[-1] for line in told.splitlines()}
    assert {"/", "/docs", "/healthz", "/readyz", "/v1/stores", "/v1/forecasts", "/v1/forecasts/query"} <= called
    assert ("/v1/stores/S1" in called) == bool(role)


@pytest.mark.parametrize("name", ["Straße & <Söhne>", "a/b"])
def test_stores_of_any_name_are_asked_for(store: FolderStore, start: Callable[..., Serving], name: str) -> None:
    shop.publish(store, [name])
    check(start(), "admin")


def test_a_service_without_forecasts_fails(start: Callable[..., Serving]) -> None:
    with pytest.raises(ForeactError, match="nothing is published yet; run retrain-all first"):
        check(start())


def test_a_key_that_is_none_fails(serving: Serving) -> None:
    serving.tokens["nobody"] = "fa_made-up"
    with pytest.raises(ForeactError, match="/v1/stores answers 401 to this key"):
        check(serving, "nobody")


def test_forecasts_that_come_while_it_waits_are_enough(
    store: FolderStore, start: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()

    def publish(_: float) -> None:
        shop.publish(store)
        service.refresh()

    monkeypatch.setattr(time, "sleep", publish)
    check(service, "viewer", wait=600)


def test_older_forecasts_than_those_published_fail(serving: Serving, store: FolderStore, tmp_path: Path) -> None:
    manifest = next((tmp_path / "blobs").rglob("manifest.json"))
    manifest.write_text("{}")
    serving.refresh()
    with pytest.raises(ForeactError, match="it serves older forecasts"):
        check(serving)


@dataclass
class Wrong:
    """A client of a service that gives another answer to one path."""

    client: Any
    path: str
    answer: httpx.Response
    base_url: str = "http://127.0.0.1"

    def get(self, path: str) -> Any:
        return self.answer if path == self.path else self.client.get(path)

    def post(self, path: str, **body: Any) -> Any:
        return self.answer if path == self.path else self.client.post(path, **body)


def check_wrong(service: Serving, role: str, path: str, status: int, body: Any) -> None:
    if role:
        service.client.headers.update(service.bearer(role))
    answer = httpx.Response(status, json=body)
    answer.elapsed = timedelta(0)
    client: Any = Wrong(service.client, path, answer)
    check_service(client, has_key=bool(role))


@pytest.mark.parametrize(
    ("path", "status", "role"),
    [
        ("/v1/alerts", 200, ""),
        ("/v1/alerts", 401, "viewer"),
        ("/metrics", 500, ""),
        ("/healthz", 401, ""),
        ("/v1/audit", 403, ""),
        ("/", 500, "viewer"),
        ("/docs", 404, ""),
        ("/v1/forecasts/query", 200, ""),
    ],
)
def test_whatever_else_is_a_surprise(serving: Serving, path: str, status: int, role: str) -> None:
    with pytest.raises(ForeactError, match=r"1 of \d+ routes"):
        check_wrong(serving, role, path, status, ["S1", "/v1/forecasts"])


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/forecasts/query"])
def test_an_answer_without_what_was_asked_for_is_a_surprise(serving: Serving, path: str) -> None:
    with pytest.raises(ForeactError, match=r"1 of \d+ routes"):
        check_wrong(serving, "viewer", path, 200, {})


def test_what_is_no_service_is_told(serving: Serving) -> None:
    with pytest.raises(ForeactError, match="does not answer like this service"):
        check_wrong(serving, "", "/readyz", 200, {"welcome": "to another service"})


def test_nobody_there_is_told() -> None:
    with pytest.raises(ForeactError, match="is not ready after 0 seconds: it does not answer"):
        smoke(f"http://127.0.0.1:{hold_port()}", key="", timeout=60, wait=0)
