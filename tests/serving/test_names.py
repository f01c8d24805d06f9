"""A caller of one store learns no other store's name, from any answer of any route."""

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from foreact.blobs import Blob, BlobUnavailable
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from foreact.naming import encode_id
from foreact.publications import Reader
from serving.auth import keys
from serving.auth.principal import Grant
from serving.publication import PublicationCache
from serving.refreshes.records import Refresh, RefreshRecords, new_id
from serving.refreshes.wording import conceal_names
from tests.serving import shop
from tests.serving.auth.test_matrix import MATRIX, routes
from tests.serving.conftest import Clock, Serving
from tests.serving.refreshes.runs import runner

OWN = "Kiel"
# Published, published with what the address has to quote, damaged, and known to the retailer's files alone.
OTHERS = ("Zwickau", "Xanten & O'Neil", "Quedlinburg", "Yssel")
TOLD = (
    f"The history's stores 'Zwickau' and {OTHERS[1]!r} have 'units' below 0 in 'Yssel.csv', as 'Quedlinburg' and "
    f"3 more have; 'Kiel' has not: forecasts/data/run/{encode_id('Zwickau')}.parquet is damaged, and 'Quedl"
)


def spellings(name: str) -> Iterator[str]:
    """Return how a name may stand in an answer."""
    yield from (name, encode_id(name), quote(name), repr(name), name.replace("&", "&amp;").replace("'", "&#39;"))


def texts_of(answer: Any) -> str:
    """Return all text of an answer: its headers, its body, and what a workbook has inside."""
    body = answer.content
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as book:
            body = b"\n".join(book.read(name) for name in book.namelist())
    return f"{dict(answer.headers)}\n{body.decode('utf-8', 'replace')}".casefold()


def names_in(answer: Any) -> list[str]:
    text = texts_of(answer)
    return [name for name in OTHERS if any(spelling.casefold() in text for spelling in spellings(name))]


@pytest.fixture
def house(store: FolderStore, start: Callable[..., Serving], tmp_path: Path) -> Serving:
    """A service whose publications, refreshes and failures are full of other stores' names."""
    regions = dict.fromkeys((OWN, *OTHERS), "North")
    shop.publish(store, [OWN, *OTHERS[:3]], regions=regions)
    shop.publish(store, [OTHERS[0]], run="run-2", seed=2, regions=regions)
    entry = Reader(store).read_current().manifest.stores["Quedlinburg"]
    store.write(entry.objects["totals"].name, b"torn")
    records = RefreshRecords(store)
    for name, minutes in ((OWN, 1), (OTHERS[0], 2), (OWN, 3)):
        at = shop.NOW - timedelta(minutes=minutes)
        records.finish_refresh(
            Refresh(
                id=new_id(at),
                store=name,
                state="failed",
                requested_at=at,
                requested_by="x",
                started_at=at,
                ended_at=shop.NOW,
                failed_step="ingest",
                sentence=TOLD,
            )
        )
    return start(runner=runner(store, tmp_path, "refused"), metrics_token="of the scraper" * 3)


@pytest.fixture
def planner(house: Serving) -> dict[str, str]:
    grant = Grant(role="planner", stores=[OWN])
    return {"authorization": f"Bearer {keys.create_key(house.store, 'planner', grant, created_by='x')[0]}"}


def addresses(route: str, refreshes: list[str]) -> Iterator[str]:
    """Return what a planner may ask of a route, and what is refused: of their own store, and of none."""
    for refresh in refreshes if "refresh_id" in route else [""]:
        for store in (OWN, "Nowhere") if "{store}" in route else (OWN,):
            values = {"store": store, "item": "item-0001", "version": "1", "name": "app.js", "kind": "csv"}
            path = route.format(**values, refresh_id=refresh)
            yield path
            yield f"{path}?store=Nowhere"
            yield f"{path}?unheard=of&q=z&limit=0&quantiles=p3&sort=x&start=never"
            yield path.replace(".csv", ".xlsx")


