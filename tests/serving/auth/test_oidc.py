"""Single sign-on against a real provider on this machine."""

import html
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from foreact.blobs.folder import FolderStore
from foreact.errors import ForeactError
from serving.auth.oidc import read_grants
from serving.dashboard import login
from serving.parts import SIGN_INS
from tests.serving import shop
from tests.serving.auth.provider import CLIENT, SECRET, Provider
from tests.serving.conftest import Serving
from tests.serving.refreshes.runs import runner
from tests.waiting import until

GRANTS = {
    "Planner.North": {"role": "planner", "regions": ["North"]},
    "Viewer.South": {"role": "viewer", "regions": ["South"]},
    "Admin": {"role": "admin"},
    "11111111-aaaa-bbbb-cccc-222222222222": {"role": "viewer", "stores": ["S1"]},
}


@pytest.fixture(scope="module")
def tenant() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(tenant: Provider) -> Provider:
    tenant.claims = {"oid": "0000-object-id", "name": "Pia Planner", "roles": ["Planner.North"]}
    tenant.lies, tenant.sign_with, tenant.trusted_token = {}, None, None
    return tenant


@pytest.fixture
def open_house(
    store: FolderStore, start: Callable[..., Serving], provider: Provider, tmp_path: Path
) -> Callable[..., Serving]:
    def open_it(**given: Any) -> Serving:
        shop.publish(store)
        settings = {
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT,
            "oidc_roles": json.dumps(GRANTS),
            "login_attempts": 1_000,
        }
        return start(runner=runner(store, tmp_path), **settings, **given)

    return open_it


@pytest.fixture
def house(open_house: Callable[..., Serving]) -> Serving:
    return open_house(oidc_client_secret=SECRET)


def come_back(house: Serving, target: str = "/stores/S1") -> Any:
    """Go to the provider and back, as a browser does."""
    begun = house.client.get(f"/login/sso?target={target}")
    assert begun.status_code == 303, begun.text
    returned = httpx.get(begun.headers["location"], timeout=60).headers["location"]
    return house.client.get(returned.removeprefix("http://127.0.0.1:8000"))


def test_a_token_of_the_service_account_stands_for_a_secret(
    open_house: Callable[..., Serving], provider: Provider, tmp_path: Path
) -> None:
    house = open_house(oidc_assertion_file=tmp_path / "token", oidc_scopes="openid profile groups")
    assert "the service cannot prove who it is" in html.unescape(come_back(house).text)
    for token in ("first", "its successor"):
        provider.trusted_token = token
        (tmp_path / "token").write_text(token + "\n")
        assert come_back(house).status_code == 303
    begun = house.client.get("/login/sso?target=/").headers["location"]
    assert "scope=openid+profile+groups" in begun


def test_a_planner_comes_in_and_sees_the_stores_of_their_role(house: Serving) -> None:
    answer = come_back(house)
    assert (answer.status_code, answer.headers["location"]) == (303, "/stores/S1")
    stores = house.client.get("/v1/stores").json()["stores"]
    assert [one["store"] for one in stores] == ["S1", "S2"]
    assert "Pia Planner" in house.client.get("/", headers={"accept": "text/html"}).text
    assert '"account": "user:0000-object-id"' in house.get("/v1/audit").text
    assert "Pia" not in house.get("/v1/audit").text


def test_the_provider_is_another_site_that_sends_people_back(house: Serving) -> None:
    house.client.headers["sec-fetch-site"] = "cross-site"
    assert come_back(house).status_code == 303


def test_roles_add_up_without_spilling_over(house: Serving, provider: Provider) -> None:
    """Who plans in the north and looks at the south refreshes nothing in the south."""
    provider.claims["roles"] = ["Planner.North", "Viewer.South", "Unknown"]
    come_back(house)
    page = house.client.get("/", headers={"accept": "text/html"}).text
    csrf = {"x-csrf-token": page.partition('name="csrf" content="')[2].partition('"')[0]}
    assert len(house.client.get("/v1/stores").json()["stores"]) == 3
    assert house.client.post("/v1/stores/S3/refreshes", headers=csrf).status_code == 403
    assert house.client.post("/v1/stores/S2/refreshes", headers=csrf).status_code == 202


