"""The registry, asked of SQLite in a workspace and of a server on PostgreSQL with artifacts in Azurite."""

import json
import sqlite3
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from foreact.errors import ForeactError
from foreact.naming import encode_id
from foreact.packing import unpacked
from foreact.registry import Moment, Registry, RegistryUnavailable, RunNotes, model_name
from foreact.registry.client import explain_mlflow_errors
from foreact.registry.records import STORE, artifact_name
from foreact.settings import PipelineSettings
from tests.foreact.registry.conftest import candidate
from tests.services import hold_port

IDS = ["1", "10", "Köln/Süd", "a:b", "models:/x@champion", "'; DROP TABLE x; --", "日" * 100]


def moment(day: int, hour: int = 20) -> Moment:
    """Return the evening of a day, or another hour of it."""
    return Moment(date(2024, 3, day), datetime(2024, 3, day, hour, tzinfo=UTC))


def test_every_store_gets_its_own_model_back(connect, prefix, tmp_path):
    stores = [f"{prefix}{each}" for each in IDS]
    versions = connect().register_models(
        f"run-{prefix}", [candidate(store, value=place) for place, store in enumerate(stores)]
    )
    assert versions == dict.fromkeys(stores, "1")
    loaded = connect().load_champions([*stores, f"{prefix}-unknown"])
    assert set(loaded) == set(stores)
    for place, store in enumerate(stores):
        assert (loaded[store].version, loaded[store].run, loaded[store].problem) == ("1", f"run-{prefix}", "")
        with unpacked(loaded[store].packed) as folder:
            assert json.loads((folder / "model.json").read_text()) == {"store": store, "value": place}
            assert sorted(path.name for path in folder.iterdir()) == ["items", "model.json"]


def test_a_challenger_that_was_refused_is_registered_and_does_not_go_live(connect, prefix, tmp_path):
    connect().register_models(f"one-{prefix}", [candidate(prefix)])
    versions = connect().register_models(f"two-{prefix}", [candidate(prefix, promoted=False)])
    assert versions == {prefix: "2"}
    assert connect().find_champions([prefix])[prefix].version == "1"


def test_registering_again_makes_no_second_version(connect, prefix, tmp_path):
    candidates = [candidate(f"{prefix}{each}") for each in range(3)]
    connect().register_models(f"run-{prefix}", candidates[:2])
    assert connect().register_models(f"run-{prefix}", candidates) == {each.store: "1" for each in candidates}


def test_the_alias_never_moves_back(connect, prefix, tmp_path):
    first = [candidate(prefix, as_of="2024-03-01")]
    connect().register_models(f"one-{prefix}", first)
    connect().register_models(f"two-{prefix}", [candidate(prefix, as_of="2024-03-02")])
    connect().register_models(f"one-{prefix}", first)
    assert connect().find_champions([prefix])[prefix].version == "2"
    connect().register_models(f"late-{prefix}", [candidate(prefix, as_of="2024-02-01")])
    assert connect().find_champions([prefix])[prefix].version == "2"


def test_a_version_tells_where_it_comes_from(connect, prefix, tmp_path):
    registry = connect()
    notes = RunNotes(
        name=f"retrain-store {prefix} 2024-03-31",
        description="Data up to 2024-03-31.",
        parameters={"code_version": "abc"},
        figures={"wape": 0.2},
        moment=moment(31),
    )
    registry.register_models(f"run-{prefix}", [candidate(prefix)], notes=notes)
    found = registry.client.get_model_version_by_alias(model_name(prefix), "champion")
    assert found.tags["foreact.run"] == f"run-{prefix}"
    assert found.tags["foreact.store"] == prefix
    assert found.tags["foreact.as_of"] == "2024-03-31"
    assert found.tags["foreact.data_hash"] == "h"
    assert found.description == "Promoted."
    assert found.source.endswith(f"/models/{encode_id(prefix)}")
    assert f"Forecasts store {prefix}." in registry.client.get_registered_model(model_name(prefix)).description
    run = registry.client.get_run(found.run_id)
    assert run.info.run_name == f"retrain-store {prefix} 2024-03-31"
    assert run.data.params == {"code_version": "abc"}
    assert run.data.tags["mlflow.note.content"] == "Data up to 2024-03-31."
    assert run.info.status == "FINISHED"
    assert [(each.value, each.step) for each in registry.client.get_metric_history(run.info.run_id, "wape")] == [
        (0.2, 19813)
    ]


