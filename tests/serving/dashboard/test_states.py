"""Every state that a planner can meet besides the good one."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.dashboard.pages import failure_page
from tests.serving import shop
from tests.serving.dashboard.conftest import Open, Place, log_in, run_service

pytestmark = pytest.mark.chromium


def test_before_the_first_publication_the_page_waits_for_it(tmp_path: Path, visit: Open, shots: Path) -> None:
    place: Place
    for place in run_service(tmp_path, published=False):
        opened = visit()
        # A page that is not answered with what was asked for is a complaint of the browser's.
        opened.meant.append("503")
        page = opened.page
        log_in(page, place)
        page.wait_for_selector("h1:has-text('No forecasts yet')")
        page.screenshot(path=shots / "nothing-yet.png")
        now = datetime.now(UTC)
        # Old data: published, and red.
        shop.publish(place.store, ["S1"], as_of=now.date() - timedelta(days=30), generated_at=now)
        page.wait_for_selector(".banner.bad strong")
        assert "1 of 1 stores is not up to date" in page.inner_text(".banner.bad")
        assert "sales end on" in page.inner_text(".banner.bad")
        page.screenshot(path=shots / "stale.png")


def test_a_store_that_is_not_there_is_told(shared_place: Place, visit: Open) -> None:
    opened = visit()
    opened.meant.append("404")
    log_in(opened.page, shared_place)
    opened.page.goto(f"{shared_place.url}/stores/XX_9")
    assert opened.page.inner_text("h1") == "No such store here"
    opened.page.goto(f"{shared_place.url}/stores/CA_1/items/none")
    assert opened.page.inner_text("h1") == "No such item here"


def test_a_service_out_of_reach_is_told(shared_place: Place, visit: Open) -> None:
    opened = visit()
    opened.meant.append("ERR_INTERNET_DISCONNECTED")
    page = opened.page
    log_in(page, shared_place)
    page.goto(f"{shared_place.url}/stores/CA_1")
    page.context.set_offline(True)
    page.click("text=Update forecast")
    page.wait_for_selector(".run.failed")
    assert "does not answer" in page.inner_text(".run .message")


def test_a_filter_out_of_reach_leaves_the_page_readable(shared_place: Place, visit: Open) -> None:
    opened = visit()
    opened.meant.append("ERR_INTERNET_DISCONNECTED")
    page = opened.page
    log_in(page, shared_place)
    page.context.set_offline(True)
    page.check("[name=region][value=Texas]")
    page.wait_for_selector("#unreachable:visible")
    assert "does not answer" in page.inner_text("#unreachable")
    assert page.is_visible("table.heat")
    page.context.set_offline(False)
    page.check("[name=region][value=California]")
    page.wait_for_selector("#unreachable", state="hidden")


def test_a_failure_is_told_and_takes_no_page_away_unasked(shared_place: Place, visit: Open) -> None:
    opened = visit()
    opened.meant.append("500")
    page = opened.page
    log_in(page, shared_place)
    failure = failure_page("the-code")
    pages = re.compile(r"/(\?.*)?$")
    page.route(pages, lambda route: route.fulfill(status=500, content_type="text/html", body=failure.body))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("#unreachable:visible")
    assert page.is_visible("table.heat")
    page.click("[name=region][value=Texas]")
    page.wait_for_selector("h1:has-text('Something went wrong here')")
    assert page.inner_text("code") == "the-code"
    page.unroute(pages)
    page.click("a:has-text('Try again')")
    page.wait_for_selector("h1:has-text('TX_1: the week ahead')")


def test_an_update_that_a_gateway_answers_is_told(shared_place: Place, visit: Open) -> None:
    opened = visit()
    opened.meant.append("502")
    page = opened.page
    log_in(page, shared_place)
    page.route("**/refreshes", lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad"))
    page.click("[data-refresh][data-store=TX_1]")
    page.wait_for_selector(".run.failed")
    told = "The update could not be requested: the service did not accept the request."
    assert page.inner_text(".run .message") == told


def test_wrong_passwords_and_used_links_are_told(shared_place: Place, visit: Open) -> None:
    opened = visit()
    opened.meant.append("401")
    page = opened.page
    page.goto(f"{shared_place.url}/login")
    page.fill("[name=password]", "guess")
    page.click("button:has-text('Log in')")
    assert "The account or the password is wrong." in page.inner_text("[role=alert]")
    page.goto(f"{shared_place.url}/login/once?token=guess")
    assert "used already" in page.inner_text("[role=alert]")
