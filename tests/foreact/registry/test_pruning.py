"""What a registry forgets, and what it never does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foreact.errors import ForeactError
from foreact.registry import Pruned, Registry, RegistryUnavailable, prune_registry
from foreact.registry.client import make_client, sqlite_uri
from foreact.registry.records import CHAIN, CHAMPION, EXPERIMENT, RUN, Moment
from foreact.settings import PipelineSettings
from tests.foreact.registry.conftest import candidate
from tests.services import ACCOUNT, Azurite

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def registry(workspace: Path, tmp_path: Path) -> Registry:
    """Five runs of two stores and the chain; the second run's models are live, the fourth's were published."""
    registry = Registry.connect(PipelineSettings(workspace=workspace))
    for night in range(1, 6):
        stores = [candidate(store, promoted=night == 2) for store in ("Kiel", "Bad Tölz", CHAIN)]
        registry.register_models(f"run-{night}", stores)
        moment = Moment(datetime.now(UTC).date(), datetime.now(UTC))
        registry.chart_figures({"Kiel": {"wape": night / 10}}, moment)
    return registry


def count_versions(registry: Registry, name: str) -> list[int]:
    return sorted(int(each.version) for each in registry.client.search_model_versions(f"name = '{name}'"))


def test_what_nothing_names_goes_with_its_files_and_runs(registry: Registry) -> None:
    named = {("foreact-Kiel", "4"), ("foreact-Bad~20T~C3~B6lz", "run-3")}
    assert registry.prune(lambda: named, LATER) == Pruned(7, 1, 5)
    # The live one, the newest, and those that are named by number or by run.
    assert count_versions(registry, "foreact-Kiel") == [2, 4, 5]
    assert count_versions(registry, "foreact-Bad~20T~C3~B6lz") == [2, 3, 5]
    assert count_versions(registry, "foreact.chain") == [2, 5]
    assert registry.load_champions(["Kiel", "Bad Tölz", CHAIN])["Kiel"].problem == ""
    assert registry.load_version("Kiel", "4").packed
    assert registry.artifacts is not None
    left = [path.relative_to(registry.artifacts).parts[2:] for path in registry.artifacts.rglob("model.zip")]
    assert len(left) == 8
    runs = registry.client.search_runs([registry.experiment])
    assert sorted(run.data.tags["foreact.run"] for run in runs) == ["run-2", "run-3", "run-4", "run-5"]
    assert registry.prune(lambda: named, LATER) == Pruned(0, 0, 0)


def test_what_is_young_stays(registry: Registry) -> None:
    assert registry.prune(set, datetime.now(UTC) - timedelta(days=1)) == Pruned(0, 0, 0)
    assert count_versions(registry, "foreact-Kiel") == [1, 2, 3, 4, 5]


def test_no_number_is_given_twice(registry: Registry, tmp_path: Path) -> None:
    registry.prune(set, LATER)
    assert registry.register_models("run-6", [candidate("Kiel")]) == {"Kiel": "6"}


def test_nothing_goes_while_what_is_named_is_not_known(registry: Registry) -> None:
    def fail() -> set[tuple[str, str]]:
        raise ForeactError("The manifest is damaged.")

    with pytest.raises(ForeactError, match="damaged"):
        registry.prune(fail, LATER)
    assert count_versions(registry, "foreact-Kiel") == [1, 2, 3, 4, 5]


def test_models_and_runs_of_others_stay(registry: Registry) -> None:
    client = registry.client
    client.create_registered_model("foreact-theirs")
    run = client.create_run(registry.experiment)
    for _ in range(2):
        client.create_model_version("foreact-theirs", "runs:/x", run.info.run_id, await_creation_for=0)
    registry.prune(set, LATER)
    assert count_versions(registry, "foreact-theirs") == [1, 2]
    assert client.get_run(run.info.run_id)


class Looked(frozenset[tuple[str, str]]):
    """Nothing is named, and while one model is looked for, somebody sets an alias."""

    look: Callable[[object], None]

    def __contains__(self, named: object) -> bool:
        self.look(named)
        return False


def test_what_an_alias_names_meanwhile_stays(registry: Registry) -> None:
    def promote(named: object) -> None:
        if named == ("foreact-Kiel", "3"):
            registry.client.set_registered_model_alias("foreact-Kiel", CHAMPION, "3")

    nothing = Looked()
    nothing.look = promote
    registry.prune(lambda: nothing, LATER)
    assert count_versions(registry, "foreact-Kiel") == [2, 3, 5]
    assert registry.load_champions(["Kiel"])["Kiel"].problem == ""
    assert registry.load_champions(["Kiel"])["Kiel"].version == "3"


def leave_run(workspace: Path, uri: str) -> str:
    """Leave an empty run of ours of which a server keeps the files in a place of its own."""
    client = make_client(sqlite_uri(workspace))
    experiment = client.create_experiment(EXPERIMENT, artifact_location=uri)
    return str(client.create_run(experiment, tags={RUN: "run-1"}).info.run_id)


@pytest.mark.parametrize("uri", ["mlflow-artifacts:/7", "mlflow-artifacts://mlflow.example:5000/7"])
def test_files_are_found_where_the_server_keeps_them(workspace: Path, tmp_path: Path, uri: str) -> None:
    run = leave_run(workspace, uri)
    kept = tmp_path / "kept"
    (kept / "7" / run / "artifacts").mkdir(parents=True)
    (kept / "7" / run / "artifacts" / "model.zip").touch()
    assert prune_registry(sqlite_uri(workspace), kept.as_uri(), named=set(), before=LATER) == Pruned(0, 1, 0)
    assert list(kept.rglob("model.zip")) == []


@pytest.mark.azurite
def test_a_store_of_files_that_refuses_is_told(
    workspace: Path, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_run(workspace, "mlflow-artifacts:/7")
    refused = azurite.connection_string.replace(azurite.key, "bm9uZQ==")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", refused)
    place = f"wasbs://models@{ACCOUNT}.blob.core.windows.net/mlflow"
    with pytest.raises(RegistryUnavailable, match=r"Cannot delete files in wasbs://models@.* check that"):
        prune_registry(sqlite_uri(workspace), place, named=set(), before=LATER)
