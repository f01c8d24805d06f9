"""What pages and exports say, without a browser."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta

import pytest

from foreact.blobs.folder import FolderStore
from foreact.spacing import Spacing
from serving.refreshes.records import Refresh, RefreshRecords, new_id
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.refreshes.runs import embedded

Start = Callable[..., Serving]


@pytest.mark.parametrize("days", [10, 40])
def test_a_store_left_behind_stands_in_no_sum_and_is_named(store: FolderStore, start: Start, days: int) -> None:
    """Its forecast ends before the coming week does, or before it begins."""
    shop.publish(store, ["S1"], run="run-0", as_of=shop.AS_OF - timedelta(days=days))
    shop.publish(store, ["S2", "S3"])
    serving = start()
    answer = serving.get("/")
    assert answer.status_code == 200
    assert "because their forecasts end before Sun 8 Mar: S1." in answer.text
    assert "Not in these sums" not in serving.get("/?store=S2&store=S3").text
    assert serving.get("/?store=S1").status_code == 200
    table = list(csv.reader(io.StringIO(serving.get("/export.csv").content.decode("utf-8-sig"))))
    assert [row[0] for row in table[1:]] == ["S1", "S2", "S3"]


def test_a_kept_address_shows_what_is_left_of_it(store: FolderStore, start: Start) -> None:
    shop.publish(store, ["S1", "S2"])
    serving = start()
    answer = serving.get("/?store=S1&store=Closed")
    assert answer.status_code == 200
    assert "1 of the stores in this page's address does not exist" in answer.text
    assert "this page's address" not in serving.get("/?store=S1&store=S2").text
    table = list(csv.reader(io.StringIO(serving.get("/export.csv?store=S1&store=Closed").content.decode("utf-8-sig"))))
    assert [row[0] for row in table[1:]] == ["S1"]
    assert serving.get("/?store=Closed").status_code == 404


def test_a_filter_left_empty_filters_nothing(serving: Serving) -> None:
    assert listed(serving.get("/?store=&region=&q=").text) == ["S1", "S2", "S3"]
    page = serving.get("/?store=&store=S2").text
    assert listed(page) == exported(serving, "?store=&store=S2") == ["S2"]
    assert "this page's address" not in page


def test_one_of_a_thing_is_told_as_one(store: FolderStore, start: Start) -> None:
    shop.publish(store, ["S1"], items=1, horizon=1)
    serving = start()
    for path, told in {
        "/": ("1 day from Mon 2 Mar", "expected in 1 day, most", "Next 1 day<"),
        "/stores/S1": (">1 item<", "1 item, next 1 day.", "expected in 1 day, most"),
        "/stores/S1/items/item-0000": ("1 day from Mon 2 Mar", "in the next 1 day, most"),
    }.items():
        page = serving.get(path).text
        assert [words for words in told if words not in page] == []
        assert not re.search(r"\b1 (days|items|alerts|stores)\b", page)


@pytest.mark.parametrize(
    ("spacing", "told", "heading"),
    [
        (
            Spacing.WEEKLY,
            ("4 weeks from week of 8 Mar", "in the week of 8 Mar", "last 8 weeks"),
            "next 4 weeks (units)",
        ),
        (Spacing.MONTHLY, ("3 months from month of Apr 2026", "in the month of Apr 2026"), "next 3 months (units)"),
    ],
)
def test_weeks_and_months_are_called_so(
    store: FolderStore, start: Start, spacing: Spacing, told: tuple[str, ...], heading: str
) -> None:
    shop.publish(store, ["S1", "S2"], items=3, horizon=6, spacing=spacing)
    serving = start()
    for path in ("/", "/stores/S1", "/stores/S1/items/item-0000"):
        page = serving.get(path).text
        assert [words for words in told if words not in page] == []
        assert not re.search(r"\bdays?\b", re.sub(r"<script.*?</script>|<[^>]*>|Days and times", "", page, flags=re.S))
    assert heading in serving.get("/export.csv").text
    source = serving.get("/v1/stores").json()["stores"][0]
    assert (source["spacing"], source["as_of"]) == (spacing, "2026-03-01")
    peak = serving.get("/v1/alerts?kind=peak").json()["alerts"][0]
    assert (peak["periods"], peak["spacing"]) == (spacing.window, spacing)
    # A last day, not the date of a last week or month.
    assert peak["end"] == {Spacing.WEEKLY: "2026-04-04", Spacing.MONTHLY: "2026-06-30"}[spacing]


def test_who_has_no_stores_is_told_whom_to_ask_and_offered_no_filters(store: FolderStore, start: Start) -> None:
    shop.publish(store, ["S2", "S3"])
    page = start().get("/", "viewer").text
    assert "You have no stores yet." in page
    assert "data-filters" not in page
    assert "No store matches" not in page


def test_things_are_counted_whole(serving: Serving) -> None:
    assert ">6 items<" in serving.get("/stores/S1").text


def test_the_weeks_sum_is_that_of_the_days_shown(store: FolderStore, start: Start) -> None:
    """A store refreshed on newer data begins a day later than the others."""
    for ago, stores in ((1, ["S1"]), (0, ["S2"])):
        shop.publish(store, stores, run=f"run-{ago}", as_of=shop.AS_OF - timedelta(days=ago))
    serving = start()
    totals = serving.get("/v1/totals?start=2026-03-02&end=2026-03-08").json()["rows"]
    assert len(totals) == 14
    assert f"{sum(row['mean'] for row in totals):,.0f} units are expected in 7 days" in serving.get("/").text


def test_an_export_says_whose_clock_and_how_many_days(store: FolderStore, start: Start) -> None:
    shop.publish(store, horizon=5)
    serving = start(timezone="America/Chicago")
    head, first, *_ = csv.reader(io.StringIO(serving.get("/export.csv").content.decode("utf-8-sig")))
    assert "next 5 days (units)" in head
    # Generated at 04:00 UTC: on the evening before in Chicago.
    assert first[head.index("published (America/Chicago)")] == "2026-03-01T22:00:00-06:00"
    head, *_ = csv.reader(io.StringIO(serving.get("/stores/S1/export.csv").content.decode("utf-8-sig")))
    assert "next 5 days (units)" in head


def test_an_export_holds_the_heat_map_and_the_alerts_as_shown(serving: Serving) -> None:
    with zipfile.ZipFile(io.BytesIO(serving.get("/export.xlsx").content)) as book:
        names = book.read("xl/workbook.xml").decode()
        assert all(f'name="{name}"' in names for name in ("Stores", "Total by day", "Stores by day", "Alerts"))
        assert book.read("xl/worksheets/sheet3.xml").count(b"<row ") == 1 + 3
        alerts = book.read("xl/worksheets/sheet4.xml").count(b"<row ") - 1
    assert f"{alerts} alerts for Mon 2 Mar" in serving.get("/").text


def test_an_export_holds_what_the_charts_show(serving: Serving) -> None:
    sold = serving.get("/v1/history?store=S1&item=item-0001").json()["rows"]
    head, first, *_ = csv.reader(
        io.StringIO(serving.get("/stores/S1/items/item-0001/export.csv").content.decode("utf-8-sig"))
    )
    last_year = {row["date"]: row["units"] for row in sold}["2025-03-03"]
    assert (first[head.index("date")], float(first[-1])) == ("2026-03-02", last_year)
    for page, sheets in (("stores/S1", ("Drivers", "Sold")), ("stores/S1/items/item-0001", ("Sold",))):
        with zipfile.ZipFile(io.BytesIO(serving.get(f"/{page}/export.xlsx").content)) as book:
            names = book.read("xl/workbook.xml").decode()
        assert all(f'name="{name}"' in names for name in sheets)


def listed(page: str) -> list[str]:
    """Return the stores in the order of the overview's list."""
    return re.findall(r'<th scope="row" role="rowheader"><a href="[^"]*">([^<]*)', page.partition("list stores")[2])


