"""The registry, asked of SQLite in a workspace and of a server on PostgreSQL with artifacts in Azurite."""

import json
import zipfile

import pytest

from foreact.errors import ForeactError
from foreact.naming import encode
from foreact.registry import Registry, RegistryUnavailable, TamperedModel, model_name
from foreact.registry.records import STORE
from foreact.settings import PipelineSettings
from tests.foreact.registry.conftest import candidate
from tests.services import free_port

IDS = ["1", "10", "Köln/Süd", "a:b", "models:/x@champion", "'; DROP TABLE x; --", "日" * 100]


def test_every_store_gets_its_own_model_back(connect, prefix, tmp_path):
    stores = [f"{prefix}{each}" for each in IDS]
    versions = connect().register(
        f"run-{prefix}", [candidate(tmp_path, store, value=place) for place, store in enumerate(stores)]
    )
    assert versions == dict.fromkeys(stores, "1")
    loaded = connect().load_champions([*stores, f"{prefix}-unknown"], tmp_path / "loaded")
    assert set(loaded) == set(stores)
    for place, store in enumerate(stores):
        version, folder = loaded[store]
        assert version == "1"
        assert json.loads((folder / "model.json").read_text()) == {"store": store, "value": place}
        assert sorted(path.name for path in folder.iterdir()) == ["items", "model.json"]


def test_a_challenger_that_was_refused_is_registered_and_does_not_go_live(connect, prefix, tmp_path):
    connect().register(f"one-{prefix}", [candidate(tmp_path, prefix)])
    versions = connect().register(f"two-{prefix}", [candidate(tmp_path, prefix, promoted=False)])
    assert versions == {prefix: "2"}
    assert connect().champions([prefix])[prefix].version == "1"


def test_registering_again_makes_no_second_version(connect, prefix, tmp_path):
    candidates = [candidate(tmp_path, f"{prefix}{each}") for each in range(3)]
    connect().register(f"run-{prefix}", candidates[:2])
    assert connect().register(f"run-{prefix}", candidates) == {each.store: "1" for each in candidates}


def test_the_alias_never_moves_back(connect, prefix, tmp_path):
    first = [candidate(tmp_path, prefix, as_of="2024-03-01")]
    connect().register(f"one-{prefix}", first)
    connect().register(f"two-{prefix}", [candidate(tmp_path, prefix, as_of="2024-03-02")])
    connect().register(f"one-{prefix}", first)
    assert connect().champions([prefix])[prefix].version == "2"
    connect().register(f"late-{prefix}", [candidate(tmp_path, prefix, as_of="2024-02-01")])
    assert connect().champions([prefix])[prefix].version == "2"


def test_a_version_tells_where_it_comes_from(connect, prefix, tmp_path):
    registry = connect()
    registry.register(f"run-{prefix}", [candidate(tmp_path, prefix)], tags={"foreact.code_version": "abc"})
    found = registry.client.get_model_version_by_alias(model_name(prefix), "champion")
    assert found.tags["foreact.run"] == f"run-{prefix}"
    assert found.tags["foreact.store"] == prefix
    assert found.tags["foreact.as_of"] == "2024-03-31"
    assert found.tags["foreact.data_hash"] == "h"
    assert found.source.endswith(f"/models/{encode(prefix)}.zip")
    run = registry.client.get_run(found.run_id)
    assert run.data.tags["foreact.code_version"] == "abc"
    assert run.info.status == "FINISHED"


def test_a_tampered_model_is_refused(connect, prefix, tmp_path):
    registry = connect()
    registry.register(f"run-{prefix}", [candidate(tmp_path, prefix)])
    evil = tmp_path / f"{prefix}.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("model.json", '{"value": 666}')
    registry.client.log_artifact(registry.champions([prefix])[prefix].mlflow_run, str(evil), "models")
    with pytest.raises(TamperedModel, match="version 1 is not what was registered"):
        registry.load_champions([prefix], tmp_path / "loaded")
    assert not (tmp_path / "loaded").exists()


def test_a_version_of_another_store_is_refused(connect, prefix, tmp_path):
    registry = connect()
    registry.register(f"run-{prefix}", [candidate(tmp_path, prefix)])
    registry.client.set_model_version_tag(model_name(prefix), "1", STORE, "another")
    with pytest.raises(ForeactError, match="belongs to another store"):
        registry.champions([prefix])


def test_a_server_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret")
    settings = PipelineSettings(mlflow_uri=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RegistryUnavailable, match=r"^The model registry at http://127.0.0.1:\d+/? did not") as caught:
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
    with pytest.raises(ForeactError, match="Cannot make the workspace"):
        Registry.connect(PipelineSettings(workspace=tmp_path / "file" / "workspace"))
