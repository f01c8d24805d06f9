"""The short way answers as the routes do."""

import pytest

from serving.middleware.express import Express
from tests.serving import shop
from tests.serving.conftest import Serving

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
    kept = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}
    return answer.status_code, kept, answer.content


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_both_ways_answer_alike(serving: Serving, monkeypatch: pytest.MonkeyPatch, path: str, encoding: str) -> None:
    asked = {"accept-encoding": encoding}
    short = {role: [ask(serving, path, role, **asked) for _ in range(3)] for role in ("viewer", "planner", "admin")}
    for role, (first, second, third) in short.items():
        assert first == second == third, role
    monkeypatch.setattr(Express, "_caller", lambda self, headers: None)
    for role, (first, _, _) in short.items():
        assert ask(serving, path, role, **asked) == first


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_was_asked_before_does_not_go_the_long_way(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    # Whoever looks for keys goes the long way.
    serving.get("/v1/stores")
    monkeypatch.setattr(serving.app.state.service.keys, "_until", float("inf"))
    paths = ["/v1/totals", "/v1/totals?store=S1", "/v1/forecasts?store=S1&item=item-0001"]
    before = [ask(serving, path, "admin", **{"accept-encoding": encoding}) for path in paths]
    monkeypatch.setattr(Express, "_watched", None)
    assert [ask(serving, path, "admin", **{"accept-encoding": encoding}) for path in paths] == before


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


def test_each_request_has_an_id_of_its_own(serving: Serving) -> None:
    ids = [serving.get("/v1/totals").headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
