"""Refreshes over HTTP, run in real processes."""

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foreact.blobs.folder import FolderStore
from foreact.runs.ends import report_missed_ends
from foreact.runs.events import Events
from foreact.runs.ledger import RunLedger
from foreact.runs.workspace import Request, WorkspaceRuns
from foreact.settings import PlaceSettings
from serving.refreshes.records import Refresh, RefreshRecords, new_id
from serving.refreshes.service import in_turn
from tests.serving import shop
from tests.serving.conftest import Serving, ended
from tests.serving.refreshes.runs import runner
from tests.waiting import until

Start = Callable[..., Serving]


@pytest.fixture
def begin(store: FolderStore, tmp_path: Path, start: Start) -> Start:
    shop.publish(store)

    def begin(how: str = "well", parallel: int = 1, **settings: Any) -> Serving:
        return start(runner=runner(store, tmp_path, how, parallel), **settings)

    return begin


def test_a_refresh_is_accepted_run_and_seen_without_a_restart(begin: Start) -> None:
    serving = begin()
    before = serving.get("/v1/totals?store=S1").json()
    answer = serving.post("/v1/stores/S1/refreshes")
    assert answer.status_code == 202
    assert answer.json()["state"] in {"queued", "running"}
    done = ended(serving, answer.headers["location"])
    assert done["state"] == "succeeded"
    assert [step["name"] for step in done["steps"]] == ["ingest", "validate", "train", "register", "publish"]
    assert {step["state"] for step in done["steps"]} == {"succeeded"}
    after = serving.get("/v1/totals?store=S1").json()
    assert after["publication"]["version"] == done["version"] == before["publication"]["version"] + 1
    assert after["stores"]["S1"]["run"] == done["id"]
    assert after["rows"] != before["rows"]


