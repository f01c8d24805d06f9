"""The publication in memory: swapped whole, refused when bad, kept when the store is away."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from foreact.blobs import Blob, BlobUnavailable
from foreact.blobs.folder import FolderStore
from serving.cache import Library
from tests.serving import shop
from tests.serving.conftest import Serving


def test_nothing_published_is_told(start: Callable[..., Serving]) -> None:
    serving = start()
    answer = serving.get("/v1/stores")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_publication")
    # Ready to say so: else the first rollout of all could never end.
    ready = serving.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "empty")
    assert serving.client.get("/healthz").json()["status"] == "ok"
    assert serving.client.get("/startupz").status_code == 200


def test_only_changed_stores_are_loaded(store: FolderStore) -> None:
    shop.publish(store)
    library = Library(store)
    assert library.refresh()
    before = library.current
    assert not library.refresh()
    shop.publish(store, ["S2"], run="run-2", seed=2)
    assert library.refresh()
    assert before is not None
    assert library.current is not None
    assert library.current.version == 2
    assert library.current.stores["S1"] is before.stores["S1"]
    assert library.current.stores["S2"] is not before.stores["S2"]
    assert before.version == 1


def spoil(what: str) -> dict[Any, pa.Table]:
    tables = shop.make_tables("S1")
    rows = tables["forecasts"]
    if what == "negative":
        rows = rows.set_column(3, "mean", pc.negate(rows["mean"]))
    elif what == "crossed":
        rows = rows.set_column(4, "p10", pc.add(rows["p90"], 1.0))
    elif what == "gap":
        rows = rows.filter(pc.not_equal(rows["date"], pa.scalar(shop.AS_OF.replace(day=4), pa.date32())))
    elif what == "twice":
        rows = pa.concat_tables([rows, rows.slice(0, 1)])
    elif what == "column":
        rows = rows.drop_columns(["p50"])
    elif what == "others":
        rows = rows.set_column(0, "store", pa.array(["S2"] * rows.num_rows))
    elif what == "lacking":
        rows = rows.slice(1)
    elif what == "text":
        rows = rows.set_column(3, "mean", pa.array(["many"] * rows.num_rows))
    tables["forecasts"] = rows
    return tables


@pytest.mark.parametrize("what", ["negative", "crossed", "gap", "twice", "column", "others", "lacking", "text"])
def test_a_bad_publication_is_refused_and_the_last_good_one_serves(
    serving: Serving, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    good = serving.get("/v1/totals").json()["rows"]
    shop.publish(serving.store, ["S1"], run="run-2", seed=2, tables={"S1": spoil(what)})
    serving.refresh()
    answer = serving.get("/v1/totals").json()
    assert answer["publication"]["version"] == 1
    assert answer["rows"] == good
    assert "forecasts/data/run-2/S1" in caplog.text
    # Everybody is told that it is so, nobody of a store that may not be theirs.
    assert answer["publication"]["refused"] == "publication 2 is damaged"
    ready = serving.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "S1" not in ready.text
    assert "A newer forecast is not shown:</strong> publication 2 is damaged." in serving.get("/").text
    assert "foreact_publication_refused 1.0" in serving.client.get("/metrics").text
    shop.publish(serving.store, ["S1"], run="run-3", seed=3)
    serving.refresh()
    assert serving.get("/v1/totals").json()["publication"] | {"created_at": ""} == {
        "version": 3,
        "created_at": "",
        "action": "publish",
        "timezone": "UTC",
        "refused": None,
    }


def test_a_process_that_starts_on_a_bad_publication_serves_the_one_before(store: FolderStore) -> None:
    shop.publish(store)
    shop.publish(store, ["S1"], run="run-2", tables={"S1": spoil("gap")})
    library = Library(store)
    library.refresh()
    assert library.current is not None
    assert library.current.version == 1
    assert library.refused


class Leaving(FolderStore):
    """A store that can be out of reach."""

    away = False

    def read(self, name: str) -> Blob:
        if self.away:
            raise BlobUnavailable("the store does not answer")
        return super().read(name)

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        if self.away:
            raise BlobUnavailable("the store does not answer")
        return super().read_if_changed(name, etag)


def test_what_is_loaded_outlives_the_store(store: FolderStore) -> None:
    shop.publish(store)
    leaving = Leaving(store.root)
    library = Library(leaving)
    library.refresh()
    leaving.away = True
    assert not library.refresh()
    assert library.unreachable == "the store does not answer"
    assert library.current is not None
    leaving.away = False
    library.refresh()
    assert library.unreachable is None


def test_a_change_is_seen_whole_by_whoever_is_reading(store: FolderStore) -> None:
    """An answer begun on one version ends on it."""
    shop.publish(store)
    library = Library(store)
    library.refresh()
    held = library.current
    assert held is not None
    rows = held.stores["S1"].records(0, 0, 14)
    shop.publish(store, run="run-2", seed=9)
    library.refresh()
    assert library.current is not held
    assert held.stores["S1"].records(0, 0, 14) == rows
    assert replace(held).version == 1
