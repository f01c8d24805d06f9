"""The three stories of a planner's morning, in a real browser."""

import csv
import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.dashboard.pages import failure_page
from tests.serving import shop
from tests.serving.dashboard.conftest import Place, Visit, log_in, run_service

pytestmark = pytest.mark.chromium
Open = Callable[..., Visit]


def test_at_nine_a_planner_sees_demand_by_item(shared_place: Place, visit: Open, shots: Path) -> None:
    page = visit().page
    log_in(page, shared_place)
    assert page.inner_text(".banner strong") == "All 3 stores are up to date."
    assert "units are expected in 7 days" in page.inner_text("#total-words")
    page.wait_for_selector("#main .plot svg .mean")
    page.screenshot(path=shots / "overview.png", full_page=True)
    page.click("table.list a:has-text('CA_2')")
    page.wait_for_selector(".virtual tbody tr:nth-child(5)")
    assert "3,049 items" in page.inner_text("[data-count]")
    page.screenshot(path=shots / "store.png", full_page=True)
    page.click(".virtual tbody a >> nth=0")
    page.wait_for_selector("#item-title")
    assert "How its last forecast did" in page.inner_text("main")
    page.screenshot(path=shots / "item.png", full_page=True)


@pytest.mark.parametrize("by", ["events", "polling"])
def test_an_update_is_followed_live_and_shows_by_itself(
    shared_place: Place, visit: Open, shots: Path, tmp_path: Path, by: str
) -> None:
    gate = tmp_path / "gate"
    shared_place.how.write_text(f"until:{gate}")
    page = visit().page
    if by == "polling":
        page.add_init_script("delete window.EventSource")
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/TX_1")
    before = int(page.inner_text(".foot span >> nth=0").split()[-1])
    page.click("text=Update forecast")
    page.wait_for_selector(".run li.running:has-text('Learn and forecast')")
    page.screenshot(path=shots / "update.png")
    # Whoever comes back to the page meanwhile finds the update again.
    page.goto(f"{shared_place.url}/")
    page.wait_for_selector(".run li.running")
    gate.touch()
    page.wait_for_selector(".run h2:has-text('TX_1 is updated')")
    page.wait_for_selector(f".foot span:has-text('Publication {before + 1}')")
    assert page.locator(".run li.succeeded").count() == 6
    shared_place.how.write_text("well")


