"""A write that was done although its answer never came is neither repeated nor taken for a stranger's."""

import pytest

from foreact.blobs import BlobConflict, connect
from foreact.publications import CURRENT, Publisher, Reader
from foreact.settings import PlaceSettings
from tests.foreact.blobs.lossy import LossyProxy
from tests.foreact.publications.stores import put

pytestmark = pytest.mark.azurite


@pytest.fixture
def settings(azurite):
    return azurite.settings()


def through(proxy, settings, azurite):
    port, other = f":{azurite.process.port}/", f":{proxy.port}/"
    return connect(PlaceSettings(**{name: text.replace(port, other) for name, text in settings.items()}))


def test_a_publication_whose_answer_is_lost_is_published_once(azurite, settings):
    direct = connect(PlaceSettings(**settings))
    Publisher(direct).publish({"1": put(direct, "1", "r1", 1)}, by="x")
    Publisher(direct).publish({"1": put(direct, "1", "r2", 2)}, by="x")
    with LossyProxy(azurite.process.port, b"if-match") as proxy:
        store = through(proxy, settings, azurite)
        assert Publisher(store).publish({"1": put(store, "1", "r3", 3)}, by="x").manifest.version == 3
        proxy.losses = 2
        assert Publisher(store).restore(1, by="ada", reason="test").version == 4
        assert proxy.lost == 2
    assert Reader(direct).list_versions() == [1, 2, 3, 4]
    assert Reader(direct).read_current().manifest.stores["1"].run == "r1"


def test_a_stranger_s_write_is_still_a_conflict(azurite, settings):
    direct = connect(PlaceSettings(**settings))
    etag = direct.write(CURRENT, b"one")
    direct.write(CURRENT, b"two")
    with LossyProxy(azurite.process.port, b"if-match") as proxy:
        with pytest.raises(BlobConflict):
            through(proxy, settings, azurite).write(CURRENT, b"three", if_match=etag)
        assert proxy.lost == 1
    assert direct.read(CURRENT).data == b"two"
