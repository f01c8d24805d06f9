"""Refreshes on Kubeflow Pipelines, over HTTP, from the request to the new numbers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from foreact.blobs.folder import FolderStore
from foreact.telemetry.ledger import Runs
from serving.refreshes.kubeflow import KubeflowRunner
from serving.refreshes.records import Book, Refresh, new_id
from serving.settings import ServingSettings
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.refreshes.kubeflow_api import KubeflowApi
from tests.waiting import until

PACKAGE = Path(__file__).parents[3] / "compiled" / "retrain-store.yaml"


@pytest.fixture
def api() -> Iterator[KubeflowApi]:
    api = KubeflowApi()
    yield api
    api.stop()


@pytest.fixture
def runner(api: KubeflowApi, store: FolderStore, tmp_path: Path) -> KubeflowRunner:
    settings = ServingSettings(
        workspace=tmp_path,
        kfp_host=api.url,
        refresh_package=str(PACKAGE),
        refresh_arguments=json.dumps({"history": "https://account.blob.core.windows.net/sales", "horizon": 14}),
        _env_file=None,
    )
    runner = KubeflowRunner.of(settings, Runs(store))
    runner.interval = 0.1
    return runner


@pytest.fixture
def house(store: FolderStore, start: Callable[..., Serving], runner: KubeflowRunner) -> Serving:
    shop.publish(store)
    return start(runner=runner)


def test_a_run_is_made_with_the_stores_parameters_and_followed(house: Serving, api: KubeflowApi) -> None:
    asked = house.post("/v1/stores/S1/refreshes")
    location = asked.headers["location"]
    run_id = until(lambda: next(iter(api.runs), None))
    run = api.runs[run_id]
    # The run's steps find there whose request they serve.
    record = until(lambda: Runs(house.store).read().find(run_id))
    assert (record.pipeline, record.store) == ("retrain-store", "S1")
    assert record.request_id == asked.headers["x-request-id"]
    assert run["display_name"] == f"foreact-refresh-{location.rpartition('/')[2]}"
    assert run["runtime_config"]["parameters"] == {
        "history": "https://account.blob.core.windows.net/sales",
        "horizon": 14,
        "store": "S1",
    }
    api.move(run_id, "RUNNING", ingest=("SUCCEEDED", None), train=("RUNNING", None))
    steps = until(lambda: house.get(location).json()["steps"])
    assert [(step["name"], step["state"], step["seconds"]) for step in steps] == [
        ("ingest", "succeeded", 5.0),
        ("train", "running", None),
    ]
    shop.publish(house.store, ["S1"], run=run_id, seed=5)
    api.move(run_id, "SUCCEEDED", ingest=("SUCCEEDED", None), train=("SUCCEEDED", None))
    done = until(lambda: house.get(location).json() if house.get(location).json()["ended_at"] else None)
    assert (done["state"], done["version"]) == ("succeeded", 2)
    assert house.get("/v1/totals?store=S1").json()["stores"]["S1"]["run"] == run_id


def test_a_failed_run_names_its_step(house: Serving, api: KubeflowApi) -> None:
    location = house.post("/v1/stores/S1/refreshes").headers["location"]
    run_id = until(lambda: next(iter(api.runs), None))
    api.move(run_id, "FAILED", ingest=("SUCCEEDED", None), validate=("FAILED", "3 rules are broken\nTraceback ..."))
    done = until(lambda: house.get(location).json() if house.get(location).json()["ended_at"] else None)
    assert (done["state"], done["failed_step"], done["sentence"]) == ("failed", "validate", "3 rules are broken")
    # Had it been killed with all its tasks, nobody else would have said so.
    record = until(lambda: (found := Runs(house.store).read().find(run_id)) and found.ended_at and found)
    assert (record.state, record.sentence) == ("failed", "3 rules are broken")


def test_a_run_is_found_again_and_never_made_twice(runner: KubeflowRunner, api: KubeflowApi) -> None:
    refresh = Refresh(id=new_id(shop.NOW), store="S1", state="running", requested_at=shop.NOW, requested_by="test")
    first = runner.start(refresh)
    again = runner.start(refresh)
    assert first.run == again.run
    assert len(api.runs) == 1


def test_an_api_that_goes_away_and_comes_back_loses_nothing(house: Serving, api: KubeflowApi) -> None:
    location = house.post("/v1/stores/S1/refreshes").headers["location"]
    run_id = until(lambda: next(iter(api.runs), None))
    until(lambda: Book(house.store).active()[0].run)
    api.away = True
    told = until(lambda: (found := house.get(location).json())["sentence"] and found)
    assert told["state"] == "running"
    assert "Kubeflow Pipelines did not tell of a run" in told["sentence"]
    api.away = False
    api.move(run_id, "SUCCEEDED", publish=("SUCCEEDED", None))
    assert until(lambda: house.get(location).json()["state"] == "succeeded")


def test_without_the_api_a_request_is_refused_in_words(store: FolderStore, start: Any, tmp_path: Path) -> None:
    shop.publish(store)
    settings = ServingSettings(
        workspace=tmp_path, kfp_host="http://127.0.0.1:9", refresh_package=str(PACKAGE), _env_file=None
    )
    house = start(runner=KubeflowRunner.of(settings, Runs(store)))
    answer = house.post("/v1/stores/S1/refreshes")
    assert answer.status_code == 503
    assert "Kubeflow Pipelines does not answer" in answer.json()["error"]["message"]


def test_what_takes_too_long_is_ended(runner: KubeflowRunner, api: KubeflowApi) -> None:
    refresh = Refresh(id=new_id(shop.NOW), store="S1", state="running", requested_at=shop.NOW, requested_by="test")
    started = runner.start(refresh)
    runner.stop(started)
    assert api.runs[started.run]["state"] == "CANCELED"
    progress = runner.observe(started)
    assert (progress.state, progress.sentence) == ("failed", "the run ended canceled")