def test_figures_join_those_of_the_nights_before(connect, prefix):
    stores = [f"{prefix}{each}" for each in IDS]
    connect().chart_figures({store: {"wape": 0.3} for store in stores}, moment(30))
    # A step that runs again, a refresh of one store on the next day, and the next night.
    connect().chart_figures({store: {"wape": 0.3} for store in stores}, moment(30))
    connect().chart_figures({stores[0]: {"wape": 0.2, "live_wape": 0.4}}, moment(31, hour=8))
    connect().chart_figures({store: {"wape": 0.1} for store in stores}, moment(31))

    registry = connect()
    experiment = registry.client.get_experiment_by_name("foreact-stores").experiment_id
    runs = {run.info.run_name: run.info for run in registry.client.search_runs([experiment])}
    for store in stores:
        points = registry.client.get_metric_history(runs[store].run_id, "wape")
        expected = [(19812, 0.3), *([(19813, 0.2)] if store == stores[0] else []), (19813, 0.1)]
        assert [(each.step, each.value) for each in sorted(points, key=lambda each: each.timestamp)] == expected
        assert runs[store].status == "FINISHED"


class Overtaken:
    """MLflow's client in a run that another one overtakes in the instant before it moves the alias."""

    def __init__(self, client, other):
        self.client, self.others = client, [other]

    def __getattr__(self, name):
        return getattr(self.client, name)

    def set_registered_model_alias(self, *arguments):
        if self.others:
            self.others.pop()()
        self.client.set_registered_model_alias(*arguments)


# In a workspace the second run waits for the first.
@pytest.mark.postgres
@pytest.mark.azurite
@pytest.mark.parametrize("connect", ["server"], indirect=True)
@pytest.mark.parametrize(("slow", "fast", "live"), [(1, 2, "2"), (2, 1, "1"), (1, 1, "2")])
def test_the_alias_is_on_the_newest_data_though_another_run_moved_it_in_the_same_instant(
    connect, prefix, tmp_path, slow, fast, live
):
    def candidates(day):
        return [candidate(prefix, as_of=f"2024-03-0{day}")]

    overtaken = connect()
    overtaken.client = Overtaken(
        overtaken.client, lambda: connect().register_models(f"fast-{prefix}", candidates(fast))
    )
    assert overtaken.register_models(f"slow-{prefix}", candidates(slow)) == {prefix: "1"}
    assert connect().find_champions([prefix])[prefix].version == live


def test_a_run_that_died_before_it_looked_again_looks_when_it_is_repeated(connect, prefix, tmp_path):
    old, new = ([candidate(prefix, as_of=f"2024-03-0{day}")] for day in (1, 2))
    connect().register_models(f"new-{prefix}", new)
    connect().register_models(f"old-{prefix}", old)
    registry = connect()
    registry.client.set_registered_model_alias(model_name(prefix), "champion", "2")
    assert connect().find_champions([prefix])[prefix].version == "2"
    registry.register_models(f"old-{prefix}", old)
    assert connect().find_champions([prefix])[prefix].version == "1"


def test_of_many_runs_at_once_the_newest_data_is_live(connect, prefix, tmp_path):
    stores = [f"{prefix}{each}" for each in range(3)]
    runs = {day: [candidate(store, as_of=f"2024-03-0{day}") for store in stores] for day in range(1, 7)}
    registries = {day: connect() for day in runs}

    def register(day):
        return registries[day].register_models(f"run-{day}-{prefix}", runs[day])

    with ThreadPoolExecutor(len(runs)) as pool:
        versions = dict(zip(runs, pool.map(register, runs), strict=True))
    for store, champion in connect().find_champions(stores).items():
        assert champion.as_of == "2024-03-06"
        assert champion.version == versions[6][store]
        assert sorted(made[store] for made in versions.values()) == list("123456")


