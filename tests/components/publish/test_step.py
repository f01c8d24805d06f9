"""Publishing a training end to end: through the registry into a store, and out by the reader."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.publish.step import publish
from components.publish.summary import summarize_outcome
from components.register.step import register
from foreact.blobs import connect
from foreact.errors import ForeactError
from foreact.publications import Reader
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.settings import PipelineSettings
from tests.trainings import AS_OF, write_training

STORES = {"1": {}, "10": {}, "2": {}, "Köln/Süd": {}, "a b|c": {}, "../up": {}}


def run(workspace: Path, tmp_path: Path, name: str, stores: dict[str, dict], **options):
    settings = PipelineSettings(workspace=workspace)
    trained = tmp_path / f"trained-{name}"
    write_training(trained, settings, name, stores, **options)
    versions = tmp_path / f"versions-{name}.json"
    registered = register(
        trained=trained, versions=versions, origin=RunOrigin(run=name), settings=settings, events=Events()
    )
    published = publish(trained=trained, versions=versions, settings=settings, code_version="abc123", events=Events())
    return registered, published


def test_every_store_answers_with_its_own_numbers(workspace, tmp_path):
    registered, published = run(workspace, tmp_path, "run-1", STORES)
    reader = Reader(connect(PipelineSettings(workspace=workspace)))
    manifest = reader.read_current().manifest
    assert set(manifest.stores) == set(STORES) == set(published.outcome.published)
    for place, store in enumerate(STORES):
        entry = manifest.stores[store]
        table = reader.read_table(entry.objects["forecasts"]).to_pydict()
        assert set(table["store"]) == {store}
        assert set(table["mean"]) == {place + 1.0}
        assert entry.model.version == registered.versions.stores[store].version == "1"
        assert entry.objects["forecasts"].rows == len(table["store"])
        assert (entry.run, entry.code_version, entry.data_hash) == ("run-1", "abc123", f"hash of {store}")


def test_one_store_refreshed_leaves_the_others(workspace, tmp_path):
    run(workspace, tmp_path, "run-1", STORES)
    before = Reader(connect(PipelineSettings(workspace=workspace))).read_current().manifest
    _, published = run(workspace, tmp_path, "run-2", {"2": {"value": 99}})
    after = published.outcome.manifest
    assert after.version == 2
    assert after.stores["2"].model.version == "2"
    assert {s: e for s, e in after.stores.items() if s != "2"} == {s: e for s, e in before.stores.items() if s != "2"}


def test_a_rejected_challenger_is_registered_and_the_champion_s_numbers_are_published(workspace, tmp_path):
    run(workspace, tmp_path, "run-1", {"1": {}})
    rejected = {"outcome": "kept", "reason": "worse by 9 %", "champion_version": "1"}
    registered, published = run(workspace, tmp_path, "run-2", {"1": rejected})
    placed = registered.versions.stores["1"]
    assert (placed.version, placed.registered, placed.promoted) == ("1", "2", False)
    assert published.outcome.manifest.stores["1"].model.version == "1"
    assert "worse by 9 %" in registered.summary


def test_a_store_on_a_fallback_gets_no_version(workspace, tmp_path):
    fallback = {"outcome": "fallback", "fallback": "too little history", "model": False}
    registered, published = run(workspace, tmp_path, "run-1", {"1": fallback, "2": {}})
    assert registered.versions.stores["1"].registered is None
    entry = published.outcome.manifest.stores["1"]
    assert (entry.model.version, entry.fallback) == (None, "too little history")
    assert "too little history" in published.summary
    assert registered.metrics["fallback"] == 1


def test_publishing_again_changes_nothing(workspace, tmp_path):
    run(workspace, tmp_path, "run-1", STORES)
    settings = PipelineSettings(workspace=workspace)
    again = publish(
        trained=tmp_path / "trained-run-1",
        versions=tmp_path / "versions-run-1.json",
        settings=settings,
        code_version="abc123",
        events=Events(),
    )
    assert again.outcome.manifest.version == 1


def test_older_data_never_replaces_newer(workspace, tmp_path):
    run(workspace, tmp_path, "new", {"1": {"value": 7}})
    _, late = run(workspace, tmp_path, "old", {"1": {"value": 3}, "2": {}}, as_of=AS_OF - timedelta(days=1))
    assert list(late.outcome.unchanged) == ["1"]
    assert late.outcome.manifest.stores["1"].run == "new"
    assert "Left as they were" in late.summary
    assert summarize_outcome(late.outcome).startswith(
        "Version 2: 1 of 2 stores published, 1 left as they were, such as '1': "
    )


def test_a_run_never_changes_its_own_objects(workspace, tmp_path):
    run(workspace, tmp_path, "run-1", {"1": {}})
    with pytest.raises(ForeactError, match="has other content"):
        run(workspace, tmp_path, "run-1", {"1": {"value": 5}})


def test_a_training_without_forecasts_is_refused(workspace, tmp_path):
    settings = PipelineSettings(workspace=workspace)
    record = write_training(tmp_path / "trained", settings, "r", {"1": {}})
    versions = tmp_path / "versions.json"
    register(
        trained=tmp_path / "trained", versions=versions, origin=RunOrigin(run="r"), settings=settings, events=Events()
    )
    without = record.stores["1"].model_copy(update={"objects": {"forecasts": record.stores["1"].objects["forecasts"]}})
    record.model_copy(update={"stores": {"1": without}}).write(tmp_path / "trained")
    with pytest.raises(ForeactError, match="no forecasts for '1'"):
        publish(trained=tmp_path / "trained", versions=versions, settings=settings, events=Events())


def test_a_run_of_all_stores_cleans_up_and_a_refresh_does_not(workspace, tmp_path):
    settings = PipelineSettings(workspace=workspace, keep_versions=1)
    store = connect(settings)
    # A store that was closed since stays published, and is in no later run.
    run(workspace, tmp_path, "run-0", {"closed": {}})
    for name in ("run-1", "run-2"):
        run(workspace, tmp_path, name, {"1": {}, "2": {}}, scale=len(name))
    for path in (workspace / "blobs" / "forecasts" / "data" / "run-1").rglob("*.*"):
        os.utime(path, (0, 0))

    def publish_again(name, stores, days):
        write_training(tmp_path / name, settings, name, stores)
        versions = tmp_path / f"{name}.json"
        register(
            trained=tmp_path / name, versions=versions, origin=RunOrigin(run=name), settings=settings, events=Events()
        )
        return publish(
            trained=tmp_path / name,
            versions=versions,
            settings=settings,
            events=Events(),
            now=lambda: datetime.now(UTC) + timedelta(days=days),
        )

    assert publish_again("refresh", {"2": {"value": 9}}, 1).metrics["objects_deleted"] == 0
    assert publish_again("nightly", {"1": {}, "2": {}}, 2).metrics["objects_deleted"] == 6
    assert list(store.list("forecasts/data/run-1/")) == []


HELD = {"held": "the newest numbers are held back: they expect 800 units a day where the last publication expects 2"}


def test_a_held_store_keeps_its_last_good_numbers_until_others_come(workspace, tmp_path):
    run(workspace, tmp_path, "run-1", STORES)
    registered, published = run(workspace, tmp_path, "run-2", {**STORES, "2": HELD})
    entries = published.outcome.manifest.stores
    assert {store: entry.run for store, entry in entries.items() if entry.run == "run-1"} == {"2": "run-1"}
    assert {store for store, entry in entries.items() if entry.held} == {"2"}
    assert entries["2"].held == HELD["held"]
    assert (registered.versions.stores["2"].promoted, registered.versions.stores["1"].promoted) == (False, True)
    assert registered.metrics["held"] == published.metrics["stores_held"] == 1
    for told in (registered.summary, published.summary):
        assert "they expect 800 units" in told
    again = run(workspace, tmp_path, "run-3", STORES)[1].outcome.manifest.stores["2"]
    assert (again.run, again.held) == ("run-3", None)


def test_a_run_of_which_all_is_held_fails_and_marks_what_stays(workspace, tmp_path):
    with pytest.raises(ForeactError, match=r"1 of 1 store, '9', keeps the last good numbers; '9': the newest .* 2\."):
        run(workspace, tmp_path, "run-0", {"9": HELD})
    reader = Reader(connect(PipelineSettings(workspace=workspace)))
    assert reader.find_current() is None
    run(workspace, tmp_path, "run-1", {"9": {}})
    with pytest.raises(ForeactError, match="the newest numbers are held back"):
        run(workspace, tmp_path, "run-2", {"9": HELD})
    entry = reader.read_current().manifest.stores["9"]
    assert (entry.run, entry.held) == ("run-1", HELD["held"])
