"""What counts as live while the model registry answers, while it does not, and before it has been told."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from components.publish.step import publish
from components.register.step import register
from components.train.live import LiveStore, make_live_finder
from foreact.blobs import connect
from foreact.packing import unpacked
from foreact.publications import Manifest, PublishedObject, Publisher, Reader
from foreact.registry import Registry
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin, list_owed
from foreact.settings import PipelineSettings
from tests.trainings import AS_OF, write_training

STORES = ("Kiel", "Ulm")


class Nights:
    """Nights of a chain whose registry answers or not."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        self.folder = folder
        self.answering = PipelineSettings(workspace=workspace)
        # Nothing listens at port 1.
        self.away = self.answering.model_copy(update={"mlflow_uri": "http://127.0.0.1:1"})

    def run(self, night: int, settings: PipelineSettings, *stores: str, **fields: dict[str, str]) -> Manifest:
        """Register and publish one night's training, whose numbers are the night's; `fields` are those of stores."""
        place = self.folder / str(night)
        given = {store: {"value": night, **fields.get(store, {})} for store in stores or STORES}
        write_training(place, settings, f"night {night}", given, as_of=AS_OF + timedelta(days=night))
        parts = {"trained": place, "versions": self.folder / f"{night}.json", "settings": settings, "events": Events()}
        register(**parts, origin=RunOrigin(run=f"night {night}", store=stores[0] if stores else ""))
        return publish(**parts).outcome.manifest


def find_live(settings: PipelineSettings) -> dict[str, LiveStore]:
    return make_live_finder(settings)(list(STORES), AS_OF + timedelta(days=30))


def read_champion(nights: Nights, live: LiveStore, name: str) -> str:
    packed = live.champion
    if isinstance(packed, PublishedObject):
        packed = Reader(connect(nights.answering)).read_object(packed)
    with unpacked(packed) as folder:
        return (folder / name).read_text()


def read_value(nights: Nights, live: LiveStore) -> float:
    return float(json.loads(read_champion(nights, live, "model.json"))["value"])


@pytest.fixture
def nights(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Nights(tmp_path, workspace)


def test_a_registry_that_is_away_for_days_costs_no_morning_and_lacks_nothing_afterwards(nights: Nights) -> None:
    nights.run(1, nights.answering)
    for night in (2, 3, 4):
        live = find_live(nights.away)
        found = {(each.champion_run, read_value(nights, each)) for each in live.values()}
        assert found == {(f"night {night - 1}", night - 1)}
        manifest = nights.run(night, nights.away)
        models = [entry.model for entry in manifest.stores.values()]
        assert {(model.run, model.version) for model in models} == {(f"night {night}", None)}
    assert len(list_owed(connect(nights.answering))) == 3

    # It answers again, and does not know yet what was published last.
    assert {(each.champion_run, each.champion_version) for each in find_live(nights.answering).values()} == {
        ("night 4", None)
    }
    nights.run(5, nights.answering)
    registry = Registry.connect(nights.answering)
    for store in STORES:
        runs = [registry.load_version(store, str(number)).run for number in range(1, 6)]
        assert runs == [f"night {number}" for number in range(1, 6)]
    assert {champion.version for champion in registry.find_champions(STORES).values()} == {"5"}
    assert list_owed(connect(nights.answering)) == []


def test_a_champion_that_stays_lies_beside_the_numbers_that_it_makes(nights: Nights) -> None:
    nights.run(1, nights.answering)
    kept = {"outcome": "kept", "champion_run": "night 1", "champion_version": "1"}
    manifest = nights.run(2, nights.answering, Kiel=kept)
    model = manifest.stores["Kiel"].model
    assert (model.run, model.version) == ("night 1", "1")
    assert model.packed is not None
    assert model.packed.name == "forecasts/data/night~202/models/Kiel.zip"
    live = find_live(nights.away)["Kiel"]
    assert (live.champion_run, live.champion_version) == ("night 1", "1")
    assert read_champion(nights, live, "arrays.npz") == "champion of Kiel"


def test_a_refresh_registers_what_is_owed_of_its_own_store_alone(nights: Nights) -> None:
    nights.run(1, nights.away)
    nights.run(2, nights.answering, "Kiel")
    registry = Registry.connect(nights.answering)
    assert {store: champion.run for store, champion in registry.find_champions(STORES).items()} == {"Kiel": "night 2"}
    assert registry.load_version("Kiel", "1").run == "night 1"
    assert len(list_owed(connect(nights.answering))) == 1


def test_a_model_published_before_models_lay_beside_the_numbers_is_told(nights: Nights) -> None:
    manifest = nights.run(1, nights.answering)
    entry = manifest.stores["Kiel"]
    older = entry.model_copy(update={"model": entry.model.model_copy(update={"packed": None})})
    Publisher(connect(nights.answering)).publish({"Kiel": older}, by="test")
    live = find_live(nights.away)
    assert live["Kiel"].problem == (
        "The live model, foreact-Kiel version 1, lies in the registry alone, which does not answer."
    )
    assert read_value(nights, live["Ulm"]) == 1
    assert find_live(nights.answering)["Kiel"].problem == ""


def test_what_is_published_too_is_not_read_in_the_registry(nights: Nights) -> None:
    manifest = nights.run(1, nights.answering)
    packed = {store: manifest.stores[store].model.packed for store in STORES}
    assert {store: live.champion for store, live in find_live(nights.answering).items()} == packed
    # A model that does not make the numbers lies in the registry alone.
    poor = {"outcome": "fallback", "fallback": "it has lost", "model": False}
    nights.run(2, nights.answering, Kiel=poor)
    live = find_live(nights.answering)["Kiel"]
    assert isinstance(live.champion, bytes)
    assert (live.champion_version, read_value(nights, live)) == ("1", 1)
    laid = live.lay_down(connect(nights.answering), "night 3")
    assert laid is not None
    assert Reader(connect(nights.answering)).read_object(laid.packed) == live.champion


def test_restoring_brings_models_back_with_their_numbers(nights: Nights) -> None:
    nights.run(1, nights.away)
    nights.run(2, nights.away)
    blobs = connect(nights.answering)
    Publisher(blobs).restore(1, by="ada", reason="wrong offers")
    assert read_value(nights, find_live(nights.away)["Kiel"]) == 1
    assert Reader(blobs).read_current().manifest.stores["Kiel"].model.run == "night 1"
