"""Logins in a browser, and what keeps others from using them."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from foreact.blobs import Blob, BlobUnavailable
from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from serving.auth import keys
from serving.auth.limits import RateLimit
from serving.auth.local import LocalLogin
from serving.auth.principal import Grant
from serving.auth.sessions import Signer
from serving.dashboard.login import safe_target
from serving.settings import ServingSettings
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.refreshes.runs import runner
from tests.waiting import until

PAGE = {"accept": "text/html"}


@pytest.fixture
def house(store: FolderStore, start: Callable[..., Serving], tmp_path: Any) -> Serving:
    shop.publish(store)
    return start(runner=runner(store, tmp_path), local=LocalLogin("right"))


def log_in(house: Serving) -> str:
    answer = house.client.post("/login", data={"account": "demo", "password": "right", "target": "/stores/S1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/stores/S1")
    page = house.client.get("/", headers=PAGE).text
    found = re.search(r'name="csrf" content="([^"]+)"', page)
    assert found
    return found[1]


def test_a_page_sends_strangers_to_the_login_and_back(house: Serving) -> None:
    answer = house.client.get("/stores/S1?x=1", headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?target=/stores/S1%3Fx%3D1")


def test_a_login_leads_back_however_much_was_chosen(house: Serving) -> None:
    chosen = "&".join(f"store=S{number:03d}" for number in range(300))
    answer = house.client.get(f"/?{chosen}", headers=PAGE)
    assert answer.headers["location"] == "/login?target=/"
    assert house.client.get(answer.headers["location"]).status_code == 200


def test_the_cookie_is_for_this_browser_and_site_only(house: Serving) -> None:
    answer = house.client.post("/login", data={"account": "demo", "password": "right"})
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=lax", "path=/", "max-age=36000"):
        assert part in cookie


def test_over_https_the_cookie_is_secure(store: FolderStore, start: Callable[..., Serving]) -> None:
    shop.publish(store)
    house = start(local=LocalLogin("right"), public_url="https://forecasts.example", session_secret="s" * 40)
    answer = house.client.post(
        "/login", data={"account": "demo", "password": "right"}, headers={"host": "forecasts.example"}
    )
    assert answer.headers["set-cookie"].startswith("__Host-foreact_session=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "max-age" in answer.headers["strict-transport-security"]


def test_a_change_needs_the_pages_token(house: Serving) -> None:
    csrf = log_in(house)
    path = "/v1/stores/S1/refreshes"
    assert house.client.post(path).json()["error"]["code"] == "csrf"
    assert house.client.post(path, headers={"x-csrf-token": "guess"}).json()["error"]["code"] == "csrf"
    foreign = {"x-csrf-token": csrf, "origin": "https://evil.example"}
    assert house.client.post(path, headers=foreign).json()["error"]["code"] == "cross_site"
    foreign = {"x-csrf-token": csrf, "sec-fetch-site": "cross-site"}
    assert house.client.post(path, headers=foreign).json()["error"]["code"] == "cross_site"
    assert house.client.post(path, headers={"x-csrf-token": csrf}).status_code == 202


def test_a_login_from_another_site_is_refused(house: Serving) -> None:
    data = {"account": "demo", "password": "right"}
    answer = house.client.post("/login", data=data, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "//\u2100", "null", "x" * 5_000, "http://a, http://b", ""]
)
def test_an_odd_origin_is_another_site(house: Serving, origin: str) -> None:
    headers = {"origin": origin.encode()}
    answer = house.client.post("/login", data={"account": "demo", "password": "right"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site")


@pytest.mark.parametrize("path", ["/login/once?token=guess", "/login/callback?code=x&state=y"])
def test_pages_of_other_sites_use_up_no_tries(start: Callable[..., Serving], path: str) -> None:
    house = start(
        local=LocalLogin("right"), login_attempts=2, oidc_issuer="http://127.0.0.1:9/t", oidc_client_id="foreact"
    )
    for site in ("cross-site", "same-site"):
        answers = [house.client.get(path, headers={"sec-fetch-site": site}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401] * 4
    assert house.get("/v1/audit").text == ""
    assert [house.client.get(path).status_code for _ in range(3)] == [401, 401, 429]
    # Whoever has the link may follow it from anywhere.
    token = house.app.state.service.local.token
    from_elsewhere = house.client.get(f"/login/once?token={token}", headers={"sec-fetch-site": "cross-site"})
    assert from_elsewhere.status_code == 303


def test_a_session_ends(house: Serving) -> None:
    csrf = log_in(house)
    house.clock.now += timedelta(hours=9, minutes=59)
    assert house.client.get("/v1/stores").status_code == 200
    house.clock.now += timedelta(minutes=2)
    assert house.client.get("/v1/stores").status_code == 401
    house.clock.now -= timedelta(hours=5)
    assert house.client.post("/logout", headers={"x-csrf-token": csrf}).status_code == 303
    assert house.client.get("/v1/stores").status_code == 401


def test_logging_out_needs_the_pages_token_and_no_script(house: Serving) -> None:
    csrf = log_in(house)
    page = house.client.get("/", headers=PAGE).text
    assert f'<form method="post" action="/logout"><input type="hidden" name="csrf" value="{csrf}">' in page
    # A page from before another login tells that nothing happened, and it has not.
    for sent in ({"csrf": "guess"}, {}):
        refused = house.client.post("/logout", data=sent, headers=PAGE)
        assert refused.status_code == 403
        assert "<h1>This page was out of date</h1>" in refused.text
        assert house.client.get("/v1/stores").status_code == 200
    assert house.client.post("/logout", data={"csrf": csrf}).headers["location"] == "/login"
    assert house.client.get("/v1/stores").status_code == 401


def test_the_printed_link_works_once(house: Serving) -> None:
    token = house.app.state.service.local.token
    assert house.client.get(f"/login/once?token={token}").status_code == 303
    assert house.client.get("/v1/stores").status_code == 200
    house.client.cookies.clear()
    assert house.client.get(f"/login/once?token={token}").status_code == 401
    assert house.client.get("/v1/stores").status_code == 401


def test_an_office_behind_one_address_logs_in_at_nine(start: Callable[..., Serving]) -> None:
    house = start(local=LocalLogin("right"), login_attempts=3)
    data = {"account": "demo", "password": "right"}
    assert {house.client.post("/login", data=data).status_code for _ in range(20)} == {303}


def test_failed_logins_are_limited(start: Callable[..., Serving]) -> None:
    house = start(local=LocalLogin("right"), login_attempts=3)
    data = {"account": "demo", "password": "guess"}
    assert [house.client.post("/login", data=data).status_code for _ in range(4)] == [401, 401, 401, 429]
    right = house.client.post("/login", data={"account": "demo", "password": "right"})
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0


def test_a_bucket_refills_over_the_minute() -> None:
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    assert [limit.take_try("a"), limit.take_try("a")] == [0.0, 0.0]
    assert limit.take_try("a") == pytest.approx(30)
    assert limit.take_try("b") == 0.0
    now[0] = 30.5
    assert limit.take_try("a") == 0.0


def test_a_signature_is_for_one_purpose_and_time() -> None:
    now = [1_000.0]
    signer = Signer(b"x" * 32, lambda: now[0])
    text = signer.sign("session", {"id": "a"}, 60)
    assert signer.read("session", text) == {"id": "a", "exp": 1_060}
    assert signer.read("oidc", text) is None
    assert Signer(b"y" * 32, lambda: now[0]).read("session", text) is None
    body, _, mac = text.partition(".")
    for broken in (body, f"{body}.", f"{body}x.{mac}", "", "a.b", "ä.ö", "." + mac, "x" * 9_000):
        assert signer.read("session", broken) is None
    now[0] = 1_061
    assert signer.read("session", text) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/stores/S1?q=a", "/stores/S1?q=a"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\b", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
        ("//[", "/"),
        ("http://[::1", "/"),
        ("//\u2100", "/"),
        ("/[", "/["),
        ("\ud800", "/"),
    ],
)
def test_logins_lead_to_our_own_pages_only(given: str, kept: str) -> None:
    assert safe_target(given) == kept


def test_keys_are_kept_as_hashes_and_can_be_revoked(house: Serving) -> None:
    text, key = keys.create_key(house.store, "warehouse", Grant(role="viewer", stores=["S2"]), created_by="test")
    raw = house.store.read(keys.OBJECT).data
    assert text.encode() not in raw
    assert text[3:].encode() not in raw
    bearer = {"authorization": f"Bearer {text}"}
    until(lambda: house.client.get("/v1/stores", headers=bearer).status_code == 200)
    keys.revoke_key(house.store, key.id)
    until(lambda: house.client.get("/v1/stores", headers=bearer).status_code == 401)
    assert {one.id: one.state for one in keys.list_keys(house.store)}[key.id] == "revoked"
    with pytest.raises(ForeactError, match="No key has the id"):
        keys.revoke_key(house.store, "none")


@pytest.mark.parametrize("header", ["Basic x", "Bearer", "Bearer ", "Bearer \xff", "nonsense", ""])
def test_a_bad_header_is_nobody(house: Serving, header: str) -> None:
    answer = house.client.get("/v1/stores", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("host", "local", "settings", "problem"),
    [
        ("0.0.0.0", True, {"public_url": "https://x.example", "session_secret": "s" * 40}, "local login"),
        ("0.0.0.0", False, {"public_url": "https://x.example", "session_secret": "s" * 40}, "METRICS_TOKEN"),
        ("0.0.0.0", False, {"public_url": "https://x.example"}, "SESSION_SECRET"),
        ("0.0.0.0", False, {"public_url": "https://x.example", "session_secret": "short"}, "SESSION_SECRET"),
        ("10.0.0.1", False, {"session_secret": "s" * 40, "metrics_token": "t"}, "PUBLIC_URL"),
        (
            "10.0.0.1",
            False,
            {"session_secret": "s" * 40, "metrics_token": "t", "public_url": "http://x.example"},
            "PUBLIC_URL",
        ),
    ],
)
def test_weak_settings_serve_nobody_but_this_machine(
    tmp_path: Any, host: str, local: bool, settings: dict[str, str], problem: str
) -> None:
    chosen = ServingSettings(workspace=tmp_path, _env_file=None, **settings)
    with pytest.raises(ForeactError, match=problem):
        chosen.check_exposure(host, local_login=local)
    chosen.check_exposure("127.0.0.1", local_login=local)


def test_who_did_what_is_kept_without_names(house: Serving) -> None:
    csrf = log_in(house)
    house.client.post("/v1/stores/S1/refreshes", headers={"x-csrf-token": csrf})
    house.client.post("/login", data={"account": "somebody@example.org", "password": "guess"})
    lines = house.get("/v1/audit").text
    actions = sorted(re.search(r'"action": "(\w+)"', line)[1] for line in lines.splitlines())
    assert actions == ["login", "login_failed", "refresh"]
    assert "somebody" not in lines
    assert '"account": "local:demo", "subject": "S1"' in lines


def test_a_key_is_good_though_the_store_went_away_before_it_was_first_shown(
    house: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> Blob:
        raise BlobUnavailable("the store does not answer")

    monkeypatch.setattr(FolderStore, "read", away)
    assert house.get("/v1/stores").status_code == 200
    # A process that has yet to read them says so, to a browser on a page.
    house.app.state.service.keys = keys.KeyRing(house.store)
    assert house.get("/v1/stores").status_code == 503
    page = house.client.get("/", headers={"authorization": "Bearer x", "accept": "text/html"})
    assert page.status_code == 503
    assert "does not answer" in page.text


def test_nobody_is_kept_out_while_events_wait_for_the_store(house: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> str:
        raise BlobUnavailable("the store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "write", away)
        log_in(house)
        assert house.client.get("/").status_code == 200
        house.app.state.service.audit.write_queued()
    assert house.get("/v1/audit").text == ""
    house.app.state.service.audit.write_queued()
    assert re.findall(r'"action": "(\w+)"', house.get("/v1/audit").text) == ["login"]
