"""What the last publication held, as validation compares it."""

from pathlib import Path

from components.validate.previous import previous_items
from foreact.blobs import connect
from foreact.publications import PublishedModel, Publisher, StoreEntry, put_object
from foreact.publications.contract import object_name
from foreact.settings import PlaceSettings
from tests.trainings import AS_OF, GENERATED, forecasts

STORES = ("1", "Köln/Süd", "../up")


def publish(settings: PlaceSettings) -> None:
    entries = {}
    for name in STORES:
        written = put_object(connect(settings), object_name("run-1", name, "forecasts"), forecasts(name, 1.0))
        entries[name] = StoreEntry(
            run="run-1",
            as_of=AS_OF,
            generated_at=GENERATED,
            horizon=3,
            items=2,
            model=PublishedModel(name="foreact-x"),
            data_hash="",
            code_version="",
            objects={"forecasts": written, "totals": written},
        )
    Publisher(connect(settings)).publish(entries, by="a test")


def test_the_items_of_every_store_or_of_one(tmp_path: Path) -> None:
    settings = PlaceSettings(workspace=tmp_path)
    assert previous_items(settings) is None
    publish(settings)
    assert previous_items(settings) == {store: ["a", "b"] for store in STORES}
    assert previous_items(settings, only="../up") == {"../up": ["a", "b"]}
    assert previous_items(settings, only="new") == {}


def test_a_damaged_publication_is_no_reason_to_stop(tmp_path: Path) -> None:
    settings = PlaceSettings(workspace=tmp_path)
    publish(settings)
    connect(settings).write(object_name("run-1", "1", "forecasts"), b"torn")
    connect(settings).delete(object_name("run-1", "../up", "forecasts"))
    assert previous_items(settings) == {"1": [], "Köln/Süd": ["a", "b"], "../up": []}