def exported(serving: Serving, query: str = "") -> list[str]:
    """Return the stores in the order of the overview's export."""
    text = serving.get(f"/export.csv{query}").content.decode("utf-8-sig")
    return [row[0] for row in csv.reader(io.StringIO(text))][1:]


def test_of_many_stores_a_page_lists_some_and_names_all(store: FolderStore, start: Start) -> None:
    chain = [f"S{number:03d}" for number in range(120)]
    shop.publish(store, chain, items=1, horizon=7)
    serving = start()
    page = serving.get("/").text
    assert listed(page) == chain[:100]
    assert "Stores 1 to 100 of 120" in page
    assert json.loads(page.partition('class="names">')[2].partition("<")[0]) == chain
    assert "checkbox" not in page.partition("</form>")[0].partition("data-filters")[2]
    kept = serving.get("/?store=S007&store=S100").text
    assert re.findall(r'name="store" value="(\w+)" checked', kept) == ["S007", "S100"]
    assert listed(serving.get("/?page=2").text) == listed(serving.get("/?page=9").text) == chain[100:]
    assert exported(serving) == chain
    ranked = exported(serving, "?sort=-expected")
    assert ranked != chain
    assert sorted(ranked) == chain
    pages = [listed(serving.get(f"/?sort=-expected&page={number}").text) for number in (1, 2)]
    assert [*pages[0], *pages[1]] == ranked


