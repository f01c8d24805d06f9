"""What the release before wrote is read by this one, and after that by the release before again."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from components.publish.step import publish
from components.register.step import register
from components.train.live import LiveChain, make_live_finder
from components.train.step import train
from foreact.blobs.folder import FolderStore
from foreact.publications import Publisher, Reader
from foreact.publications.contract import INLINE_SCHEMA
from foreact.registry import Registry
from foreact.runs.events import Events
from foreact.runs.ledger import RunLedger
from foreact.runs.owed import RunOrigin
from foreact.runs.process import TaskSize
from foreact.runs.trained import Trained
from foreact.runs.workspace import WorkspaceRuns
from foreact.settings import PipelineSettings
from serving.app import create_app
from serving.audit import AuditLog
from serving.auth import keys
from serving.settings import ServingSettings
from tests.releases.make import ROOT, check_out, name_environment
from tests.releases.packed import unpack_written
from tests.shops import take_in

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@dataclass
class Upgraded:
    """A workspace of the release before, and what that release answered from it."""

    workspace: Path
    answers: dict[str, Any]

    @property
    def blobs(self) -> FolderStore:
        return FolderStore(self.workspace / "blobs")

    @property
    def settings(self) -> PipelineSettings:
        return PipelineSettings(workspace=self.workspace)


@pytest.fixture
def upgraded(tmp_path: Path) -> Upgraded:
    return Upgraded(*unpack_written(tmp_path))


@pytest.fixture
def client(upgraded: Upgraded) -> Iterator[TestClient]:
    app = create_app(ServingSettings(workspace=upgraded.workspace), upgraded.blobs, clock=lambda: NOON)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


def find_missing(before: Any, now: Any, where: str = "") -> list[str]:
    """Return what an answer had before and has not, or not the same, now; what is new does no harm."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [each for key, value in before.items() for each in find_missing(value, now.get(key), f"{where}.{key}")]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            each for i, pair in enumerate(zip(before, now, strict=True)) for each in find_missing(*pair, f"{where}.{i}")
        ]
    return [] if before == now else [f"{where}: {before!r}, now {now!r}"]


def test_its_publication_is_served_with_its_numbers_to_its_keys(upgraded: Upgraded, client: TestClient) -> None:
    for path, before in upgraded.answers["admin"].items():
        answer = client.get(path, headers={"authorization": f"Bearer {upgraded.answers['keys']['admin']}"})
        assert answer.status_code == 200, path
        # The clock of the test is another, and so is the deadline.
        missing = [each for each in find_missing(before, answer.json()) if ".freshness." not in each]
        assert missing == [], path
    planner = {"authorization": f"Bearer {upgraded.answers['keys']['planner']}"}
    assert [each["store"] for each in client.get("/v1/stores", headers=planner).json()["stores"]] == ["Rostock"]
    assert client.get("/v1/totals?store=Lisboa", headers=planner).status_code == 404


def test_its_sessions_end_at_the_login_page(upgraded: Upgraded, client: TestClient) -> None:
    client.cookies.update(upgraded.answers["cookie"])
    page = client.get("/", headers={"accept": "text/html"}, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, "/login?target=/")


def test_its_records_are_read(upgraded: Upgraded) -> None:
    assert [(key.name, key.grant.role) for key in keys.list_keys(upgraded.blobs)] == [
        ("admin", "admin"),
        ("planner", "planner"),
    ]
    history = RunLedger(upgraded.blobs).read_history()
    assert [(run.pipeline, run.state) for run in history.runs] == [("retrain-all", "succeeded")]
    events = list(AuditLog(upgraded.blobs).read_events(date(2026, 11, 28), date(2026, 11, 28)))
    assert [event.action for event in events] == ["key_created", "key_created", "login"]
    [run] = WorkspaceRuns(upgraded.workspace).list_runs()
    assert run.request.parameters["horizon"] == 7
    assert run.read_events()[0]


def retrain(upgraded: Upgraded, store: str) -> tuple[Any, str]:
    """Retrain a store by the steps of retrain-store; return its record and the events."""
    place, settings = upgraded.workspace.parent, upgraded.settings
    tables = [place / name for name in ("sales.csv", "calendar.csv", "stores.csv")]
    data = take_in(upgraded.workspace, *tables, store=store, today=date(2026, 11, 20))
    events, versions = Events(place / "events"), place / "versions"
    train(
        run="after",
        data=data,
        trained=place / "trained",
        report=place / "report.html",
        find_live=make_live_finder(settings),
        find_chain=LiveChain,
        margin=0.02,
        seed=0,
        quantiles="p5",
        max_fallback_share=0.0,
        events=events,
        size=TaskSize.parse("1", "2Gi"),
    )
    register(
        trained=place / "trained",
        versions=versions,
        origin=RunOrigin(run="after"),
        settings=settings,
        events=events,
    )
    publish(trained=place / "trained", versions=versions, settings=settings, code_version="c", events=events)
    return Trained.read(place / "trained").stores[store], (place / "events").read_text()


def run_before(upgraded: Upgraded, code: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "foreact", *command, "--workspace", str(upgraded.workspace)],
        # Python looks in the current folder first.
        cwd=upgraded.workspace.parent,
        env=name_environment(code),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_its_models_are_retrained_from_and_it_can_be_put_back(upgraded: Upgraded, tmp_path: Path) -> None:
    # MLflow's database is used as it is, or was brought up by MLflow itself.
    live = make_live_finder(upgraded.settings)(["Rostock"], date(2026, 11, 19))["Rostock"]
    assert (live.champion_version, live.list_columns(upgraded.blobs), live.problem) == ("1", {"fair"}, "")
    assert live.attributes == {"region": "North"}
    record, told = retrain(upgraded, "Rostock")
    problem = (
        "The live model, version 1, cannot be judged beside the new one: it is of an older format, 2 and not 4. "
        "The store is retrained from its data and columns."
    )
    assert record.champion_problem == problem
    assert problem in told
    registered = Registry.connect(upgraded.settings).load_version("Rostock", "2")
    assert registered.run == "after"
    reader = Reader(upgraded.blobs)
    current = reader.read_current().manifest
    assert (current.schema_version, current.stores["Rostock"].run) == (INLINE_SCHEMA, "after")
    keys.create_key(upgraded.blobs, "later", keys_grant(), created_by="test")

    code = check_out(upgraded.answers["commit"], tmp_path / "before")
    # It refuses what it does not know in a sentence, until its own last publication is restored.
    assert "has schema version 2 and this software knows 1: update it." in run_before(upgraded, code, "status")
    Publisher(upgraded.blobs).restore(1, by="test", reason="the release before is put back")
    assert reader.read_current().manifest.schema_version == 1
    status = json.loads(run_before(upgraded, code, "status", "--json"))
    assert (status["version"], sorted(status["stores"])) == (3, ["Lisboa", "Rostock"])
    assert "later" in run_before(upgraded, code, "keys", "list")
    listed = run_before(upgraded, code, "publications", "list")
    assert "Version 3: restored version 1" in listed
    assert "passed over version 2" in listed


def keys_grant() -> Any:
    from serving.auth.principal import Grant

    return Grant(role="viewer")


def test_the_packed_workspace_names_no_place(upgraded: Upgraded) -> None:
    assert (ROOT / "tests/releases/written.tar.xz").stat().st_size < 300_000
    for path in upgraded.workspace.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".jsonl"}:
            text = path.read_text().replace(str(upgraded.workspace.parent), "")
            assert not any(place in text for place in ("/home/", "/tmp/", "/root/"))
