"""An update from the click to the new numbers: the real service, the real pipeline, a real browser."""

import csv
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foreact.demo import Demo, write_demo
from tests.commands.conftest import command, run_foreact
from tests.services import hold_port
from tests.serving.dashboard.conftest import Visit

pytestmark = [pytest.mark.chromium, pytest.mark.slow]


@dataclass(frozen=True)
class Shop:
    demo: Demo
    store: str
    # Logs in whoever opens it, once.
    link: str


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Serve the forecasts of one store, as `foreact serve` does, next to the data that they came from."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    demo = write_demo(tmp_path / "data", yesterday, stores=1, items=5, days=420)
    workspace = tmp_path / "workspace"
    known = [part for path in demo.known for part in ("--known", str(path))]
    place = ("--workspace", str(workspace))
    done = run_foreact("run", "retrain-all", "--history", str(demo.history), *known, *place)
    assert done.returncode == 0, done.stderr
    port = hold_port()
    process = subprocess.Popen(
        command("serve", "--port", str(port), *place),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        link = next(found for line in process.stdout if (found := re.search(r"http\S+token=\S+", line)))
        yield Shop(demo, demo.chain.stores[0], link.group())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_a_click_brings_new_numbers_and_bad_data_leaves_the_old(
    shop: Shop, visit: Callable[..., Visit], shots: Path
) -> None:
    page = visit().page
    page.goto(shop.link)
    page.goto(f"{shop.link.split('/login')[0]}/stores/{shop.store}")
    assert "Publication 1" in page.inner_text(".foot")
    page.click("text=Update forecast")
    page.wait_for_selector(f".run h2:has-text('{shop.store} is updated')")
    page.wait_for_selector(".foot span:has-text('Publication 2')")
    page.screenshot(path=shots / "really-updated.png")

    with shop.demo.history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with shop.demo.history.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "units": -1} for row in rows)
    page.click("text=Update forecast")
    page.wait_for_selector(".run.failed")
    said = page.inner_text(".run .message")
    assert "more is sold than returned" in said
    assert "The last good forecast is still shown." in said
    page.reload()
    assert "Publication 2" in page.inner_text(".foot")