def test_two_updates_at_once_are_told_apart(shared_place: Place, visit: Open, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    shared_place.how.write_text(f"until:{gate}")
    page = visit().page
    log_in(page, shared_place)
    for store in ("CA_1", "CA_2"):
        page.click(f"[data-refresh][data-store={store}]")
        page.wait_for_selector(f".run[aria-label='Update of {store}']")
    gate.touch()
    for store in ("CA_1", "CA_2"):
        panel = page.locator(f".run[aria-label='Update of {store}']")
        panel.locator(f"h2:has-text('{store} is updated')").wait_for()
        assert panel.locator("li.succeeded").count() == 6
        panel.locator("text=Close").click()
    assert page.locator(".run").count() == 0
    assert page.is_enabled("[data-refresh][data-store=CA_2]")
    shared_place.how.write_text("well")


def test_a_page_left_open_shows_what_is_published_since(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    before = page.inner_text(".foot span >> nth=0")
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate("document.querySelector('.tiles').dataset.old = '1'")
    page.evaluate(look)
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-old]").count() == 1, "nothing is new, and the page was replaced"
    now = datetime.now(UTC)
    shop.publish(
        shared_place.store,
        ["CA_1"],
        run=f"run-{now:%H%M%S%f}",
        items=40,
        horizon=28,
        as_of=now.date() - timedelta(days=1),
        generated_at=now,
        regions={"CA_1": "California"},
    )
    page.wait_for_function(
        f"before => {{ {look}; return document.querySelector('.foot span').textContent !== before; }}",
        arg=before,
        polling=300,
    )
    assert page.locator("[data-old]").count() == 0


def test_a_failed_update_tells_the_step_and_the_reason(shared_place: Place, visit: Open, shots: Path) -> None:
    shared_place.how.write_text("bad-data")
    page = visit().page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/CA_1")
    page.click("text=Update forecast")
    page.wait_for_selector(".run.failed")
    said = page.inner_text(".run .message")
    assert said.startswith("This failed in step “Check them”: the column 'units' has 312 negative rows")
    assert "The last good forecast stays." in said
    page.screenshot(path=shots / "failed.png")
    page.reload()
    assert "The last update failed in step “Check them”" in page.inner_text("main")
    shared_place.how.write_text("well")


def test_stores_are_filtered_and_the_choice_is_in_the_address(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.check("[name=region][value=California]")
    page.wait_for_url("**/?region=California")
    page.wait_for_selector("h1:has-text('2 of 3 stores')")
    assert page.text_content("#said") == "2 of 3 stores: the week ahead"
    assert page.locator("table.list tbody tr").count() == 2
    page.fill("[name=q]", "ca_2")
    page.wait_for_url("**/?q=ca_2&region=California")
    page.wait_for_selector("h1:has-text('CA_2')")
    page.goto(page.url)
    assert page.input_value("[name=q]") == "ca_2"
    page.fill("[name=q]", "nowhere")
    page.wait_for_selector("text=No store fits")
    page.go_back()
    page.wait_for_selector("h1:has-text('CA_2')")


def test_among_many_stores_a_planner_finds_theirs(tmp_path: Path, visit: Open, axe: str) -> None:
    """By name, by ticking, by order, page by page; what is being chosen from stays as it is."""
    for place in run_service(tmp_path, published=False):
        now = datetime.now(UTC)
        longest = "A" + "x" * 60
        chain = [longest, *(f"S{number:03d}" for number in range(119))]
        shop.publish(
            place.store,
            chain,
            items=1,
            horizon=7,
            as_of=now.date() - timedelta(days=1),
            generated_at=now,
            regions={longest: "y" * 60},
        )
        opened = visit(bypass_csp=True)
        opened.meant.append("503")
        page = opened.page
        log_in(page, place)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_selector(f"table.stores a:has-text('{longest}')")
            assert page.evaluate(TOO_WIDE) == []
        page.focus("[data-more]")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.closest('li').matches('.alerts li:nth-child(7)')")
        page.focus(".picker summary")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("s10")
        assert page.locator(".choices label:visible").count() == 10
        for number, store in enumerate(("S100", "S101"), 1):
            page.keyboard.press("Tab")
            page.keyboard.press("Space")
            page.wait_for_selector(f"summary:has-text('Stores: {number} chosen')")
            assert page.evaluate("document.activeElement.value") == store
            assert page.locator(".choices label:visible").count() == 10
        assert page.url.endswith("/?store=S100&store=S101")
        assert judge(page, axe) == []
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        page.click(".clear")
        page.wait_for_selector("h1:has-text('All stores')")
        page.click("#by-expected")
        page.wait_for_selector("[aria-sort=descending] #by-expected")
        assert page.evaluate("document.activeElement.id") == "by-expected"
        page.click("[name=page]")
        page.wait_for_selector("text=Stores 101 to 120 of 120")
        assert page.url.endswith("/?sort=-expected&page=2")
        page.wait_for_function("document.activeElement.hasAttribute('data-page-start')")
        with page.expect_download() as download:
            page.click(".tools >> text=CSV")
        rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))[1:]
        assert [row[0] for row in rows][100:] == page.locator("table.stores tbody a").all_inner_texts()
        page.go_back()
        page.wait_for_selector("text=Stores 1 to 100 of 120")
        page.goto(f"{place.url}/?sort=-state#stores-title")
        page.click("[name=page]")
        page.wait_for_selector("text=Stores 101 to 120 of 120")
        page.go_back()
        page.wait_for_selector("text=Stores 1 to 100 of 120")


