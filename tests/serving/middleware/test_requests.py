"""What every request passes: hosts, sizes, headers, ids; and nothing that a caller sends escapes its place."""

import logging
from http import cookies

import pytest
from fastapi.testclient import TestClient
from starlette import datastructures, requests

from foreact.blobs.folder import FolderStore
from serving.api import parameters
from serving.metrics.service import METRICS
from serving.middleware.requests import RequestMiddleware
from tests.serving import shop
from tests.serving.conftest import Serving

EVIL = [
    '"><script>alert(1)</script>',
    "../../etc/passwd",
    "a\r\nb",
    "{{7*7}}",
    "'; DROP TABLE x",
    "Ω/ü?#%",
    "..",
    "=1+1",
]


def test_security_headers_are_on_everything(serving: Serving) -> None:
    for path in ("/healthz", "/v1/stores", "/nothing", "/login"):
        headers = serving.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-request-id"]


def test_another_hosts_name_is_refused(serving: Serving) -> None:
    answer = serving.get("/v1/stores", headers={"host": "evil.example"})
    assert answer.json()["error"]["code"] == "wrong_host"
    assert serving.client.get("/metrics", headers={"host": "evil.example"}).status_code == 400
    for path in ("/healthz", "/startupz", "/readyz"):
        assert serving.client.get(path, headers={"host": "10.0.0.9:8000"}).status_code == 200


def test_metrics_are_told_to_whoever_asks_the_process_itself(start) -> None:
    serving = start(public_url="https://forecasts.example")
    for host, status in (("forecasts.example", 200), ("127.0.0.1:8000", 200), ("10.0.0.9", 400), ("[", 400)):
        assert serving.client.get("/metrics", headers={"host": host}).status_code == status
    assert serving.client.get("/login", headers={"host": "127.0.0.1:8000"}).status_code == 400


