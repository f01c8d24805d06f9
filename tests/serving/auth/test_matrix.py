"""Who may do what: every route, with every role, in and out of scope. A route without a row fails."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from foreact.blobs.folder import FolderStore
from serving.auth.local import LocalLogin
from tests.serving import shop
from tests.serving.conftest import Serving, ended
from tests.serving.refreshes.runs import runner

# The viewer sees S1; the planner the north, S1 and S2; the administrator all. Statuses are for nobody and for these.
Row = tuple[int, int, int, int]
ANYBODY: Row = (200, 200, 200, 200)
KNOWN: Row = (401, 200, 200, 200)
NORTH: Row = (401, 404, 200, 200)
SOUTH: Row = (401, 404, 404, 200)

BULK = {"queries": [{"store": "S3", "item": "item-0001"}]}
MATRIX: dict[tuple[str, str], list[tuple[str, Any, Row]]] = {
    ("GET", "/healthz"): [("/healthz", None, ANYBODY)],
    ("GET", "/startupz"): [("/startupz", None, ANYBODY)],
    ("GET", "/readyz"): [("/readyz", None, ANYBODY)],
    ("GET", "/metrics"): [("/metrics", None, ANYBODY)],
    ("GET", "/openapi.json"): [("/openapi.json", None, ANYBODY)],
    ("GET", "/docs"): [("/docs", None, ANYBODY)],
    ("GET", "/static/{version}/{name}"): [("/static/x/foreact.css", None, ANYBODY)],
    ("GET", "/login"): [("/login", None, ANYBODY)],
    ("POST", "/login"): [("/login", {"account": "demo", "password": "wrong"}, (401, 401, 401, 401))],
    ("GET", "/login/once"): [("/login/once?token=wrong", None, (401, 401, 401, 401))],
    ("GET", "/login/sso"): [("/login/sso", None, (404, 404, 404, 404))],
    ("GET", "/login/callback"): [("/login/callback", None, (404, 404, 404, 404))],
    ("POST", "/logout"): [("/logout", {}, (401, 303, 303, 303))],
    ("GET", "/v1/stores"): [("/v1/stores", None, KNOWN)],
    ("GET", "/v1/stores/{store}"): [
        ("/v1/stores/S1", None, KNOWN),
        ("/v1/stores/S2", None, NORTH),
        ("/v1/stores/S3", None, SOUTH),
    ],
    ("GET", "/v1/stores/{store}/items"): [("/v1/stores/S2/items", None, NORTH), ("/v1/stores/S3/items", None, SOUTH)],
    ("GET", "/v1/forecasts"): [
        ("/v1/forecasts", None, KNOWN),
        ("/v1/forecasts?store=S2", None, NORTH),
        ("/v1/forecasts?store=S1&store=S3", None, SOUTH),
        ("/v1/forecasts?store=S3&format=csv", None, SOUTH),
    ],
    ("POST", "/v1/forecasts/query"): [("/v1/forecasts/query", BULK, KNOWN)],
    ("GET", "/v1/totals"): [("/v1/totals?store=S2", None, NORTH), ("/v1/totals?store=S3", None, SOUTH)],
    ("GET", "/v1/history"): [("/v1/history?store=S3", None, SOUTH)],
    ("GET", "/v1/drivers"): [("/v1/drivers?store=S3", None, SOUTH)],
    ("GET", "/v1/scorecard"): [("/v1/scorecard?store=S3", None, SOUTH)],
    ("GET", "/v1/alerts"): [("/v1/alerts", None, KNOWN), ("/v1/alerts?store=S3", None, SOUTH)],
    ("POST", "/v1/stores/{store}/refreshes"): [
        ("/v1/stores/S1/refreshes", {}, (401, 403, 202, 202)),
        ("/v1/stores/S3/refreshes", {}, (401, 403, 404, 202)),
    ],
    ("GET", "/v1/refreshes"): [("/v1/refreshes", None, KNOWN)],
    ("GET", "/v1/refreshes/{refresh_id}"): [("/v1/refreshes/{south}", None, SOUTH)],
    ("GET", "/v1/refreshes/{refresh_id}/events"): [("/v1/refreshes/{south}/events", None, SOUTH)],
    ("GET", "/v1/publications"): [("/v1/publications", None, KNOWN)],
    ("GET", "/v1/publications/{version}"): [("/v1/publications/1", None, KNOWN)],
    ("POST", "/v1/publications/{version}/restore"): [
        ("/v1/publications/1/restore", {"reason": "a test"}, (401, 403, 403, 200))
    ],
    ("GET", "/v1/audit"): [("/v1/audit", None, (401, 403, 403, 200))],
    ("GET", "/"): [("/", None, KNOWN), ("/?store=S3", None, SOUTH)],
    ("GET", "/stores/{store}"): [("/stores/S2", None, NORTH), ("/stores/S3", None, SOUTH)],
    ("GET", "/stores/{store}/items.json"): [("/stores/S3/items.json", None, SOUTH)],
    ("GET", "/stores/{store}/items/{item}"): [("/stores/S3/items/item-0001", None, SOUTH)],
    ("GET", "/export.{kind}"): [("/export.csv", None, KNOWN), ("/export.xlsx?store=S3", None, SOUTH)],
    ("GET", "/stores/{store}/export.{kind}"): [("/stores/S3/export.csv", None, SOUTH)],
    ("GET", "/stores/{store}/items/{item}/export.{kind}"): [("/stores/S3/items/item-0001/export.csv", None, SOUTH)],
}
ROLES = (None, "viewer", "planner", "admin")


def routes(app: FastAPI) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()

    def walk(routes: Iterable[Any]) -> None:
        for route in routes:
            if hasattr(route, "effective_candidates"):
                walk(route.effective_candidates())
                walk(route.effective_low_priority_routes())
            else:
                found.update((method, route.path) for method in route.methods if method != "HEAD")

    walk(app.routes)
    return found


@pytest.fixture
def house(store: FolderStore, start: Callable[..., Serving], tmp_path: Path) -> Serving:
    shop.publish(store)
    shop.publish(store, run="run-2", seed=2)
    # Refreshes come to nothing, so that none publishes between two answers that are compared.
    return start(runner=runner(store, tmp_path, "refused"), local=LocalLogin("right"), login_attempts=1_000)


def test_every_route_has_a_row(house: Serving) -> None:
    assert routes(house.app) == set(MATRIX)


def test_every_row_holds(house: Serving) -> None:
    south = house.app.state.service.refreshes.request("S3", "test", "test")[0].id
    ended(house, f"/v1/refreshes/{south}")
    wrong = []
    for (method, route), cases in MATRIX.items():
        for asked, body, expected in cases:
            path = asked.replace("{south}", south)
            for role, status in zip(ROLES, expected, strict=True):
                headers = house.bearer(role) if role else {}
                sent: dict[str, Any] = {}
                if body is not None:
                    sent = {"data": body} if path.startswith("/log") else {"json": body}
                answer = house.client.request(method, path, headers=headers, **sent)
                if answer.status_code == 202:
                    ended(house, answer.headers["location"])
                if answer.status_code != status:
                    wrong.append(f"{method} {path} as {role}: {answer.status_code}, not {status} ({route})")
                if answer.status_code == 404 and not path.startswith("/login"):
                    assert "may not see" in answer.text
                if method == "GET" and not is_like(answer, house.client.head(path, headers=headers), route):
                    wrong.append(f"HEAD {path} as {role} is not like GET")
    assert wrong == []


def is_like(got: Any, looked: Any, route: str) -> bool:
    """Return whether HEAD answers as GET does; but a mere look must not use up what works once."""
    if route in {"/login/once", "/login/callback"}:
        return looked.status_code == 405 and not looked.content
    apart = {"x-request-id", "content-length"} if route in {"/metrics", "/v1/refreshes"} else {"x-request-id"}
    heads = [{name: value for name, value in one.headers.items() if name not in apart} for one in (got, looked)]
    return got.status_code == looked.status_code and heads[0] == heads[1] and not looked.content


def test_bulk_questions_out_of_scope_are_answered_as_if_nothing_were_there(house: Serving) -> None:
    for store in ("S3", "S9"):
        queries = {"queries": [{"store": store, "item": "item-0001"}]}
        result = house.post("/v1/forecasts/query", "planner", json=queries).json()["results"][0]
        assert result["error"]["code"] == "store_not_found"


def test_publications_name_only_the_callers_stores(house: Serving) -> None:
    listed = house.get("/v1/publications", "viewer").json()["publications"]
    assert {store for one in listed for store in one["stores"]} == {"S1"}


def test_who_published_and_why_is_for_administrators(house: Serving) -> None:
    for role, told in (("viewer", (None, None)), ("planner", (None, None)), ("admin", ("run run-1", "test"))):
        one = house.get("/v1/publications/1", role).json()
        assert (one["created_by"], one["reason"]) == told
        assert [(one["created_by"], one["reason"])] == [
            (other["created_by"], other["reason"])
            for other in house.get("/v1/publications", role).json()["publications"]
            if other["version"] == 1
        ]