def test_the_last_choice_is_shown_whatever_is_answered_first(shared_place: Place, visit: Open) -> None:
    page = visit().page
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/?q=ca_1", hold)
    log_in(page, shared_place)
    with page.expect_request("**/?q=ca_1"):
        page.fill("[name=q]", "ca_1")
    page.fill("[name=q]", "ca_2")
    page.wait_for_selector("h1:has-text('CA_2')")
    with page.expect_response("**/?q=ca_1") as answer:
        held[0].continue_()
    answer.value.finished()
    # By the time that another answer has come, the page has done with the one before.
    page.evaluate("fetch('/healthz')")
    assert page.inner_text("h1").strip().startswith("CA_2")
    assert page.url.endswith("/?q=ca_2")


def test_what_drives_demand_is_told(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/CA_2")
    assert "against a normal day" in page.inner_text("#drivers-words")
    page.wait_for_selector("[data-chart=drivers] rect.d0")
    page.focus("[data-chart=drivers] .plot")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "weekday" in page.inner_text("[data-chart=drivers] .tip")
    assert "weekday" in page.text_content("#said")


def test_exports_equal_the_screen(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/CA_2")
    page.wait_for_selector(".virtual tbody a")
    # What is searched for leads no link astray.
    page.fill("[data-find]", ".csv")
    page.fill("[data-find]", "item-01")
    page.click("[data-sort=change]")
    page.wait_for_selector("text=items fit")
    shown = page.locator(".virtual tbody a").all_inner_texts()
    with page.expect_download() as download:
        page.click(".tools >> text=CSV")
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))[1:]
    assert [row[0] for row in rows][: len(shown)] == shown
    assert len(rows) == 100
    with page.expect_download() as download:
        page.click(".tools >> text=Excel")
    with zipfile.ZipFile(download.value.path()) as book:
        assert book.read("xl/worksheets/sheet1.xml").count(b"<row ") == 101
        assert shown[0] in book.read("xl/sharedStrings.xml").decode()


def test_three_thousand_items_scroll_smoothly(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/CA_2")
    page.wait_for_selector(".virtual tbody a")
    page.evaluate("document.querySelector('[data-rows]').scrollTop = 1e6")
    page.wait_for_selector("tr[aria-rowindex='3050']")
    assert page.locator(".virtual tbody tr").count() < 100


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
        page.goto(f"{shared_place.url}{address}")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
        found[name] = judge(page, axe)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_on_a_phone_only_down_is_scrolled_and_tables_stay_tables(shared_place: Place, visit: Open) -> None:
    """Rows fold into lines; what assistive technology reads of a table is what it reads on a desk."""
    page = visit(390, 844).page
    log_in(page, shared_place)
    for address in ("/", "/stores/CA_2", "/stores/CA_2/items/item-0007", "/docs"):
        page.goto(f"{shared_place.url}{address}")
        page.wait_for_load_state("networkidle")
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


TOO_WIDE = """() => [document.scrollingElement, ...document.querySelectorAll("table, .scroll")]
    .filter(each => each.scrollWidth > each.clientWidth)
    .map(each => `${each.className || each.tagName}: ${each.scrollWidth} > ${each.clientWidth}`)"""
CUT_OFF = """() => [...document.querySelectorAll(".virtual tbody tr[role] > *")]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"""
ROW_HEIGHTS = """() => [
    document.querySelector(".virtual tbody tr[role]").getBoundingClientRect().height,
    parseFloat(getComputedStyle(document.querySelector("[data-rows]")).getPropertyValue("--row")),
]"""


def read_tables(page: Any) -> list[tuple[str, str]]:
    """Give what a screen reader is told of the page's tables."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    parts = ("table", "row", "columnheader", "rowheader", "cell")
    return [
        (node["role"]["value"], node["name"]["value"])
        for node in tree
        if not node["ignored"] and node["role"]["value"] in parts and "name" in node
    ]


def judge(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    result = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", rules)
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:150]}" for fault in result["violations"]]


def test_the_page_stays_still_and_comes_at_once(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/")
    page.wait_for_load_state("networkidle")
    shift = page.evaluate(
        """() => new Promise(done => {
            let sum = 0;
            new PerformanceObserver(list => { for (const e of list.getEntries()) sum += e.value; })
                .observe({type: "layout-shift", buffered: true});
            setTimeout(() => done(sum), 300);
        })"""
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
