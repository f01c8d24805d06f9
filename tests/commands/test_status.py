"""`foreact status`: for people, for programs, and by its exit code."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.runs.owed import owed_name
from foreact.telemetry.scorecards import Scorecards, write_scorecards
from tests.commands.conftest import Foreact
from tests.serving import shop

NOW = datetime.now(UTC)
YESTERDAY = NOW.date() - timedelta(days=1)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a place with one store published today and one whose last forecast is old."""
    store = FolderStore(tmp_path / "blobs")
    for name, ago in (("old", 9), ("new", 0)):
        as_of = YESTERDAY - timedelta(days=ago)
        generated = NOW - timedelta(days=ago)
        shop.publish(store, [name], run=f"run-{name}", items=2, horizon=28, as_of=as_of, generated_at=generated, seed=1)
    return tmp_path


def test_one_stale_store_fails_it_and_is_named(workspace: Path, foreact: Foreact) -> None:
    done = foreact("status", "--workspace", str(workspace))
    assert done.returncode == 1
    new, old, missed, budget, told = done.stdout.splitlines()
    assert new.split()[:3] == ["fresh", str(YESTERDAY), "new"]
    assert old.startswith("stale")
    assert told == "1 of 2 stores are fresh, version 2."
    assert "missed the deadline" in missed
    assert "'old (stale)'" in missed
    assert budget.startswith("1 deadline in 28 days: ")
    about = json.loads(foreact("status", "--json", "--workspace", str(workspace)).stdout)
    assert (about["objective"]["deadlines"], about["objective"]["promised"]) == (1, 0.999)
    assert (about["fresh"], about["stores"]["new"]["state"], about["stores"]["old"]["state"]) == (
        False,
        "fresh",
        "stale",
    )


def test_what_the_registry_is_owed_is_counted(workspace: Path, foreact: Foreact) -> None:
    FolderStore(workspace / "blobs").write("forecasts/owed/r.json", b"")
    done = foreact("status", "--workspace", str(workspace))
    assert "1 run not registered yet: the next retrain-all does it, or `foreact registry catch-up`." in done.stdout
    assert json.loads(foreact("status", "--json", "--workspace", str(workspace)).stdout)["runs_owed"] == 1


def test_what_is_owed_and_cannot_be_read_is_said(workspace: Path, foreact: Foreact) -> None:
    blobs = FolderStore(workspace / "blobs")
    blobs.write(owed_name("torn"), b"PK")
    blobs.write(owed_name("whole"), b"")
    assert foreact("registry", "catch-up", "--workspace", str(workspace)).returncode == 0
    blobs.delete(f"{owed_name('whole')}.problem")
    *_, torn, _, _, _ = (told := foreact("status", "--workspace", str(workspace)).stdout).splitlines()
    assert "1 run not registered yet" in told
    assert torn.startswith(
        "passed over, and forgotten after FOREACT_KEEP_REGISTERED_DAYS: forecasts/owed/torn.json is no"
    )
    answer = json.loads(foreact("status", "--json", "--workspace", str(workspace)).stdout)
    assert answer["runs_owed"] == 2
    assert ["torn.json" in problem for problem in answer["owed_unreadable"]] == [True]


def test_stores_that_are_due_before_the_night_is_are_named(tmp_path: Path, foreact: Foreact) -> None:
    zones = {"Tartu": "Europe/Tallinn", "Kiel": "Europe/Berlin", "Porto": "Europe/Lisbon"}
    shop.publish(FolderStore(tmp_path / "blobs"), [*zones, "S1"], items=2, zones=zones)
    status = ("status", "--workspace", str(tmp_path))
    done = foreact(*status, FOREACT_TIMEZONE="Europe/Berlin", FOREACT_PUBLISH_DEADLINE="08:30")
    assert "due before 08:30 Europe/Berlin, by which nights are ready: 'Tartu'; set FOREACT_TIMEZONE" in done.stdout
    assert json.loads(foreact(*status, "--json", FOREACT_TIMEZONE="Europe/Lisbon").stdout)["due_early"] == [
        "Kiel",
        "Tartu",
    ]
    assert "due before" not in foreact(*status, FOREACT_TIMEZONE="Europe/Tallinn").stdout


def test_sustained_drift_marks_a_store(workspace: Path, foreact: Foreact) -> None:
    for ago in range(4):
        day = YESTERDAY - timedelta(days=ago)
        cards = {"new": {"bias": 0.4, "wape": 0.3, "coverage": 0.8}, "old": {"bias": 0.0}}
        write_scorecards(FolderStore(workspace / "blobs"), Scorecards(run=f"r{ago}", as_of=day, stores=cards))
    told = foreact("status", "--workspace", str(workspace)).stdout
    marked = [line for line in told.splitlines() if line.startswith("marked")]
    assert marked == ["marked for retraining: bias of store 'new' is +0.40, out of bounds for 4 days of data"]
    stores = json.loads(foreact("status", "--json", "--workspace", str(workspace)).stdout)["stores"]
    assert (stores["new"]["drift_days"], stores["old"]["drift_days"]) == ({"bias": 4}, {})


def test_nothing_published_fails_it_in_a_sentence(tmp_path: Path, foreact: Foreact) -> None:
    done = foreact("status", "--workspace", str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "published" in done.stderr
