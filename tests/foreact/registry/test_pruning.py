"""What a registry forgets, and what it never does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foreact.errors import ForeactError
from foreact.registry import Pruned, Registry
from foreact.registry.records import CHAIN, Moment
from foreact.settings import PipelineSettings
from tests.foreact.registry.conftest import candidate

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def registry(workspace: Path, tmp_path: Path) -> Registry:
    """Five runs of two stores and the chain; the second run's models are live, the fourth's were published."""
    registry = Registry.connect(PipelineSettings(workspace=workspace))
    for night in range(1, 6):
        stores = [candidate(tmp_path, store, promoted=night == 2) for store in ("Kiel", "Bad Tölz", CHAIN)]
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
    assert registry.register_models("run-6", [candidate(tmp_path, "Kiel")]) == {"Kiel": "6"}


def test_nothing_goes_while_what_is_named_is_not_known(registry: Registry) -> None:
    def fail() -> set[tuple[str, str]]:
        raise ForeactError("The manifest is damaged.")

    with pytest.raises(ForeactError, match="damaged"):
        registry.prune(fail, LATER)
    assert count_versions(registry, "foreact-Kiel") == [1, 2, 3, 4, 5]


def test_models_and_runs_of_others_stay(registry: Registry) -> None:
    client = registry.client
    client.create_registered_model("theirs")
    run = client.create_run(registry.experiment)
    for _ in range(2):
        client.create_model_version("theirs", "runs:/x", run.info.run_id, await_creation_for=0)
    registry.prune(set, LATER)
    assert count_versions(registry, "theirs") == [1, 2]
    assert client.get_run(run.info.run_id)