def test_no_route_names_another_store(house: Serving, planner: dict[str, str]) -> None:
    refreshes = [*house.app.state.service.refreshes.records.ended_ids(), "20260302-080000-0123456789ab"]
    every = routes(house.app)
    assert every == set(MATRIX)
    leaks, asked = [], 0
    for method, route in sorted(every - {("POST", "/login"), ("POST", "/logout")}):
        for address in addresses(route, refreshes):
            for accept in ("application/json", "text/html", "text/csv"):
                body = {"queries": [{"store": "Nowhere", "item": "item-0001"}]} if method == "POST" else None
                answer = house.client.request(method, address, headers={**planner, "accept": accept}, json=body)
                asked += answer.status_code < 400
                leaks += [f"{method} {address} as {accept}: {name}" for name in names_in(answer)]
    assert leaks == []
    assert asked > 50
    # The search finds what is there, and an administrator is told all of it.
    assert set(names_in(house.get("/v1/stores"))) >= {OTHERS[0], OTHERS[1]}
    assert set(names_in(house.get("/v1/refreshes"))) == set(OTHERS)


def test_a_failure_is_told_without_others_names(house: Serving, planner: dict[str, str]) -> None:
    [first, second] = house.client.get("/v1/refreshes", headers=planner).json()["refreshes"]
    assert first["sentence"] == second["sentence"]
    assert first["sentence"] == (
        "The history's stores … and … have 'units' below 0 in …, as … and 3 more have; "
        "'Kiel' has not: … is damaged, and …"
    )
    page = house.client.get(f"/stores/{OWN}", headers={**planner, "accept": "text/html"}).text
    assert "s stores … and … have" in page


def test_words_are_kept_and_names_are_not() -> None:
    sentence = "the column 'units' has 312 negative rows; the store's report lists them"
    assert conceal_names(sentence, lambda name: False) == sentence
    assert conceal_names("store \"O'Neil\" and 'it''s'", lambda name: False).count("O'Neil") == 0


def test_a_store_that_is_not_ones_own_is_as_if_it_did_not_exist(house: Serving, planner: dict[str, str]) -> None:
    for name in OTHERS[:3]:
        for route in ("/v1/stores/{}", "/v1/stores/{}/items", "/stores/{}"):
            segment = encode_id(name)
            answer = house.client.get(route.format(segment), headers=planner)
            other = house.client.get(route.format("Nowhere"), headers=planner)
            assert answer.status_code == other.status_code == 404
            message, like = answer.json()["error"]["message"], other.json()["error"]["message"]
            assert message.replace(repr(segment), "?") == like.replace("'Nowhere'", "?")
        asked = house.client.post(f"/v1/stores/{encode_id(name)}/refreshes", headers=planner)
        assert repr(encode_id(name)) in asked.json()["error"]["message"]


class Unreachable(FolderStore):
    """A folder that does not answer for objects of publications from some moment on."""

    is_away = False

    def read(self, name: str) -> Blob:
        if self.is_away and name.startswith("forecasts/data/"):
            raise BlobUnavailable(f"Cannot read {name} in {self}: no answer within 3 s.")
        return super().read(name)


def test_an_outage_names_no_store(tmp_path: Path) -> None:
    store = Unreachable(tmp_path)
    shop.publish(store, [OTHERS[0]])
    cache = PublicationCache(store, Clock(shop.NOW))
    store.is_away = True
    cache.refresh()
    assert cache.unreachable == f"Cannot read an object of the publication in {store}: no answer within 3 s."


def test_an_administrator_of_some_stores_is_refused(store: FolderStore) -> None:
    for grant in (
        Grant(role="admin", stores=[OWN]),
        Grant(role="admin", regions=["North"]),
        Grant(role="admin", stores=[]),
    ):
        with pytest.raises(ForeactError, match="sees and changes all stores: leave the stores and regions out"):
            keys.create_key(store, "x", grant, created_by="x")
    assert keys.list_keys(store) == []
