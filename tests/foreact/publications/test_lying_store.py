"""A blob store that lies: torn and spoilt reads, lists of yesterday, refusals; nothing false is believed or lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foreact.blobs import BlobStore, BlobUnavailable, connect
from foreact.blobs.azure import AzureStore
from foreact.publications import CURRENT, Publisher, Reader
from foreact.settings import PlaceSettings
from serving.publication import PublicationCache
from tests.drills.front import Front, serve_front
from tests.foreact.publications.stores import put
from tests.serving import shop

pytestmark = pytest.mark.azurite


@pytest.fixture
def front(azurite: Any) -> Iterator[Front]:
    with serve_front(Front(azurite.process.port)) as front:
        yield front


@pytest.fixture
def stores(azurite: Any, front: Front) -> tuple[BlobStore, BlobStore]:
    """Return a container as it is, and as the front shows it."""
    settings = azurite.settings()
    port, other = f":{azurite.process.port}/", f":{front.port}/"
    shown = connect(PlaceSettings(**{name: text.replace(port, other) for name, text in settings.items()}), patience=5)
    return connect(PlaceSettings(**settings)), shown


def test_what_came_in_part_is_read_again(front: Front, stores: tuple[BlobStore, BlobStore]) -> None:
    stores[0].write("x", b"0123456789")
    front.tears, front.times = ("/x",), 1
    assert stores[1].read("x").data == b"0123456789"
    front.times = 1
    with stores[1].open("x") as file:
        assert file.read() == b"0123456789"
    assert front.lied == 2


def test_no_version_is_lost_to_a_spoilt_manifest_and_an_old_list(
    front: Front, stores: tuple[BlobStore, BlobStore]
) -> None:
    """Whoever takes the newest version for damaged would go on from the one before, and lose what is in it."""
    real, shown = stores
    Publisher(shown).publish({"1": put(real, "1", "r1", 1)}, by="x")
    list(shown.list("forecasts/manifests/"))
    front.stale = True
    Publisher(real).publish({"2": put(real, "2", "r2", 2)}, by="y")
    front.spoils, front.times = (CURRENT,), 1
    manifest = Publisher(shown).publish({"3": put(real, "3", "r3", 3)}, by="z").manifest
    assert front.lied >= 1
    assert (manifest.version, sorted(manifest.stores)) == (3, ["1", "2", "3"])
    assert Reader(real).list_versions() == [1, 2, 3]


def test_planners_keep_the_last_good_numbers(front: Front, stores: tuple[BlobStore, BlobStore]) -> None:
    real, shown = stores
    shop.publish(real, ["S1", "S2"])
    now = datetime.now(UTC)
    cache = PublicationCache(shown, lambda: now)
    cache.refresh()
    assert cache.current is not None
    shop.publish(real, ["S1", "S2"], run="second", seed=2)
    front.spoils = (CURRENT,)
    cache.refresh()
    assert (cache.current.version, cache.refused) == (1, "the newest publication cannot be read")
    shop.publish(real, ["S1"], run="third", seed=3)
    front.spoils = ("third/S1.totals",)
    cache.refresh()
    assert cache.current.version == 3
    assert {store: arrays.entry.run for store, arrays in cache.current.stores.items()} == {
        "S1": "run-1",
        "S2": "second",
    }
    front.spoils, front.refuses = (), 503
    assert isinstance(shown, AzureStore)
    shown.patience = 0.5
    cache.refresh()
    assert cache.unreachable is not None
    assert "status 503" in cache.unreachable
    with pytest.raises(BlobUnavailable, match="status 503"):
        Publisher(shown).publish({"S1": cache.current.manifest.stores["S1"]}, by="x")
    front.refuses = 0
    shown.patience = 5
    now += timedelta(minutes=1)
    cache.refresh()
    assert (cache.unreachable, cache.refused) == (None, None)
    assert {arrays.entry.run for arrays in cache.current.stores.values()} == {"second", "third"}
