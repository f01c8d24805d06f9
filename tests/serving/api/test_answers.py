"""Answers asked for again, large ones, and what small ones wait for."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.api import answers
from serving.middleware.callers import MOST_UNDER_WAY
from serving.parts import ASIDE
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.waiting import until

QUESTIONS = [
    "/v1/forecasts?store=S1&item=item-0001",
    "/v1/forecasts?store=S1&item=none",
    "/v1/forecasts?store=S9&item=item-0001",
    "/v1/forecasts?item=item-0001&store=S1",
    "/v1/forecasts?store=S1&item=item-0001&start=2026-03-04",
    "/v1/forecasts?store=S1&item=item-0001&format=csv",
    "/v1/forecasts?store=S1&item=%",
    "/v1/forecasts?store&item",
    "/v1/totals?store=S1",
    "/v1/alerts",
    "/v1/stores",
]


def ask(serving: Serving, path: str, role: str, **headers: str) -> tuple:
    answer = serving.get(path, role, headers={"x-request-id": "a-test-of-it", **headers})
    compared = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}
    return answer.status_code, compared, answer.content


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_question_asked_again_is_answered_alike(serving: Serving, path: str, encoding: str) -> None:
    for role in ("viewer", "planner", "admin"):
        first, second, third = [ask(serving, path, role, **{"accept-encoding": encoding}) for _ in range(3)]
        assert first == second == third, role


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", ["/v1/totals", "/v1/totals?store=S1", "/v1/forecasts?store=S1&item=item-0001"])
def test_a_question_asked_again_reaches_no_route(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, path: str, encoding: str
) -> None:
    # Keys that are due would be loaded by a route.
    serving.get("/v1/stores")
    monkeypatch.setattr(serving.app.state.service.keys, "_until", float("inf"))
    before = ask(serving, path, "admin", **{"accept-encoding": encoding})
    with monkeypatch.context() as patched:
        patched.setattr(answers, "tag_of", None)
        assert ask(serving, path, "admin", **{"accept-encoding": encoding}) == before
    assert ask(serving, path, "admin", **{"accept-encoding": encoding, "if-none-match": before[1]["etag"]})[0] == 304


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_large_answer_leaves_in_pieces_that_make_the_whole(serving: Serving, encoding: str) -> None:
    shop.publish(serving.store, ["S1"], run="large", items=600, horizon=28)
    serving.refresh()
    path = "/v1/forecasts?store=S1&limit=100000"
    whole = serving.get(path, headers={"accept-encoding": encoding})
    assert len(whole.content) > 4 * answers.LARGE_BYTES
    assert len(whole.json()["rows"]) == 600 * 28
    assert whole.headers.get("content-encoding", "identity") == encoding
    items = {row["item"] for row in whole.json()["rows"]}
    one = serving.get("/v1/forecasts?store=S1&item=item-0007").json()["rows"]
    assert len(items) == 600
    assert [row for row in whole.json()["rows"] if row["item"] == "item-0007"] == one


def test_a_small_read_waits_for_no_large_one(serving: Serving) -> None:
    shop.publish(serving.store, ["S1"], run="large", items=600, horizon=28)
    serving.refresh()
    portal, service = serving.client.portal, serving.app.state.service
    assert portal is not None
    portal.call(service.turn.acquire)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(serving.get, "/v1/forecasts?store=S1")
        until(lambda: service.turn._waiters)
        assert serving.get("/v1/forecasts?store=S1&item=item-0001").status_code == 200
        assert serving.get("/v1/totals?store=S1").status_code == 200
        assert not large.done()
        portal.call(release, service.turn)
        assert len(large.result().json()["rows"]) > 9_000


async def release(turn: asyncio.Lock) -> None:
    turn.release()


def test_a_caller_has_so_many_pages_made_at_once(serving: Serving) -> None:
    portal, service = serving.client.portal, serving.app.state.service
    assert portal is not None
    holders = [object() for _ in range(ASIDE)]
    for holder in holders:
        portal.call(service.aside.acquire_on_behalf_of, holder)
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(serving.get, "/export.xlsx", "viewer") for _ in range(service.waiting.each)]
        until(lambda: service.aside.statistics().tasks_waiting == len(waiting))
        refused = serving.get("/export.csv", "viewer")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_at_once")
        assert int(refused.headers["retry-after"]) > 0
        # Others wait for their turn, and whoever asks for little waits for nothing.
        other = pool.submit(serving.get, "/export.csv", "planner")
        until(lambda: service.aside.statistics().tasks_waiting == len(waiting) + 1)
        assert serving.get("/v1/totals", "viewer").status_code == 200
        for holder in holders:
            portal.call(service.aside.release_on_behalf_of, holder)
        assert {one.result().status_code for one in (*waiting, other)} == {200}


def test_a_caller_has_so_much_under_way(serving: Serving) -> None:
    portal, service = serving.client.portal, serving.app.state.service
    assert portal is not None
    holders = [object() for _ in range(ASIDE)]
    for holder in holders:
        portal.call(service.aside.acquire_on_behalf_of, holder)
    service.waiting.each = 100
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(serving.get, "/v1/alerts", "viewer") for _ in range(MOST_UNDER_WAY)]
        until(lambda: service.aside.statistics().tasks_waiting == len(waiting))
        refused = serving.get("/v1/totals", "viewer")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_under_way")
        assert int(refused.headers["retry-after"]) > 0
        assert serving.get("/v1/totals", "planner").status_code == 200
        for holder in holders:
            portal.call(service.aside.release_on_behalf_of, holder)
        assert {one.result().status_code for one in waiting} == {200}
    assert serving.get("/v1/totals", "viewer").status_code == 200


def test_what_is_kept_ends_with_the_publication(serving: Serving) -> None:
    paths = ["/v1/totals?store=S1", "/v1/forecasts?store=S1&item=item-0001"]
    before = [serving.get(path).json() for path in paths for _ in range(2)]
    shop.publish(serving.store, run="run-2", seed=7)
    serving.refresh()
    after = [serving.get(path).json() for path in paths for _ in range(2)]
    assert {answer["publication"]["version"] for answer in before} == {1}
    assert {answer["publication"]["version"] for answer in after} == {2}
    assert all(old["rows"] != new["rows"] for old, new in zip(before, after, strict=True))


def test_what_one_caller_was_told_no_other_is(serving: Serving) -> None:
    assert len(serving.get("/v1/stores", "admin").json()["stores"]) == 3
    assert len(serving.get("/v1/stores", "viewer").json()["stores"]) == 1
    assert len(serving.get("/v1/stores", "admin").json()["stores"]) == 3
    assert serving.client.get("/v1/stores").status_code == 401