def test_few_stores_are_all_there_and_all_to_be_chosen(serving: Serving) -> None:
    page = serving.get("/").text
    assert listed(page) == ["S1", "S2", "S3"]
    assert page.count('name="store"') == 3
    assert "Pages of stores" not in page
    assert 'class="names"' not in page


def test_the_list_is_ordered_by_any_column_and_what_is_unknown_comes_last(store: FolderStore, start: Start) -> None:
    tables = {name: shop.make_tables(name) for name in ("S1", "S2", "S3")}
    del tables["S2"]["history"]
    shop.publish(store, tables, tables=tables)
    serving = start()
    for column in ("change", "last_year"):
        up, down = (listed(serving.get(f"/?sort={sign}{column}").text) for sign in ("", "-"))
        assert up[:2] == down[1::-1]
        assert up[2] == down[2] == "S2"
    page = serving.get("/?sort=-region").text
    assert listed(page) == ["S3", "S1", "S2"]
    assert 'aria-sort="descending"><button type="submit" form="filters"' in page
    # Whoever filters keeps the order; whoever asks for the same column again turns it round.
    assert '<input type="hidden" name="sort" value="-region">' in page
    assert 'name="sort" value="region" id="by-region"' in page
    assert serving.get("/?sort=password").status_code == 422
    assert serving.get("/?page=0").status_code == 422


def test_without_a_good_publication_no_page_speaks_of_one(store: FolderStore, start: Start) -> None:
    shop.publish(store)
    for path in (store.root / "forecasts").rglob("*.json"):
        path.chmod(0o600)
        path.write_bytes(b"{}")
    page = start().get("/", headers={"accept": "text/html"})
    assert page.status_code == 503
    assert "There are no forecasts to serve: the newest publication cannot be read." in page.text
    assert "You see the last good one" not in page.text


def test_a_failed_update_is_told_in_the_words_of_the_page(store: FolderStore, start: Start) -> None:
    shop.publish(store)
    ended = shop.NOW
    failed = Refresh(
        id=new_id(ended),
        store="S1",
        state="failed",
        requested_at=ended,
        requested_by="key:other",
        ended_at=ended,
        failed_step="validate",
        sentence="312 rows are negative",
    )
    RefreshRecords(store).finish_refresh(failed)
    serving = start(runner=embedded(store.root, lambda refresh: []))
    assert (
        "The last update failed in step “Check them”.</strong> 312 rows are negative" in serving.get("/stores/S1").text
    )
    assert "failed in step" not in serving.get("/stores/S2").text


def test_the_banner_promises_no_run_but_a_deadline(store: FolderStore, start: Start) -> None:
    shop.publish(store)
    serving = start(publish_deadline="06:30")
    for path in ("/", "/stores/S1", "/stores/S1/items/item-0001"):
        assert "<dt>Next forecast due by</dt><dd>Tue 3 Mar 2026, 06:30</dd>" in serving.get(path).text


def test_whoever_is_not_logged_in_is_told_nothing_of_what_is_published(store: FolderStore, start: Start) -> None:
    shop.publish(store)
    serving = start()
    assert "Publication 1" in serving.get("/").text
    for path in ("/login", "/docs"):
        assert "Publication" not in serving.client.get(path).text.partition("<footer")[2]


def test_how_good_forecasts_are_is_weighed_against_last_week_repeated(serving: Serving) -> None:
    page = serving.get("/stores/S1").text
    assert "<dt>Last week repeated would miss an item\N{RIGHT SINGLE QUOTATION MARK}s day by</dt><dd>34" in page


def test_links_work_before_any_script_does(serving: Serving) -> None:
    page = serving.get("/stores/S1").text
    for kind in ("csv", "xlsx"):
        assert f'href="/stores/S1/export.{kind}"' in page
        assert serving.get(f"/stores/S1/export.{kind}").status_code == 200