def test_groups_count_too(house: Serving, provider: Provider) -> None:
    provider.claims.pop("roles")
    provider.claims["groups"] = ["11111111-aaaa-bbbb-cccc-222222222222"]
    come_back(house)
    assert [one["store"] for one in house.client.get("/v1/stores").json()["stores"]] == ["S1"]


def test_no_role_is_no_entry(house: Serving, provider: Provider) -> None:
    provider.claims["roles"] = ["Unknown"]
    assert refusal(house) == "your account has no role in this service"
    provider.claims = {"oid": "x", "_claim_names": {"groups": "src1"}}
    assert refusal(house).startswith("you are in too many groups")


@pytest.mark.parametrize(
    "lie",
    [
        {"aud": "another-app"},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 600},
        {"nonce": "of another sign-in"},
        {"sub": None},
    ],
)
def test_a_token_that_lies_is_refused(house: Serving, provider: Provider, lie: dict[str, Any]) -> None:
    provider.lies = lie
    assert refusal(house)
    assert house.client.get("/v1/stores").status_code == 401


def test_a_token_signed_by_another_is_refused(house: Serving, provider: Provider) -> None:
    provider.sign_with = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "cannot be trusted" in refusal(house)


def test_a_new_key_of_the_provider_is_found(house: Serving, provider: Provider) -> None:
    assert come_back(house).status_code == 303
    provider.change_key()
    assert come_back(house).status_code == 303


def test_an_answer_to_another_browser_is_refused(house: Serving) -> None:
    begun = house.client.get("/login/sso")
    returned = httpx.get(begun.headers["location"], timeout=60).headers["location"]
    house.client.cookies.clear()
    answer = house.client.get(returned.removeprefix("http://127.0.0.1:8000"))
    assert answer.status_code == 401
    house.client.get("/login/sso")
    assert house.client.get("/login/callback?code=x&state=guess").status_code == 401
    assert house.client.get("/login/callback?error=access_denied&state=x").status_code == 401


def test_an_answer_works_once(house: Serving) -> None:
    begun = house.client.get("/login/sso")
    returned = (
        httpx.get(begun.headers["location"], timeout=60).headers["location"].removeprefix("http://127.0.0.1:8000")
    )
    flow = house.client.cookies.get("foreact_login")
    assert house.client.get(returned).status_code == 303
    house.client.cookies.clear()
    house.client.cookies.set("foreact_login", flow or "", path="/login/callback")
    assert house.client.get(returned).status_code == 401


def test_a_provider_out_of_reach_is_told(start: Callable[..., Serving]) -> None:
    house = start(oidc_issuer="http://127.0.0.1:9/tenant/v2.0", oidc_client_id=CLIENT)
    answer = house.client.get("/login/sso")
    assert answer.status_code == 503
    assert "the provider does not answer" in answer.text


def test_a_provider_that_never_answers_takes_few_threads(
    start: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "MOST_WAITING", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(SIGN_INS + 2) as pool:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}/tenant/v2.0"
        house = start(oidc_issuer=issuer, oidc_client_id=CLIENT)
        begun = [pool.submit(house.client.get, "/login/sso") for _ in range(SIGN_INS + 2)]
        until(lambda: house.app.state.service.sign_ins.statistics().tasks_waiting == 2)
        assert house.client.get("/login/sso").status_code == 429
        assert house.client.get("/login").status_code == 200
        silent.close()
        assert {one.result().status_code for one in begun} == {503}


def test_bad_grants_are_told() -> None:
    for text in (
        "{",
        '{"a": {"role": "king"}}',
        '{"a": {"role": "viewer", "store": "S1"}}',
        '{"a": {"role": "admin", "stores": ["S1"]}}',
    ):
        with pytest.raises(ForeactError, match="FOREACT_OIDC_ROLES"):
            read_grants(text)


def refusal(house: Serving) -> str:
    answer = come_back(house)
    assert answer.status_code == 401
    assert "foreact_session" not in answer.headers.get("set-cookie", "")
    return str(html.unescape(answer.text).partition("Signing in failed: ")[2].partition(";")[0])
