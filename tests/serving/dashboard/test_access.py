"""Pages for whoever looks at them: by keyboard, on a phone, with a screen reader, on paper."""

import re
from pathlib import Path
from typing import Any

import pytest

from serving.dashboard.pages import failure_page
from tests.serving.dashboard.conftest import TOO_WIDE, Open, Place, judge, log_in, open_page

pytestmark = pytest.mark.chromium

CUT_OFF = """() => [...document.querySelectorAll(".virtual tbody tr[role] > *")]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"""
ROW_HEIGHTS = """() => [
    document.querySelector(".virtual tbody tr[role]").getBoundingClientRect().height,
    parseFloat(getComputedStyle(document.querySelector("[data-rows]")).getPropertyValue("--row")),
]"""


def read_tables(page: Any) -> list[tuple[str, str]]:
    """Return what a screen reader is told of the page's tables."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    parts = ("table", "row", "columnheader", "rowheader", "cell")
    return [
        (node["role"]["value"], node["name"]["value"])
        for node in tree
        if not node["ignored"] and node["role"]["value"] in parts and "name" in node
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_in_anybodys_way(
    shared_place: Place, visit: Open, axe: str, shots: Path, width: int, scheme: str
) -> None:
    """WCAG AA by axe, no sideways scrolling, on every kind of page, at both widths and in both schemes."""
    page = visit(width, 844 if width < 500 else 900, scheme, bypass_csp=True).page
    page.goto(f"{shared_place.url}/login")
    found = {"login": judge(page, axe)}
    log_in(page, shared_place)
    addresses = {
        "overview": "/",
        "store": "/stores/CA_2",
        "item": "/stores/CA_2/items/item-0007",
        "empty": "/?q=nowhere",
        "docs": "/docs",
        "failure": "/failure",
    }
    failure = failure_page("a1b2c3d4e5f60000002a").body
    page.route("**/failure", lambda route: route.fulfill(content_type="text/html", body=failure))
    for name, address in addresses.items():
        open_page(page, f"{shared_place.url}{address}")
        page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
        found[name] = judge(page, axe)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_on_a_phone_only_down_is_scrolled_and_tables_stay_tables(shared_place: Place, visit: Open) -> None:
    """Rows fold into lines; what assistive technology reads of a table is what it reads on a desk."""
    page = visit(390, 844).page
    log_in(page, shared_place)
    for address in ("/", "/stores/CA_2", "/stores/CA_2/items/item-0007", "/docs"):
        open_page(page, f"{shared_place.url}{address}")
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert page.evaluate(TOO_WIDE) == [], address
        if address == "/stores/CA_2":
            assert page.evaluate(CUT_OFF) == []
            heights = [page.evaluate(ROW_HEIGHTS)]
            page.set_viewport_size({"width": 1280, "height": 844})
            heights.append(page.evaluate(ROW_HEIGHTS))
            assert all(real == said for real, said in heights), "items would jump while they are scrolled"
            assert heights[0] != heights[1]
            page.set_viewport_size({"width": 390, "height": 844})
            # Of its items, a page has those in view.
            page.evaluate("document.querySelector('[data-items] tbody').remove()")
        folded = read_tables(page)
        page.set_viewport_size({"width": 1280, "height": 844})
        assert read_tables(page) == folded, address
        page.set_viewport_size({"width": 390, "height": 844})


def test_the_page_stays_still_and_comes_at_once(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    open_page(page, f"{shared_place.url}/")
    shift = page.evaluate(
        """() => {
            const observer = new PerformanceObserver(() => {});
            observer.observe({type: "layout-shift", buffered: true});
            return observer.takeRecords().reduce((sum, entry) => sum + entry.value, 0);
        }"""
    )
    assert shift < 0.02
    assert page.evaluate("performance.getEntriesByType('navigation')[0].transferSize") < 200_000


def test_the_keyboard_keeps_its_place(shared_place: Place, visit: Open) -> None:
    """What is pressed may go or be busy, and no key is lost; whose session ended meanwhile logs in again."""
    shared_place.how.write_text("well")
    opened = visit()
    opened.meant.append("401")
    page = opened.page
    log_in(page, shared_place)
    page.focus("#update-TX_1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".run")
    assert page.evaluate("document.activeElement.id") == "update-TX_1"
    published = page.inner_text(".foot span >> nth=0")
    page.wait_for_selector(".run h2:has-text('TX_1 is updated')")
    page.wait_for_function("before => document.querySelector('.foot span').textContent !== before", arg=published)
    assert page.evaluate("document.activeElement.id") == "update-TX_1"
    page.focus(".run footer button")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "update-TX_1"
    other = page.context.new_page()
    other.goto(f"{shared_place.url}/stores/CA_1")
    other.click("text=Log out")
    other.wait_for_url("**/login")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{shared_place.url}/login?target=/")


def test_the_keyboard_is_enough(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(document.activeElement.textContent || document.activeElement.name || '').trim()"))
    assert {"Excel", "CSV", "Print", "CA_1", "Update"} <= reached


def test_a_page_can_be_printed(shared_place: Place, visit: Open, shots: Path) -> None:
    """On light paper, whatever the screen is like; charts are drawn for it, and the morning fits on two pages."""
    page = visit(scheme="dark").page
    log_in(page, shared_place)
    page.wait_for_selector("#main .plot svg .mean")
    drawn = "document.querySelector('.plot svg').getAttribute('viewBox')"
    on_screen = page.evaluate(drawn)
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.is_visible(".filters")
    assert page.is_visible(".alerts")
    light = "color => getComputedStyle(document.documentElement).getPropertyValue(color)"
    assert [page.evaluate(light, color) for color in ("--card", "--accent", "--warn-wash")] == [
        "#fff",
        "#0b6a6a",
        "#fbefd9",
    ]
    printed = page.pdf(path=shots / "morning.pdf", format="A4")
    assert len(printed) > 10_000
    assert 1 <= len(re.findall(rb"/Type /Page\b", printed)) <= 2
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(drawn) == "0 0 680 190"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(drawn) == on_screen
