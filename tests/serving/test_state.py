"""What is the service's own, kept apart from what pipelines write."""

from pathlib import Path

from fastapi.testclient import TestClient

from foreact.blobs.folder import FolderStore
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.refreshes.records import ACTIVE
from serving.settings import ServingSettings
from tests.serving import shop
from tests.serving.conftest import URL
from tests.serving.refreshes.runs import runner
from tests.waiting import until


def test_what_is_the_services_own_is_apart(tmp_path: Path) -> None:
    published, state, audit = (FolderStore(tmp_path / name) for name in ("published", "state", "audit"))
    shop.publish(published)
    token, _ = keys.create_key(state, "x", Grant(role="admin"), created_by="test")
    app = create_app(
        ServingSettings(workspace=tmp_path),
        published,
        state=state,
        audit_store=audit,
        runner=runner(published, tmp_path),
    )
    with TestClient(app, base_url=URL, headers={"authorization": f"Bearer {token}"}) as client:
        location = client.post("/v1/stores/S1/refreshes").headers["location"]
        until(lambda: client.get(location).json()["ended_at"])
        assert client.post("/v1/publications/1/restore", json={"reason": "a test"}).status_code == 200
        assert [line.split('"action": ')[1][:9] for line in client.get("/v1/audit").text.splitlines()] == [
            '"refresh"',
            '"restore"',
        ]
    names = [info.name for info in published.list()]
    assert [name for name in names if name.startswith("serving/")] == []
    assert {info.name.split("/")[1] for info in state.list()} <= {"deadlines", "keys.json", "refreshes", "sessions"}
    assert ACTIVE in {info.name for info in state.list()}
    assert {info.name.rsplit("/", 2)[0] for info in audit.list()} == {"serving/audit"}


def test_settings_say_where_each_is(tmp_path: Path) -> None:
    at = "https://foreact.blob.core.windows.net"
    one = ServingSettings(workspace=tmp_path)
    assert str(one.connect_state()) == str(one.connect_audit()) == f"the folder {tmp_path / 'blobs'}"
    two = ServingSettings(workspace=tmp_path, blob_url=f"{at}/forecasts", state_url=f"{at}/service")
    assert str(two.connect_audit()) == str(two.connect_state()) == f"the container {at}/service"
    three = ServingSettings(
        workspace=tmp_path, blob_url=f"{at}/forecasts", state_url=f"{at}/service", audit_url=f"{at}/audit"
    )
    assert str(three.connect_audit()) == f"the container {at}/audit"
