"""A service among records that it cannot read: pages, other keys and other refreshes work, and newer ones stay."""

import errno
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.publications.contract import CURRENT
from foreact.runs.ledger import RUNS
from foreact.runs.workspace import WorkspaceRuns
from foreact.telemetry.scorecards import FOLDER as SCORECARDS
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.refreshes.records import ACTIVE, DONE
from serving.settings import ServingSettings
from tests.serving import shop
from tests.serving.conftest import URL, Serving, ended
from tests.serving.refreshes.runs import runner

PAGES = ("/", "/stores/S1", "/v1/stores", "/v1/refreshes", "/v1/audit", "/v1/totals", "/readyz")
LOST_ID = "20260302-080000-0123456789ab"
DAY = f"serving/audit/{shop.NOW:%Y-%m-%d}"


def spoil_each_kind(store: FolderStore, workspace: Path) -> None:
    """Put a bad record beside the good ones of every kind."""
    stored = json.loads(store.read(keys.OBJECT).data)
    bad = {**stored["keys"][0], "id": "bad1", "grant": {"role": "emperor"}}
    stored["keys"][:0] = [bad, "", None]
    store.write(keys.OBJECT, json.dumps(stored).encode())
    refresh = {"id": LOST_ID, "store": "S2", "requested_at": shop.NOW.isoformat(), "requested_by": "x"}
    store.write(ACTIVE, json.dumps({"refreshes": [{**refresh, "state": "dreaming"}, {}]}).encode())
    store.write(f"{DONE}{LOST_ID}.json", b"")
    store.write(f"{DONE}{LOST_ID[:-1]}c.json", json.dumps({**refresh, "schema_version": 9, "state": "failed"}).encode())
    store.write(f"{DAY}/000000.000000-0a.json", b"")
    store.write(f"{DAY}/000000.000000-0b.json", b'{"at":"2026-03-02T00:00:00Z","action":"flew","account":"x"}')
    store.write(RUNS, b'{"runs":[{"id":"r","state":"asleep","started_at":"2026-03-02T00:00:00Z"},""]}')
    store.write(f"{SCORECARDS}2026-03-01/r1.json", b'{"schema_version":9}')
    last = WorkspaceRuns(workspace).folder / "last.json"
    last.parent.mkdir(exist_ok=True)
    last.write_text("")


def test_bad_records_of_every_kind_take_nothing_from_the_others(
    store: FolderStore, start: Callable[..., Serving], tokens: dict[str, str], tmp_path: Path
) -> None:
    shop.publish(store)
    spoil_each_kind(store, tmp_path)
    serving = start(runner=runner(store, tmp_path))
    assert {path: serving.get(path).status_code for path in PAGES} == dict.fromkeys(PAGES, 200)
    assert all(serving.get("/v1/stores", role).status_code == 200 for role in ("viewer", "planner"))
    # The key of a role that nobody knows is refused, and kept for whoever mends it.
    _, made = keys.create_key(store, "another", Grant(role="viewer"), created_by="test")
    ids = [key["id"] for key in json.loads(store.read(keys.OBJECT).data)["keys"] if key]
    assert (ids[0], ids[-1]) == ("bad1", made.id)
    # A store whose refresh cannot be read can be refreshed.
    assert ended(serving, serving.post("/v1/stores/S2/refreshes").headers["location"])["state"] == "succeeded"
    assert serving.get(f"/v1/refreshes/{LOST_ID}").status_code == 404
    assert [json.loads(line)["action"] for line in serving.get("/v1/audit").text.splitlines()] == ["refresh"]
    metrics = serving.client.get("/metrics").text
    for kind in ("key", "refresh", "audit event", "run", "scorecard"):
        assert f'foreact_records_unread{{kind="{kind}"}}' in metrics


def test_newer_records_are_refused_by_name_and_stay(
    store: FolderStore, start: Callable[..., Serving], tmp_path: Path
) -> None:
    shop.publish(store)
    serving = start(runner=runner(store, tmp_path))
    assert serving.get("/v1/stores").status_code == 200
    newer = b'{"schema_version":2,"refreshes":{}}'
    for name in (ACTIVE, keys.OBJECT, RUNS):
        store.write(name, newer)
    assert {path: serving.get(path).status_code for path in ("/", "/stores/S1", "/v1/stores")} == dict.fromkeys(
        ("/", "/stores/S1", "/v1/stores"), 200
    )
    refused = serving.post("/v1/stores/S1/refreshes")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "record_unreadable")
    sentence = f"{ACTIVE} has schema version 2 and this software knows 1: update it."
    assert refused.json()["error"]["message"] == sentence
    with pytest.raises(ForeactError, match=f"{keys.OBJECT} has schema version 2"):
        keys.create_key(store, "x", Grant(role="viewer"), created_by="test")
    assert {store.read(name).data for name in (ACTIVE, keys.OBJECT, RUNS)} == {newer}
    # A process that has read no keys yet says why it knows nobody.
    asked = start().get("/v1/stores")
    assert (asked.status_code, asked.json()["error"]["code"]) == (503, "record_unreadable")


def test_a_lost_manifest_is_told_and_the_last_version_serves(
    serving: Serving, start: Callable[..., Serving], caplog: pytest.LogCaptureFixture
) -> None:
    manifest = serving.store.read(CURRENT).data
    serving.store.delete(CURRENT)
    serving.refresh()
    lost = "the manifest of the newest publication is gone from the blob store"
    for house in (serving, start()):
        assert (house.client.get("/readyz").json()["refused"], house.get("/v1/totals").status_code) == (lost, 200)
        assert lost in house.get("/").text
        assert not house.refresh()
    assert f"{CURRENT} is gone from" in caplog.text
    serving.store.write(CURRENT, manifest)
    serving.refresh()
    assert serving.client.get("/readyz").json()["status"] == "ready"


def test_a_clock_that_is_set_back_is_told(serving: Serving) -> None:
    def reasons() -> Any:
        return serving.get("/v1/stores").json()["stores"][0]["freshness"]["reasons"]

    assert reasons() == []
    serving.clock.now = shop.NOW - timedelta(days=1)
    [reason] = reasons()
    assert reason.startswith("published 2026-03-02 04:00, though the clock here says 2026-03-01 08:00: it is set back")
    serving.clock.now = shop.NOW
    assert reasons() == []


class FullFolder(FolderStore):
    """A folder whose disk is full from some moment on."""

    is_full = False

    def _write_draft(self, data: bytes | Path) -> tuple[Path, str]:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super()._write_draft(data)


def test_a_full_disk_is_told_and_what_is_loaded_serves(tmp_path: Path) -> None:
    store = FullFolder(tmp_path / "blobs")
    shop.publish(store)
    token, _ = keys.create_key(store, "x", Grant(role="planner"), created_by="test")
    app = create_app(ServingSettings(workspace=tmp_path), store, runner=runner(store, tmp_path))
    with TestClient(app, base_url=URL, headers={"authorization": f"Bearer {token}"}) as client:
        store.is_full = True
        answer = client.post("/v1/stores/S1/refreshes")
        assert answer.status_code == 503
        assert answer.json()["error"]["message"].startswith("the service's disk is full")
        assert client.get("/v1/totals").status_code == 200