def test_log_lines_name_the_caller(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        serving.get("/v1/stores/none", "viewer")
        serving.client.get("/v1/stores/none")
    told = [record.caller for record in caplog.records if record.message == "request"]
    assert told[0].startswith("key:")
    assert told[1] is None


def test_nobody_has_parameters_looked_at_before_they_are_known(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datastructures, "parse_qsl", None)
    for query in ("end&" * 1_000, "&".join(f"name-{number}" for number in range(1_000))):
        assert serving.client.get(f"/v1/forecasts?{query}").status_code == 401


@pytest.mark.parametrize("path", ["/v1/forecasts", "/", "/login", "/healthz", "/nothing"])
def test_more_parameters_than_any_route_has_use_for_are_refused_unread(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(datastructures, "parse_qsl", None)
    for query in ("end&" * 16_000, "&".join(f"n{number}" for number in range(9_000))):
        assert serving.get(f"{path}?{query}").json()["error"]["code"] == "too_many_parameters"


@pytest.mark.parametrize("path", ["/v1/stores", "/", "/login", "/healthz"])
def test_cookies_that_are_not_ours_are_not_read(serving: Serving, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    unquoted = []
    monkeypatch.setattr(cookies, "_unquote", unquoted.append)
    for sent in ('a="' + "\\" * 60_000 + '"', 'foreact_session="' + "\\" * 60_000 + '"', "a;" * 30_000):
        assert serving.client.get(path, headers={"cookie": sent}).status_code in {200, 401}
    serving.client.get(path, headers={"cookie": "a=b;foreact_session=ours; foreact_login=too; xforeact_session=no"})
    assert set(unquoted) == {"ours", "too"}


def test_a_type_with_many_parameters_is_refused_unread(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "parse_options_header", None)
    headers = {"content-type": "application/x-www-form-urlencoded" + ";" * 60_000}
    assert serving.client.post("/login", content=b"account=a", headers=headers).status_code == 415


def test_of_many_unknown_parameters_few_are_named(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    suggested = []
    monkeypatch.setattr(parameters, "suggest_name", lambda name, known: suggested.append(name))
    answer = serving.get("/v1/forecasts?" + "&".join(f"name-{number}&end" for number in range(500)))
    told = [detail["where"] for detail in answer.json()["error"]["details"]]
    assert told == ["query.name-0", "query.end", "query.name-1", "query.name-2", "query.name-3"]
    assert len(suggested) == 4


def test_a_body_of_nobody_is_not_read(serving: Serving) -> None:
    answer = serving.client.post("/v1/forecasts/query", content=b"[" * 100_000)
    assert answer.status_code == 401
    for content in (b"x" * 40_000, b"&" * 100):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert serving.client.post("/login", content=content, headers=headers).status_code == 413


@pytest.mark.parametrize("name", ["authorization", "host", "cookie"])
def test_what_may_be_said_once_is_not_said_twice(serving: Serving, name: str) -> None:
    headers = {**serving.bearer("admin"), "host": "127.0.0.1", "cookie": "a=b"}
    for path in ("/v1/stores", "/", "/metrics", "/login"):
        answer = serving.client.get(path, headers=[*headers.items(), (name, headers[name])])
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "repeated_header")


def test_what_may_be_said_in_parts_is_read_as_one(serving: Serving) -> None:
    for parts in (["application/json;q=0.5", "text/csv"], ["text/csv", "application/json;q=0.5"]):
        headers = [*serving.bearer("admin").items(), *(("accept", part) for part in parts)]
        answer = serving.client.get("/v1/totals", headers=headers)
        assert answer.headers["content-type"].startswith("text/csv")


def test_large_bodies_are_refused_declared_or_not(serving: Serving) -> None:
    big = b"x" * (serving.settings.max_body_bytes + 1)
    assert serving.post("/v1/forecasts/query", content=big).status_code == 413

    def chunks():
        for _ in range(20):
            yield b"x" * 100_000

    answer = serving.post("/v1/forecasts/query", content=chunks())
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_is_no_json_is_told_so(serving: Serving, kind: str) -> None:
    answer = serving.post("/v1/forecasts/query", content=b'{"queries": []}', headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    broken = serving.post("/v1/forecasts/query", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["error"]["code"]) == (422, "invalid_parameter")


def test_what_the_framework_refuses_is_told_in_a_sentence(serving: Serving) -> None:
    for method, path, status, told in (
        ("GET", "/v1/nothing", 404, "nothing exists at this address"),
        ("DELETE", "/v1/stores", 405, "this address does not support this method"),
    ):
        answer = serving.client.request(method, path, headers=serving.bearer("viewer"))
        assert (answer.status_code, answer.json()["error"]["message"]) == (status, told)


def test_a_person_with_a_bad_address_sees_a_page(serving: Serving) -> None:
    for path in ("/?q=" + "x" * 101, "/export.pdf", "/stores/" + "x" * 501, "/stores/S1/export.csv?order=up"):
        page = serving.get(path, headers={"accept": "text/html"})
        assert page.status_code == 422
        assert page.headers["content-type"].startswith("text/html")
        assert "<h1>This address does not work</h1>" in page.text
    assert (
        "These parts are not valid: q, page."
        in serving.get(f"/?q={'x' * 101}&page=no", headers={"accept": "text/html"}).text
    )
    message = serving.get("/v1/forecasts?start=tomorrow").json()["error"]["message"]
    assert message == "query.start: write a day as 2026-12-24"


HTML = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def broken(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """A service that cannot tell the time, which no part of it expects."""
    monkeypatch.setattr(serving.clock, "now", None)
    return serving


def test_who_meets_a_failure_is_told_its_code_and_nothing_of_its_cause(
    broken: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        page = broken.get("/stores/S1", headers=HTML)
    assert page.status_code == 500
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "<h1>Something went wrong here</h1>" in page.text
    assert f'<code class="id">{page.headers["x-request-id"]}</code>' in page.text
    assert '<a href="/">To the overview</a>' in page.text
    [failed] = [record for record in caplog.records if record.name == "foreact.http" and record.exc_info]
    assert failed.request_id == page.headers["x-request-id"]
    cause = failed.exc_info[1]
    assert str(cause) not in page.text
    assert not any(word in page.text for word in ("Traceback", "NoneType", type(cause).__name__, ".py"))
    assert any(record.message == "request" and record.status == 500 for record in caplog.records)


@pytest.mark.parametrize(("path", "accept"), [("/v1/stores", "text/html"), ("/", "application/json"), ("/", "*/*")])
def test_programs_are_told_of_a_failure_in_the_one_shape(broken: Serving, path: str, accept: str) -> None:
    answer = broken.get(path, headers={"accept": accept})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["code"], error["request_id"]) == ("internal", answer.headers["x-request-id"])
    assert "NoneType" not in answer.text


def test_of_a_failure_head_has_the_head(broken: Serving) -> None:
    page = broken.get("/", headers={**HTML, "x-request-id": "told-by-the-caller"})
    head = broken.client.head("/", headers={**HTML, **broken.bearer("admin"), "x-request-id": "told-by-the-caller"})
    assert (head.status_code, head.content, head.headers) == (500, b"", page.headers)


def test_a_failure_is_told_even_if_pages_are_what_failed(serving: Serving) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    def fail_at_once(_: str) -> None:
        raise ZeroDivisionError

    metrics = serving.app.state.service.metrics
    front = RequestMiddleware(
        fail, metrics=metrics, hosts=frozenset({"a"}), max_body_bytes=1, https=False, failure_page=fail_at_once
    )
    answer = TestClient(front, base_url="http://a").get("/", headers=HTML)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_page_of_a_problem_has_its_headers_too(serving: Serving) -> None:
    for accept in ("text/html", "application/json"):
        answer = serving.client.put("/login", headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (405, accept)
        assert {"GET", "POST"} & set(answer.headers["allow"].split(", "))


def test_a_request_id_is_taken_over_if_it_is_one(serving: Serving) -> None:
    assert (
        serving.client.get("/healthz", headers={"x-request-id": "abc-123456"}).headers["x-request-id"] == "abc-123456"
    )
    for bad in ("short", "x" * 100, "has space", 'a"b{}12345'):
        assert serving.client.get("/healthz", headers={"x-request-id": bad}).headers["x-request-id"] != bad


@pytest.mark.parametrize("evil", EVIL)
def test_ids_stay_in_their_place(evil: str, store: FolderStore, start) -> None:
    tables = shop.make_tables(evil)
    items = tables["forecasts"]["item"].to_pylist()
    renamed = [evil if item == "item-0001" else item for item in items]
    tables["forecasts"] = tables["forecasts"].set_column(1, "item", [renamed])
    shop.publish(store, [evil], tables={evil: tables}, regions={evil: evil})
    serving = start()
    listed = serving.get("/v1/stores").json()["stores"][0]
    assert listed["store"] == listed["region"] == evil
    rows = serving.get("/v1/forecasts", params={"store": evil, "item": evil}).json()["rows"]
    assert {(row["store"], row["item"]) for row in rows} == {(evil, evil)}
    assert serving.get(f"/v1/stores/{listed['name']}").json()["store"]["store"] == evil
    for path in ("/", f"/stores/{listed['name']}"):
        page = serving.get(path, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "<script>alert" not in page.text
    export = serving.get(f"/stores/{listed['name']}/export.csv")
    assert "\n" not in export.headers["content-disposition"]
    assert "\n=1+1" not in export.text
    missing = serving.get("/v1/forecasts", params={"store": evil + "x"})
    assert missing.status_code == 404


def test_metrics_are_those_documented_and_bounded(serving: Serving) -> None:
    for item in range(6):
        serving.get(f"/v1/forecasts?store=S1&item=item-000{item}")
        serving.client.get(f"/no-such-path-{item}")
    text = serving.client.get("/metrics").text
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    families = {name for name in families if not name.endswith("_created")}
    assert families <= set(METRICS)
    assert 'foreact_http_requests_total{method="GET",route="/v1/forecasts",status="200"} 6.0' in text
    assert 'route="none"' in text
    assert "no-such-path" not in text
    assert 'foreact_store_stale{store="S1"} 0.0' in text
    assert 'foreact_publication_age_seconds{store="S1"} 14400.0' in text


def test_metrics_can_ask_for_a_token(start) -> None:
    serving = start(metrics_token="secret-token")
    assert serving.client.get("/metrics").status_code == 401
    assert serving.client.get("/metrics", headers={"authorization": "Bearer secret-token"}).status_code == 200


def test_each_request_has_an_id_of_its_own(serving: Serving) -> None:
    ids = [serving.get("/v1/totals").headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
