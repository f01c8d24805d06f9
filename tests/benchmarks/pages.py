"""How soon a planner sees a page at M5's size, in a real Chromium on this machine; one table.

`python -m tests.benchmarks.pages` publishes 10 stores of 3,049 items and 28 days, and opens overview, store and item
five times each: by a browser that never saw them, of a service that has just started (cold), of one that has run for a
while (new browser), and by a browser that comes back (warm). Medians in ms from the click on: the first paint of any
content, the largest one, and when the page's chart or its rows are there to be used.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from foreact.blobs.folder import FolderStore
from serving.auth.principal import EVERYTHING, Principal, Role
from serving.auth.sessions import COOKIE, Sessions, Signer, load_secret
from tests.benchmarks.serving import publish, run, say
from tests.parts import require
from tests.serving.dashboard.conftest import FLAGS

RUNS = 5
# Each page, and what it is there for.
PAGES = {
    "overview": ("/", ".plot svg .mean"),
    "store": ("/stores/CA_1", ".virtual tbody a"),
    "item": ("/stores/CA_1/items/item-0007", ".plot svg .mean"),
}
WATCH = """
new PerformanceObserver(list => { for (const entry of list.getEntries()) window.largest = entry.startTime; })
    .observe({type: "largest-contentful-paint", buffered: true});
const look = () => document.querySelector(SELECTOR) ? window.usable = performance.now() : requestAnimationFrame(look);
look();
"""
TOLD = """() => [performance.getEntriesByName("first-contentful-paint")[0]?.startTime, window.largest, window.usable]"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        publish(FolderStore(workspace / "blobs"), 1)
        session = Sessions(Signer(load_secret(workspace)), 1, https=False).issue_cookie(
            Principal("bench", "Bench", Role.admin, EVERYTHING)
        )
        (chromium,) = require("chromium", install="apt-get install chromium")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            say(f"{'page':<10}{'':<14}{'first paint':>12}{'largest':>10}{'usable':>10}")
            for name in PAGES:
                times: dict[str, list[list[float]]] = {"cold": [], "new browser": [], "warm": []}
                for _ in range(RUNS):
                    look_at(name, browser, workspace, session, times)
                for how, found in times.items():
                    first, largest, usable = (statistics.median(column) for column in zip(*found, strict=True))
                    say(f"{name:<10}{how:<14}{first:>12,.0f}{largest:>10,.0f}{usable:>10,.0f}")
            browser.close()


def look_at(name: str, browser: Browser, workspace: Path, session: str, times: dict[str, list[list[float]]]) -> None:
    """Start a service, and open one of its pages as somebody would: at once, from another place, again."""
    with run("foreact", workspace) as (port, _, _):
        url = f"http://127.0.0.1:{port}"
        first = enter(browser, url, session, name)
        times["cold"].append(measure(first, url, name))
        second = enter(browser, url, session, name)
        times["new browser"].append(measure(second, url, name))
        times["warm"].append(measure(second, url, name))
        first.close()
        second.close()


def enter(browser: Browser, url: str, session: str, name: str) -> BrowserContext:
    """Make a browser that is logged in and has seen nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": COOKIE, "value": session, "url": url}])
    context.add_init_script(WATCH.replace("SELECTOR", repr(PAGES[name][1])))
    return context


def measure(context: BrowserContext, url: str, name: str) -> list[float]:
    """Open a page, and give its times in ms."""
    page: Any = context.new_page()
    page.goto(f"{url}{PAGES[name][0]}")
    page.wait_for_function("() => window.usable")
    # The largest paint is told a little later.
    page.wait_for_timeout(200)
    told: list[float] = page.evaluate(TOLD)
    page.close()
    return told


if __name__ == "__main__":
    main()
