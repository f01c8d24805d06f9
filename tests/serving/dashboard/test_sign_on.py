"""A planner's first login as a laptop's cluster grants it: to the provider, back, to their own stores, and out."""

import sys
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from tests.kustomize.manifests import ROOT
from tests.services import Process, hold_port
from tests.serving import shop
from tests.serving.auth.provider import CLIENT, SECRET, Provider
from tests.serving.dashboard.conftest import Open

pytestmark = pytest.mark.chromium


def test_whoever_plans_the_north_comes_in_sees_its_stores_and_leaves(tmp_path: Path, visit: Open) -> None:
    shop.publish(FolderStore(tmp_path / "blobs"))
    lines = (ROOT / "overlays/local/values/values.env").read_text().splitlines()
    granted = dict(line.split("=", 1) for line in lines)["OIDC_ROLES"]
    port, provider = hold_port(), Provider()
    provider.redirect_uri = f"http://127.0.0.1:{port}/login/callback"
    provider.claims = {"oid": "0000-object-id", "name": "Nora North", "groups": ["planners-north", "other"]}
    environment = {
        "FOREACT_WORKSPACE": str(tmp_path),
        "FOREACT_OIDC_ISSUER": provider.issuer,
        "FOREACT_OIDC_CLIENT_ID": CLIENT,
        "FOREACT_OIDC_CLIENT_SECRET": SECRET,
        "FOREACT_OIDC_SCOPES": "openid profile groups",
        "FOREACT_OIDC_ROLES": granted,
    }
    command = [sys.executable, "-m", "commands", "serve", "--port", str(port)]
    process = Process(command, port, tmp_path / "service.txt", environment, health="/healthz")
    process.start()
    try:
        opened = visit()
        opened.meant.append("401")
        page = opened.page
        page.goto(f"{process.url}/stores/S2")
        page.click("text=Sign in with your organisation")
        page.wait_for_url(f"{process.url}/stores/S2")
        assert "Nora North" in page.inner_text("header")
        seen = page.request.get(f"{process.url}/v1/stores").json()["stores"]
        assert [store["store"] for store in seen] == ["S1", "S2"]
        page.click("button:has-text('Log out')")
        page.wait_for_url(f"{process.url}/login")
        assert page.request.get(f"{process.url}/v1/stores").status == 401
    finally:
        process.stop()
        provider.stop()
