"""The three stories of a planner's morning, in a real browser."""

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.serving import shop
from tests.serving.dashboard.conftest import TOO_WIDE, Open, Place, judge, log_in, run_service

pytestmark = pytest.mark.chromium


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
    assert page.locator(".run li.succeeded").count() == 5
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
        assert panel.locator("li.succeeded").count() == 5
        panel.locator("text=Close").click()
    assert page.locator(".run").count() == 0
    assert page.is_enabled("[data-refresh][data-store=CA_2]")
    shared_place.how.write_text("well")


# Whoever reads an answer goes on with it before the next task begins.
FOLLOW_NEXT_ANSWER = """() => {
    const read = Response.prototype.text;
    window.dealtWith = new Promise(done => {
        Response.prototype.text = function () {
            Response.prototype.text = read;
            const text = read.call(this);
            text.then(() => setTimeout(done));
            return text;
        };
    });
}"""


def test_a_page_left_open_shows_what_is_published_since(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    before = page.inner_text(".foot span >> nth=0")
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate("document.querySelector('.tiles').dataset.old = '1'")
    page.evaluate(FOLLOW_NEXT_ANSWER)
    page.evaluate(look)
    page.evaluate("dealtWith")
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
    assert said.startswith("The update failed in step “Check them”: the column 'units' has 312 negative rows")
    assert "The last good forecast is still shown." in said
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
    assert page.text_content("#announcer") == "2 of 3 stores: the week ahead"
    assert page.locator("table.list tbody tr").count() == 2
    page.fill("[name=q]", "ca_2")
    page.wait_for_url("**/?q=ca_2&region=California")
    page.wait_for_selector("h1:has-text('CA_2')")
    page.goto(page.url)
    assert page.input_value("[name=q]") == "ca_2"
    page.fill("[name=q]", "nowhere")
    page.wait_for_selector("text=No store matches")
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
    page.evaluate(FOLLOW_NEXT_ANSWER)
    held[0].continue_()
    page.evaluate("dealtWith")
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
    assert "weekday" in page.text_content("#announcer")


def test_exports_equal_the_screen(shared_place: Place, visit: Open) -> None:
    page = visit().page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/CA_2")
    page.wait_for_selector(".virtual tbody a")
    # What is searched for leads no link astray.
    page.fill("[data-find]", ".csv")
    page.fill("[data-find]", "item-01")
    page.click("[data-sort=change]")
    page.wait_for_selector("text=items match")
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
