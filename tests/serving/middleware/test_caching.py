"""What is cached depends on nothing that is not in its key: a service without the cache answers the same."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreact.blobs.folder import FolderStore
from serving.middleware.caching import AnswerCache
from tests.serving import shop
from tests.serving.conftest import URL, Serving

PATHS = [
    "/v1/stores",
    "/v1/stores/S1",
    "/v1/stores/S3/items?limit=2",
    "/v1/forecasts?store=S1&item=item-0001",
    "/v1/forecasts?item=item-0001&store=S1",
    "/v1/forecasts?limit=30",
    "/v1/totals",
    "/v1/totals?store=S2",
    "/v1/history?store=S3",
    "/v1/alerts",
    "/v1/drivers?format=csv",
]
TAGS = ['"x"', "*", "W/*"]
ACCEPTED = [
    "text/csv",
    "application/json",
    "*/*",
    "text/csv;q=0.3",
    "application/json;q=0.3",
    "text/html",
    "",
    ";",
    ",",
]
ENCODINGS = ["gzip", "identity", "gzip;q=0", "gzip;q=0.5, br", "br", "*", "GZIP", ""]
CALLERS = ["viewer", "planner", "admin", "nobody", "basic"]


@pytest.fixture
def plain(serving: Serving, start: Callable[..., Serving], store: FolderStore) -> Serving:
    """A second service over the same publication, without the cache."""
    other = start()
    other.client.__exit__(None, None, None)
    app = other.app
    app.user_middleware = [layer for layer in app.user_middleware if layer.cls is not AnswerCache]
    app.middleware_stack = None
    other.client = TestClient(app, base_url=URL, follow_redirects=False)
    return other


def make_headers(serving: Serving) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Return lists of headers, in any order, with any of them repeated; most callers say once who they are."""
    bearers = {role: f"Bearer {token}" for role, token in serving.tokens.items()} | {
        "nobody": "Bearer fa_x",
        "basic": "Basic x",
    }
    caller = st.sampled_from(CALLERS).map(lambda name: ("authorization", bearers[name]))
    other = st.one_of(
        st.sampled_from(ACCEPTED).map(lambda value: ("accept", value)),
        st.sampled_from(ENCODINGS).map(lambda value: ("accept-encoding", value)),
        st.sampled_from(TAGS).map(lambda value: ("if-none-match", value)),
        st.sampled_from(["127.0.0.1", "evil.example"]).map(lambda value: ("host", value)),
        st.sampled_from(["foreact_session=x", "a=b"]).map(lambda value: ("cookie", value)),
        st.sampled_from(["close", "keep-alive"]).map(lambda value: ("connection", value)),
    )
    callers = st.lists(caller, min_size=1, max_size=1) | st.lists(caller, max_size=2)
    return st.tuples(callers, st.lists(other, max_size=4)).map(sum_up).flatmap(st.permutations)


def sum_up(parts: tuple[list[Any], ...]) -> list[Any]:
    return [one for part in parts for one in part]


def ask(serving: Serving, path: str, headers: list[tuple[str, str]], method: str) -> tuple[Any, ...]:
    # A client of its own would add its own.
    serving.client.headers.clear()
    answer = serving.client.request(method, path, headers=[*headers, ("x-request-id", "a-test-of-it")])
    return answer.status_code, sorted(answer.headers.multi_items()), answer.content


def test_nothing_cached_depends_on_what_is_not_in_its_key(serving: Serving, plain: Serving) -> None:
    with plain.client:
        question = st.tuples(st.sampled_from(PATHS), make_headers(serving), st.sampled_from(["GET", "GET", "HEAD"]))

        @settings(max_examples=60, suppress_health_check=list(HealthCheck))
        @given(st.lists(question, min_size=1, max_size=12))
        def look(questions: list[tuple[str, list[tuple[str, str]], str]]) -> None:
            for asked in questions:
                # Asked again, it comes from the cache.
                first, again = ask(serving, *asked), ask(serving, *asked)
                assert first == again == ask(plain, *asked), asked

        look()


def test_two_callers_in_one_request_are_nobody(serving: Serving) -> None:
    assert len(serving.get("/v1/stores", "admin").json()["stores"]) == 3
    for roles in (("admin", "viewer"), ("viewer", "admin")):
        headers = [("authorization", serving.bearer(role)["authorization"]) for role in roles]
        assert serving.client.get("/v1/stores", headers=headers).status_code == 400
    assert len(serving.get("/v1/stores", "viewer").json()["stores"]) == 1


def test_the_cache_is_emptied_by_a_publication(serving: Serving) -> None:
    before = serving.get("/v1/totals").json()["publication"]["version"]
    shop.publish(serving.store, run="run-2", seed=7)
    serving.refresh()
    assert serving.get("/v1/totals").json()["publication"]["version"] == before + 1