def test_a_tampered_or_lost_model_is_refused_and_takes_nothing_from_the_others(connect, prefix, tmp_path):
    stores = {each: f"{prefix}{each}" for each in ("whole", "evil", "lost", "foreign")}
    registry = connect()
    registry.register_models(f"run-{prefix}", [candidate(store) for store in stores.values()])
    run = registry.find_champions([stores["evil"]])[stores["evil"]].mlflow_run
    evil = tmp_path / "model.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("model.json", '{"value": 666}')
    registry.client.log_artifact(run, str(evil), f"models/{stores['evil']}")
    registry._open_run_files(run).delete_artifacts(artifact_name(stores["lost"]))
    registry.client.set_model_version_tag(model_name(stores["foreign"]), "1", STORE, "another")

    loaded = connect().load_champions(stores.values())
    assert [each for each, store in stores.items() if loaded[store].packed] == ["whole"]
    assert {each: loaded[store].problem for each, store in stores.items()} == {
        "whole": "",
        "evil": f"foreact-{stores['evil']} version 1 is refused because it has been tampered with: "
        "its bytes are not those registered.",
        "lost": f"foreact-{stores['lost']} version 1 is lost: its file is no longer in the registry.",
        "foreign": f"foreact-{stores['foreign']} version 1 is refused: it belongs to another store.",
    }

    # The next version takes the place of each.
    connect().register_models(f"next-{prefix}", [candidate(store) for store in stores.values()])
    loaded = connect().load_champions(stores.values())
    assert {(each.version, each.problem) for each in loaded.values()} == {("2", "")}


class Purged:
    """MLflow's client where every run has been purged."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        return getattr(self.client, name)

    def get_run(self, run):
        return self.client.get_run("0" * 32)


def test_models_whose_run_is_gone_are_lost(connect, prefix, tmp_path):
    registry = connect()
    registry.register_models(f"run-{prefix}", [candidate(prefix)])
    # MLflow keeps the files of a deleted run until somebody purges it.
    registry.client.delete_run(registry.find_champions([prefix])[prefix].mlflow_run)
    assert registry.load_champions([prefix])[prefix].packed
    registry.client = Purged(registry.client)
    loaded = registry.load_champions([prefix])
    assert loaded[prefix].problem.endswith("is lost: its file is no longer in the registry.")


def test_a_server_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret")
    settings = PipelineSettings(mlflow_uri=f"http://127.0.0.1:{hold_port()}")
    with pytest.raises(
        RegistryUnavailable, match=r"^The model registry at http://127.0.0.1:\d+/? failed \(ConnectionError\)"
    ) as caught:
        Registry.connect(settings)
    assert "planted-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_with_credentials_is_refused():
    settings = PipelineSettings(mlflow_uri="https://ada:planted-secret@mlflow.example:8443/x")  # not a secret
    with pytest.raises(ForeactError, match=r"for https://mlflow\.example:8443/x carries credentials") as caught:
        Registry.connect(settings)
    assert "planted-secret" not in str(caught.value)


def test_a_workspace_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForeactError, match="Cannot create the workspace"):
        Registry.connect(PipelineSettings(workspace=tmp_path / "file" / "workspace"))


def test_a_full_disk_below_the_workspaces_own_registry_is_named():
    full = OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))
    with (
        pytest.raises(RegistryUnavailable, match=r"mlflow.db failed \(database or disk is full\)"),
        explain_mlflow_errors("mlflow.db"),
    ):
        raise full
    with pytest.raises(RegistryUnavailable, match="disk is full"), explain_mlflow_errors("mlflow.db"):
        raise MlflowException("wrapped") from full
    away = OperationalError("insert", {}, ConnectionError("at host=db password=secret"))  # not a secret
    with pytest.raises(RegistryUnavailable, match=r"\(OperationalError\)"), explain_mlflow_errors("postgresql://db"):
        raise away
