"""A service in a process of its own, and a real browser before it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foreact.blobs.folder import FolderStore
from tests.parts import require, unavailable
from tests.services import Process, hold_port
from tests.serving import shop
from tests.waiting import SECONDS

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
REGIONS = {"CA_1": "California", "CA_2": "California", "TX_1": "Texas"}
PASSWORD = "one-two-three"
# Names what would be scrolled sideways.
TOO_WIDE = """() => [document.scrollingElement, ...document.querySelectorAll("table, .scroll")]
    .filter(each => each.scrollWidth > each.clientWidth)
    .map(each => `${each.className || each.tagName}: ${each.scrollWidth} > ${each.clientWidth}`)"""
# Charts are drawn once their places have a size; items are fetched; then whatever follows of it has two frames' time.
COMPLETE = """async () => {
    const isComplete = () =>
        [...document.querySelectorAll(".plot")].every(each => !each.clientWidth || each.querySelector("svg")) &&
        [...document.querySelectorAll("[data-items] tbody")].every(each => each.querySelector("a"));
    const frame = () => new Promise(requestAnimationFrame);
    while (!isComplete()) await frame();
    await frame();
    await frame();
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    (chromium,) = require("chromium", install="apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=1_000 * SECONDS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source, from where `npm install -g axe-core` or FOREACT_AXE put it."""
    places = [Path(os.environ["FOREACT_AXE"])] if "FOREACT_AXE" in os.environ else []
    root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
    places.append(Path(root) / "axe-core" / "axe.min.js")
    for place in places:
        if place.is_file():
            return place.read_text("utf-8")
    unavailable("needs axe-core: npm install -g axe-core, or its axe.min.js named by FOREACT_AXE")
    return ""


@dataclass
class Place:
    """A service at work."""

    url: str
    store: FolderStore
    workspace: Path
    # What the next refreshes do: see tests/serving/refreshes/runs.py.
    how: Path


@pytest.fixture(scope="session")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One service for all tests that only look, or put back what they change."""
    yield from run_service(tmp_path_factory.mktemp("place"), published=True)


def run_service(workspace: Path, *, published: bool) -> Iterator[Place]:
    store = FolderStore(workspace / "blobs")
    now = datetime.now(UTC)
    if published:
        for ago in (8, 1):
            shop.publish(
                store,
                REGIONS,
                run=f"run-{ago}",
                items=3_049 if ago == 1 else 40,
                horizon=28,
                as_of=now.date() - timedelta(days=ago),
                generated_at=now - timedelta(days=ago - 1, hours=1),
                regions=REGIONS,
                seed=ago,
            )
    how = workspace / "how"
    how.write_text("well")
    port = hold_port()
    command = [sys.executable, "-m", "tests.serving.dashboard.service", str(workspace), str(port), PASSWORD]
    process = Process(command, port, workspace / "service.txt")
    process.start()
    try:
        yield Place(process.url, store, workspace, how)
    finally:
        process.stop()


@dataclass
class Visit:
    """A page in a browser, and what the browser complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    # What the browser may complain of, since the test brings it about.
    meant: list[str] = field(default_factory=list)

    def unmeant(self) -> list[str]:
        return [text for text in self.complaints if not any(words in text for words in self.meant)]


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Open pages that end with the test; what the console complains of fails it."""
    contexts = []
    visits: list[Visit] = []

    def visit(width: int = 1280, height: int = 900, scheme: str = "light", **options: Any) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True, **options
        )
        context.set_default_timeout(1_000 * SECONDS)
        contexts.append(context)
        page = context.new_page()
        opened = Visit(page)
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and opened.complaints.append(said.text))
        visits.append(opened)
        return opened

    yield visit
    for context in contexts:
        context.close()
    for opened in visits:
        assert opened.unmeant() == []


def open_page(page: Any, address: str) -> None:
    """Open a page and wait until it is complete."""
    page.goto(address)
    page.evaluate(COMPLETE)


def log_in(page: Any, place: Place) -> None:
    page.goto(f"{place.url}/")
    page.fill("[name=password]", PASSWORD)
    page.click("button:has-text('Log in')")
    page.wait_for_url(f"{place.url}/")


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: FOREACT_SHOTS names the folder."""
    folder = Path(os.environ.get("FOREACT_SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def judge(page: Any, axe: str) -> list[str]:
    """Name what axe finds against WCAG AA."""
    page.evaluate(axe)
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    result = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", rules)
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:150]}" for fault in result["violations"]]
