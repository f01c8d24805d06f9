"""A service over a folder, with a key for each role."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from foreact.blobs.folder import FolderStore
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.settings import ServingSettings
from tests.serving import shop
from tests.waiting import until

URL = "http://127.0.0.1:8000"


class Clock:
    """A time that tests set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Serving:
    """A running application and its surroundings."""

    app: FastAPI
    client: TestClient
    store: FolderStore
    settings: ServingSettings
    clock: Clock
    tokens: dict[str, str]

    def get(self, path: str, role: str = "admin", headers: dict[str, str] | None = None, **extra: Any) -> Any:
        return self.client.get(path, headers={**self.bearer(role), **(headers or {})}, **extra)

    def post(self, path: str, role: str = "admin", headers: dict[str, str] | None = None, **extra: Any) -> Any:
        return self.client.post(path, headers={**self.bearer(role), **(headers or {})}, **extra)

    def bearer(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[role]}"}

    def refresh(self) -> bool:
        return self.app.state.service.publications.refresh()


GRANTS = {
    "viewer": Grant(role="viewer", stores=["S1"]),
    "planner": Grant(role="planner", regions=["North"]),
    "admin": Grant(role="admin"),
}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "blobs")


@pytest.fixture
def tokens(store: FolderStore) -> dict[str, str]:
    return {role: keys.create_key(store, role, grant, created_by="test")[0] for role, grant in GRANTS.items()}


@pytest.fixture
def start(store: FolderStore, tokens: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start services that end with the test."""
    clients: list[TestClient] = []

    def start(runner: Any = None, local: Any = None, http: Any = None, **settings: Any) -> Serving:
        chosen = ServingSettings(workspace=tmp_path, _env_file=None, **settings)
        clock = Clock(shop.NOW)
        # Time stands still, for limits too, until a test sets it.
        app = create_app(chosen, store, runner=runner, local=local, http=http, clock=clock, ticks=lambda: 0.0)
        client = TestClient(app, base_url=URL, follow_redirects=False)
        clients.append(client.__enter__())
        return Serving(app, client, store, chosen, clock, tokens)

    yield start
    for client in clients:
        if client.portal is not None:
            client.__exit__(None, None, None)


@pytest.fixture
def serving(store: FolderStore, start: Callable[..., Serving]) -> Serving:
    """A service with three stores published."""
    shop.publish(store)
    return start()


def ended(serving: Serving, location: str) -> dict[str, Any]:
    """Return a refresh once it has come to its end."""

    def look() -> Any:
        found = serving.get(location).json()
        return found if found["ended_at"] else None

    return until(look)
