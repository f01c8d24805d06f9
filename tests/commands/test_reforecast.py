"""What no run has published in time is forecast anew, with nothing but the sales and the blob store."""

import shutil
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from components.train.live import find_published_chain
from foreact.blobs import connect
from foreact.context import VARIABLES, RunContext
from foreact.publications import Manifest, Publisher, Reader
from foreact.publications.freshness import Promise
from foreact.runs.ledger import RunLedger
from foreact.settings import PipelineSettings
from pipelines.reforecast import list_due, reforecast
from tests.commands.conftest import Chain, Foreact

PROMISE = Promise(ZoneInfo("Europe/Berlin"), time(9))
PUBLISHED = datetime(2026, 3, 31, 4, tzinfo=UTC)


@pytest.fixture
def workspace(three_stores: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of three stores that were published on the morning of 31 March, with the sales before it.

    Neither the model registry nor the Ray cluster that the settings name is there.
    """
    folder = tmp_path / "workspace"
    shutil.copytree(three_stores.workspace, folder)
    monkeypatch.setenv("FOREACT_WORKSPACE", str(folder))
    monkeypatch.setenv("FOREACT_MLFLOW_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("FOREACT_RAY_ADDRESS", "ray://127.0.0.1:1")
    publish_at(folder, PUBLISHED)
    # Restored after the test, whatever steps set.
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, "")
    RunContext(run="morning", pipeline="reforecast").enter()
    return folder


def publish_at(workspace: Path, moment: datetime, *stores: str) -> None:
    entries = read_manifest(workspace).stores
    made = {store: entries[store].model_copy(update={"generated_at": moment}) for store in stores or entries}
    Publisher(connect(PipelineSettings(workspace=workspace))).publish(made, by="test")


def read_manifest(workspace: Path) -> Manifest:
    return Reader(connect(PipelineSettings(workspace=workspace))).read_current().manifest


def test_what_is_fresh_stays(workspace: Path) -> None:
    before = read_manifest(workspace)
    assert reforecast(PROMISE, datetime(2026, 3, 31, 5, tzinfo=UTC)) == []
    assert read_manifest(workspace) == before


def test_until_the_sales_of_the_next_deadline_are_over_the_one_that_passed_counts(workspace: Path) -> None:
    settings = PipelineSettings(workspace=workspace)
    assert list_due(settings, PROMISE, datetime(2026, 3, 31, 10, tzinfo=UTC)) == {}
    missed = list_due(settings, PROMISE, datetime(2026, 4, 1, 10, tzinfo=UTC))
    assert missed == dict.fromkeys(read_manifest(workspace).stores, PROMISE.deadline_of(date(2026, 4, 1)))


def test_what_is_due_is_forecast_from_the_newest_sales_by_the_models_published_last(workspace: Path) -> None:
    before = read_manifest(workspace)
    first, *others = sorted(before.stores)
    begun = datetime(2026, 4, 1, 5, tzinfo=UTC)
    # A run that ended while this one was at work.
    publish_at(workspace, datetime(2026, 4, 1, 6, tzinfo=UTC), first)
    assert reforecast(PROMISE, begun) == others
    after = read_manifest(workspace)
    assert after.stores[first].as_of == date(2026, 3, 30)
    for store in others:
        entry = after.stores[store]
        assert (entry.run, entry.as_of, entry.horizon) == ("morning", date(2026, 3, 31), before.stores[store].horizon)
        assert (entry.model.version, entry.model.run) == (before.stores[store].model.version, before.stores[store].run)
        assert entry.chain is not None
        assert entry.chain.version == "1"
        assert entry.fallback == (
            "the live model stays: the store was not trained anew, because no run had published it for 2026-04-01 09:00"
        )
        assert entry.model.packed is not None
        assert Reader(connect(PipelineSettings(workspace=workspace))).read_object(entry.model.packed)
    record = RunLedger(connect(PipelineSettings(workspace=workspace))).read_history().find_run("morning")
    assert record is not None
    assert record.has_published
    assert list(record.steps) == ["ingest", "validate", "train", "publish"]


def test_where_even_the_sales_are_late_it_looks_further_ahead_and_says_so(workspace: Path) -> None:
    before = read_manifest(workspace)
    assert reforecast(PROMISE, datetime(2026, 4, 3, 5, tzinfo=UTC)) == sorted(before.stores)
    for store, entry in read_manifest(workspace).stores.items():
        assert (entry.as_of, entry.horizon) == (date(2026, 3, 31), before.stores[store].horizon + 2)
        assert str(entry.fallback).endswith(
            "for 2026-04-03 09:00; its sales end on 2026-03-31, so that it looks 2 days further ahead than usual"
        )
        assert entry.chain is None
    # Once the sales are there, the chain's model has its say again.
    assert find_published_chain(PipelineSettings(workspace=workspace)).version == "1"


def test_a_store_that_the_sales_have_no_more_fails_no_morning(workspace: Path) -> None:
    entry = next(iter(read_manifest(workspace).stores.values()))
    closed = entry.model_copy(update={"as_of": date(2025, 3, 30)})
    Publisher(connect(PipelineSettings(workspace=workspace))).publish({"closed": closed}, by="test")
    before, morning = read_manifest(workspace), datetime(2026, 3, 31, 5, tzinfo=UTC)
    assert list(list_due(PipelineSettings(workspace=workspace), PROMISE, morning)) == ["closed"]
    assert reforecast(PROMISE, morning) == []
    assert read_manifest(workspace) == before


def test_the_command_does_it_as_a_run_of_its_own(workspace: Path, foreact: Foreact) -> None:
    version = read_manifest(workspace).version
    # Nothing more than a day late is due, so that the horizon stays within reason whenever this test runs.
    done = foreact("run", "reforecast", "--workspace", str(workspace), FOREACT_DATA_SLACK_DAYS="9999")
    assert done.returncode == 0, done.stderr
    assert "publish" in done.stdout + done.stderr
    after = read_manifest(workspace)
    assert after.version == version + 1
    assert {entry.as_of for entry in after.stores.values()} == {date(2026, 3, 31)}
    ledger = RunLedger(connect(PipelineSettings(workspace=workspace))).read_history()
    assert [(run.pipeline, run.state) for run in ledger.list_ended("reforecast")] == [("reforecast", "succeeded")]


def test_without_a_publication_there_is_nothing_to_forecast_by(tmp_path: Path, foreact: Foreact) -> None:
    done = foreact("run", "reforecast", "--workspace", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "foreact: Nothing is published yet, so there is no model to forecast by: run retrain-all first.\n"
    )