def test_events_follow_a_refresh_to_its_end(begin: Start, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    serving = begin(f"until:{gate}")
    location = serving.post("/v1/stores/S1/refreshes").headers["location"]
    refreshes = serving.app.state.service.refreshes
    look, seen = refreshes.find_refresh, []

    def find(refresh_id: str) -> Refresh | None:
        """Let the run go on once those who follow it know that it trains; the first look only finds it."""
        found: Refresh | None = look(refresh_id)
        if found is not None and any(step.name == "train" for step in found.steps):
            seen.append(found)
        if len(seen) > 1:
            gate.touch()
        return found

    refreshes.find_refresh = find
    stream = serving.get(f"{location}/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    told = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert told[-1]["state"] == "succeeded"
    assert any(step["name"] == "train" and step["state"] == "running" for one in told[:-1] for step in one["steps"])


def test_a_second_request_joins_the_first(begin: Start, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    serving = begin(f"until:{gate}")
    first = serving.post("/v1/stores/S1/refreshes").json()
    second = serving.post("/v1/stores/S1/refreshes", "planner").json()
    assert second["id"] == first["id"]
    assert (first["already_running"], second["already_running"]) == (False, True)
    other = serving.post("/v1/stores/S2/refreshes").json()
    assert other["id"] != first["id"]
    until(lambda: serving.get(f"/v1/refreshes/{first['id']}").json()["state"] == "running")
    assert serving.get(f"/v1/refreshes/{other['id']}").json()["waiting_before"] == 0
    gate.touch()
    assert ended(serving, f"/v1/refreshes/{first['id']}")["state"] == "succeeded"
    assert ended(serving, f"/v1/refreshes/{other['id']}")["state"] == "succeeded"


@pytest.mark.parametrize(
    ("how", "step", "sentence"),
    [
        ("bad-data", "validate", "the column 'units' has 312 negative rows; the report lists them"),
        ("dies", "train", "the run ended unexpectedly"),
        ("refused", "start", "No --history is given, and this workspace has no retrain-all to take it from."),
    ],
)
def test_a_failed_refresh_names_the_step_and_the_reason(begin: Start, how: str, step: str, sentence: str) -> None:
    serving = begin(how)
    done = ended(serving, serving.post("/v1/stores/S1/refreshes").headers["location"])
    assert (done["state"], done["failed_step"], done["sentence"]) == ("failed", step, sentence)
    assert serving.get("/v1/totals?store=S1").json()["publication"]["version"] == 1
    again = serving.post("/v1/stores/S1/refreshes").json()
    assert again["id"] != done["id"]


def test_a_run_whose_numbers_cannot_be_shown_has_failed(begin: Start, store: FolderStore, tmp_path: Path) -> None:
    serving = begin("spoils")
    done = ended(serving, serving.post("/v1/stores/S1/refreshes").headers["location"])
    assert (done["state"], done["failed_step"], done["version"]) == ("failed", "publish", None)
    assert done["sentence"] == "its numbers are not shown, because publication 2 is damaged in this store"
    assert serving.get("/v1/totals?store=S1").json()["stores"]["S1"]["run"] == "run-1"
    # It is no matter of the other stores.
    serving.app.state.service.refreshes.runner = runner(store, tmp_path)
    done = ended(serving, serving.post("/v1/stores/S2/refreshes").headers["location"])
    assert (done["state"], done["version"]) == ("succeeded", 3)


def test_a_planner_finds_their_refreshes_behind_many_of_others(begin: Start, store: FolderStore) -> None:
    serving = begin()
    for number, name in enumerate(["S1", "S3", "S3", "S3"]):
        requested = shop.NOW + timedelta(minutes=number)
        refresh = Refresh(
            id=new_id(requested), store=name, state="succeeded", requested_at=requested, requested_by="key:other"
        )
        RefreshRecords(store).finish_refresh(refresh)
    for query, role in (("?limit=1", "planner"), ("?limit=1&store=S1", "admin")):
        found = serving.get(f"/v1/refreshes{query}", role).json()["refreshes"]
        assert [refresh["store"] for refresh in found] == ["S1"]


def test_a_refresh_that_is_just_being_put_aside_is_listed_once(
    begin: Start, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = begin()
    refresh = Refresh(id=new_id(shop.NOW), store="S1", state="running", requested_at=shop.NOW, requested_by="key:other")
    ended = refresh.model_copy(update={"state": "failed", "ended_at": shop.NOW})
    RefreshRecords(store).finish_refresh(ended)
    # Whoever put it aside has not taken it from the active ones yet.
    monkeypatch.setattr(serving.app.state.service.refreshes.records, "list_active", lambda: [refresh])
    assert [one["id"] for one in serving.get("/v1/refreshes").json()["refreshes"]] == [refresh.id]


def test_a_full_queue_is_told(begin: Start, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    serving = begin(f"until:{gate}", refresh_queue=1)
    first = serving.post("/v1/stores/S1/refreshes").json()["id"]
    until(lambda: serving.get(f"/v1/refreshes/{first}").json()["state"] == "running")
    assert serving.post("/v1/stores/S2/refreshes").status_code == 202
    full = serving.post("/v1/stores/S3/refreshes")
    assert (full.status_code, full.json()["error"]["code"]) == (503, "refresh_queue_full")
    assert full.headers["retry-after"]
    gate.touch()
    until(lambda: not serving.app.state.service.refreshes.records.list_active())


def test_a_run_outlives_the_service_that_started_it(
    begin: Start, store: FolderStore, tmp_path: Path, start: Start
) -> None:
    gate = tmp_path / "gate"
    serving = begin(f"until:{gate}")
    location = serving.post("/v1/stores/S1/refreshes").headers["location"]
    until(lambda: serving.get(location).json()["steps"])
    serving.client.__exit__(None, None, None)
    # A new process knows nothing but the store and the workspace.
    other = start(runner=runner(store, tmp_path))
    assert other.get(location).json()["state"] == "running"
    assert other.post("/v1/stores/S1/refreshes").json()["already_running"]
    gate.touch()
    assert ended(other, location)["state"] == "succeeded"


def test_a_killed_run_is_noticed_after_a_restart(
    begin: Start, store: FolderStore, tmp_path: Path, start: Start
) -> None:
    serving = begin("hangs")
    location = serving.post("/v1/stores/S1/refreshes").headers["location"]
    until(lambda: any(s["name"] == "train" for s in serving.get(location).json()["steps"]))
    process = until(lambda: RefreshRecords(store).list_active()[0].process)
    serving.client.__exit__(None, None, None)
    os.killpg(process.pid, signal.SIGKILL)
    done = ended(start(runner=runner(store, tmp_path)), location)
    assert (done["state"], done["failed_step"]) == ("failed", "train")


def test_a_run_that_takes_too_long_is_ended(begin: Start) -> None:
    serving = begin("hangs")
    location = serving.post("/v1/stores/S1/refreshes").headers["location"]
    until(lambda: any(s["name"] == "train" for s in serving.get(location).json()["steps"]))
    serving.clock.now += timedelta(minutes=16)
    done = ended(serving, location)
    assert (done["state"], done["failed_step"]) == ("failed", "train")
    assert "15 minutes" in done["sentence"]


def test_what_waited_is_started_by_another_process(store: FolderStore, tmp_path: Path, start: Start) -> None:
    shop.publish(store)
    refresh = Refresh(id=new_id(shop.NOW), store="S1", state="queued", requested_at=shop.NOW, requested_by="key:gone")
    RefreshRecords(store).change_active(lambda held: [*held, refresh])
    serving = start(runner=runner(store, tmp_path))
    assert ended(serving, f"/v1/refreshes/{refresh.id}")["state"] == "succeeded"


def test_many_at_once_make_one_refresh_a_store(begin: Start, tmp_path: Path) -> None:
    """Two hundred planners at nine o'clock, for three stores."""
    gate = tmp_path / "gate"
    serving = begin(f"until:{gate}", refresh_attempts=1_000)
    refreshes = serving.app.state.service.refreshes
    found: list[str] = []
    lock = threading.Lock()

    def ask(number: int) -> None:
        refresh, _ = refreshes.request(f"S{number % 3 + 1}", f"planner-{number}", "test")
        with lock:
            found.append(refresh.id)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert len(set(found)) == 3
    gate.touch()
    for refresh_id in set(found):
        assert ended(serving, f"/v1/refreshes/{refresh_id}")["state"] == "succeeded"


def test_nobody_waits_behind_somebody_elses_second() -> None:
    def queued(number: int, account: str) -> Refresh:
        return Refresh(id=f"{number}", store=f"S{number}", state="queued", requested_at=shop.NOW, requested_by=account)

    held = [queued(1, "a"), queued(2, "a"), queued(3, "a"), queued(4, "b"), queued(5, "c")]
    assert [refresh.id for refresh in in_turn(held)] == ["1", "4", "5", "2", "3"]


def test_only_planners_refresh_and_only_their_stores(begin: Start) -> None:
    serving = begin()
    assert serving.post("/v1/stores/S1/refreshes", "viewer").status_code == 403
    assert serving.post("/v1/stores/S3/refreshes", "planner").status_code == 404
    location = serving.post("/v1/stores/S3/refreshes").headers["location"]
    assert serving.get(location, "planner").status_code == 404
    ended(serving, location)
    assert serving.get("/v1/refreshes", "planner").json()["refreshes"] == []
    assert len(serving.get("/v1/refreshes").json()["refreshes"]) == 1


def test_without_a_runner_it_is_told(serving: Serving) -> None:
    answer = serving.post("/v1/stores/S1/refreshes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "refresh_unavailable")


def test_refreshes_are_limited(begin: Start) -> None:
    serving = begin(refresh_attempts=2)
    for _ in range(2):
        assert serving.post("/v1/stores/S1/refreshes").status_code == 202
    limited = serving.post("/v1/stores/S1/refreshes")
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) > 0
    until(lambda: not serving.app.state.service.refreshes.records.list_active())


def test_a_run_that_could_not_record_its_end_is_recorded_later(store: FolderStore, tmp_path: Path) -> None:
    """The blob store was away as it ended; its own events say how."""
    own, ledger = runner(store, tmp_path), RunLedger(store)
    ledger.note_step_started("r1", "train", "retrain-all")
    run = WorkspaceRuns(tmp_path).create_run(Request(pipeline="retrain-all"), "r1")
    events = Events(run.events)
    report_missed_ends(own.find_end, PlaceSettings(), store)
    assert ledger.read_history().runs[0].state == "running"
    events.emit("step", step="run", state="started")
    events.emit("step", step="train", state="failed", seconds=1.0, sentence="No answer within 60 s.")
    report_missed_ends(own.find_end, PlaceSettings(), store)
    assert ledger.read_history().runs[0].state == "running", "it still cleans up"
    events.emit("step", step="run", state="failed", seconds=2.0, sentence="it was stopped")
    report_missed_ends(own.find_end, PlaceSettings(), store)
    [record] = ledger.read_history().runs
    assert (record.state, record.sentence) == ("failed", "No answer within 60 s.")
