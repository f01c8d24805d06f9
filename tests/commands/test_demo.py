"""`foreact demo`, which is what `make run` runs: from nothing to a dashboard."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from foreact.blobs import connect
from foreact.publications import Reader
from foreact.settings import PlaceSettings
from tests.commands.conftest import command
from tests.services import hold_port
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@dataclass(frozen=True)
class Demo:
    """The command at work, all it printed up to the login, and where it keeps things."""

    process: "subprocess.Popen[str]"
    printed: str
    workspace: Path

    @property
    def link(self) -> str:
        (link,) = re.findall(r"http://\S+/login/once\?token=\S+", self.printed)
        return link


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    workspace, output = folder / "workspace", folder / "output"
    port = hold_port()
    with output.open("w") as file:
        process = subprocess.Popen(
            command("demo", "--workspace", str(workspace), "--port", str(port)),
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "200"},
            text=True,
        )
    until(lambda: "with the password" in output.read_text() or process.poll() is not None, seconds=1_000)
    yield Demo(process, output.read_text(), workspace)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert "Traceback" not in output.read_text()


def test_it_shows_the_week_of_every_store(demo: Demo) -> None:
    manifest = Reader(connect(PlaceSettings(workspace=demo.workspace))).read_current().manifest
    assert len(manifest.stores) == 10
    assert all(re.search(rf"{re.escape(store)}\W+[\d,]+", demo.printed) for store in manifest.stores)


def test_its_numbers_name_the_code_they_came_from(demo: Demo) -> None:
    manifest = Reader(connect(PlaceSettings(workspace=demo.workspace))).read_current().manifest
    assert all(re.match(r"[0-9a-f]{12}|\d+\.\d+", entry.code_version) for entry in manifest.stores.values())


def test_the_printed_link_opens_the_dashboard(demo: Demo) -> None:
    base = demo.link.split("/login")[0]
    with httpx.Client(base_url=base, follow_redirects=True, timeout=60) as client:
        assert client.get("/v1/stores").status_code == 401
        assert client.get(demo.link).status_code == 200
        page = client.get("/").text
        stores = client.get("/v1/stores").json()["stores"]
        assert len(stores) == 10
        assert all(store["store"] in page for store in stores)
        answer = client.get("/v1/forecasts", params={"store": stores[0]["store"], "format": "csv"})
        assert len(answer.text.splitlines()) == 1 + 50 * 28
