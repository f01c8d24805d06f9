"""Every rule: kept by sound data, and broken data told with counts, rows and one sentence."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from foreact.data.checks import partition
from foreact.errors import ForeactError
from tests.foreact.data.checks.findings import DAYS, Check, Rows, broken, find
from tests.shops import TODAY, days, take_in


def test_sound_data_keeps_every_rule(check: Check, rows: Rows) -> None:
    outcome = check(rows)
    assert broken(outcome) == set()
    assert outcome.problem == ""
    assert len(outcome.findings.findings) >= 12


def test_a_few_faulty_rows_are_put_aside(check: Check, rows: Rows, tmp_path: Path) -> None:
    """A row told twice, and two rows that disagree: none becomes a day without sales."""
    rows += [list(rows[20]), [*rows[30][:3], 99]]
    outcome = check(rows, limits={"max_rejected_share": 0.05})
    assert outcome.problem == ""
    assert broken(outcome) == {"one row a store, item and date"}
    assert find(outcome, "one row a store, item and date").broken == 3
    text = (tmp_path / "rejected.csv").read_text()
    # Kubeflow shows the first 256 bytes.
    assert text.startswith('"rule","store","item","date","units","detail"\n"one row a store, item and date","A","x",')
    listed = list(csv.DictReader(text.splitlines()))
    assert {(row["rule"], row["store"], row["item"], row["date"], row["units"]) for row in listed} == {
        ("one row a store, item and date", "A", "x", str(DAYS[5]), "10"),
        ("one row a store, item and date", "B", "x", str(DAYS[7]), "5"),
        ("one row a store, item and date", "B", "x", str(DAYS[7]), "99"),
    }
    checked = outcome.checked
    panels = {store: checked.pack_store(store).make_panel() for store in checked.stores}
    assert panels["A"].units[0, 5] == 10
    assert np.isnan(panels["B"].units[0, 7])
    assert np.isnan(panels["B"].units[:, :40]).sum() == 1
    assert not np.isnan(panels["A"].units[:, :40]).any()
    assert checked.info.rows == 160
    assert checked.info.rejected == {"one row a store, item and date": 3}


def test_returns_are_netted_by_day_and_refuse_nothing(check: Check, rows: Rows, tmp_path: Path) -> None:
    """A third of the days have returns in rows of their own, and on one day more is returned than sold."""
    rows += [[*row[:3], -2] for row in rows[::3]]
    rows[10][3] = -3
    outcome = check(rows)
    assert (outcome.problem, broken(outcome)) == ("", set())
    assert outcome.findings.notes == [
        "54 rows of a store, item and date had returns apart: they are netted.",
        f"1 row had more returns than sales, such as store 'B', item 'x', {DAYS[2]}: nothing was sold there.",
    ]
    for told in (outcome.page, (tmp_path / "events").read_text()):
        assert "54 rows of a store" in told
        assert "1 row had more returns" in told
    units = outcome.checked.pack_store("B").make_panel().units
    assert units[0, :4].tolist() == [5, 4, 0, 8]


def test_a_sign_the_other_way_round_is_refused(check: Check, rows: Rows) -> None:
    outcome = check([[*row[:3], -row[3]] for row in rows])
    assert broken(outcome) >= {"more is sold than returned"}
    assert "--columns units=NAME" in outcome.problem


def test_mended_partitions_have_a_hash_of_their_own(check: Check, rows: Rows, tmp_path: Path) -> None:
    rows[10][3] = -3
    outcome = check(rows)
    source = take_in(tmp_path, tmp_path / "sales.csv")
    before, after = source.info.stores, outcome.checked.info.stores
    assert before["A"] == after["A"]
    assert before["B"].sha256 != after["B"].sha256
    assert source.pack_store("B").make_panel().units[0, 2] == -3, "the dataset itself stays as it was"


def test_too_many_faulty_rows_refuse_the_data(check: Check, rows: Rows, tmp_path: Path) -> None:
    for row in rows[:40]:
        row[3] = "many"
    outcome = check(rows)
    assert (
        '"few rows are rejected" (40 of 160): 25.00% are, where at most 1.00% may be (--max-rejected-share), most of '
        """all for "units that are not a number, or beyond 1e12" (40), such as store 'A', item 'x', 2025-02-20, """
        "found 'many'" in outcome.problem
    )
    assert "units that are not a number, or beyond 1e12" in outcome.problem
    assert "'many'" in outcome.problem
    checked = outcome.checked
    with pytest.raises(ForeactError, match="The data is refused"):
        checked.pack_store("A")
    with pytest.raises(ForeactError, match="The data is refused"):
        checked.require_sound()
    assert len((tmp_path / "rejected.csv").read_text().splitlines()) == 41


def test_a_table_without_one_usable_row(check: Check, rows: Rows) -> None:
    for row in rows:
        row[0] = "some day"
    outcome = check(rows)
    assert {"there are rows that can be used", "few rows are rejected", "no date that can be read"} <= broken(outcome)
    assert "such as store 'A', item 'x', some day" in outcome.problem


@pytest.mark.parametrize(
    ("count", "horizon", "says"),
    [
        (1, 7, "it covers 1 day, 2025-03-31 to 2025-03-31; to forecast 7 days, .* must cover 21"),
        (40, 60, "it covers 40 days, .*; to forecast 60 days, .* must cover 74"),
    ],
)
def test_a_history_too_short_for_the_horizon(check: Check, rows: Rows, count: int, horizon: int, says: str) -> None:
    outcome = check([row for row in rows if row[0] in DAYS[-count:]], horizon=horizon)
    assert re.search(says, outcome.problem), outcome.problem


def test_old_data_and_stores_that_lag_are_warnings(check: Check, rows: Rows) -> None:
    outcome = check(
        [row for row in rows if row[1] == "A" or row[0] < DAYS[30]], limits={"today": TODAY.replace(year=2026)}
    )
    assert outcome.problem == ""
    assert broken(outcome) == {"the history is fresh", "no store lags behind"}
    assert find(outcome, "no store lags behind").samples[0].store == "B"


def test_a_history_of_dates_far_apart_is_refused(check: Check) -> None:
    far = [[day, store, "x", 150] for day in days(400)[::30] for store in ("A", "B")]
    outcome = check(far)
    assert "its rows are 30 days apart, and forecasts are by day" in outcome.problem
    assert check(far, missing="zero").problem == ""
    assert check(far, spacing="monthly", horizon=3).problem == ""


def test_periods_are_counted_as_the_history_has_them(check: Check) -> None:
    """A week without rows is one of 58 unknown, and a last week of a fortnight ago is not late yet."""
    weeks = days(406)[::-7]
    outcome = check([[day, store, "x", 35] for day in weeks[1:] for store in ("A", "B") if day != weeks[9]])
    assert broken(outcome) == set()
    assert all(finding.rule != "fast items do not stop selling for some days" for finding in outcome.findings.findings)
    outcome = check(
        [[day, "A", "x", 35] for day in weeks] + [[day, "B", "x", 35] for day in (*weeks[5:15], *weeks[45:])]
    )
    assert broken(outcome) == {"stores have rows on most dates", "no store lags behind"}
    assert find(outcome, "stores have rows on most dates").samples[0].found == "23 of 53 weeks"
    assert "more than 4 weeks before" in find(outcome, "no store lags behind").detail
    outcome = check([[day, "A", "x", 35] for day in weeks[:12]], horizon=8)
    assert "to forecast 8 weeks, and to check that on weeks already known, it must cover 16" in outcome.problem


def test_more_repeated_rows_than_can_be_named_are_refused(
    check: Check, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "MOST_REPEATED", 3)
    with pytest.raises(ForeactError, match="Store 'A' has 5 rows that repeat the item and date of another: write one"):
        check(rows + [list(rows[20])] * 5)


def test_a_shop_that_shuts_twice_a_week_has_rows_on_most_days(check: Check, rows: Rows) -> None:
    outcome = check([row for row in rows if row[0].weekday() < 5])
    assert broken(outcome) == set()


def test_doubting_zeros_of_weeks_is_told_to_do_nothing(check: Check) -> None:
    weeks = [[day, "A", "x", 35] for day in days(406)[::-7]]
    told = "--stockouts doubt strikes nothing out of this history: its rows are weekly."
    assert told in check(weeks, stockouts="doubt").findings.notes
    assert told not in check(weeks).findings.notes


def test_what_vanished_since_the_last_publication_is_named(check: Check, rows: Rows) -> None:
    previous = {"A": ["x", "y", "z"], "B": ["x"], "C": ["x", "y"]}
    outcome = check(rows, limits={"find_previous": lambda: previous})
    assert outcome.problem == ""
    assert [str(one) for one in find(outcome, "published stores are still there").samples] == ["store 'C'"]
    assert [str(one) for one in find(outcome, "published items are still there").samples] == ["store 'A', item 'z'"]


def test_series_that_are_hard_to_forecast_are_named(check: Check, rows: Rows) -> None:
    rows[8 * 4][3] = 9000
    for row in rows[1::4]:
        # No more than a few days of the whole store.
        row[3] = 2500
    rows += [[day, "A", "zero", 0] for day in DAYS] + [[DAYS[-1], "B", "new", 3]]
    outcome = check(rows)
    assert outcome.problem == ""
    assert (
        str(find(outcome, "no day sells implausibly much").samples[0])
        == f"store 'A', item 'x', {DAYS[8]}, found '9000'"
    )
    unsold = find(outcome, "every item has sold at least once")
    assert [str(one) for one in unsold.samples] == ["store 'A', item 'zero'"]
    assert [str(one) for one in find(outcome, "every item has more than one row").samples] == ["store 'B', item 'new'"]


@pytest.mark.parametrize(("stockouts", "means"), [("keep", "--stockouts doubt"), ("doubt", "no evidence of demand")])
def test_stock_outs_without_a_flag_are_told_and_struck_out_on_demand(
    check: Check, tmp_path: Path, stockouts: str, means: str
) -> None:
    """Both stores lack an item for three days: one writes no row then, the other zeros."""
    every = days(120)
    rows = [[day, store, item, 12 + day.weekday()] for day in every for store in "AB" for item in "xyz"]
    out = {("A", "x", day) for day in every[90:93]} | {("B", "y", day) for day in every[100:103]}
    rows = [[*row[:3], 0] if (row[1], row[2], row[0]) in out else row for row in rows]
    rows = [row for row in rows if row[3] or row[1] == "B"]
    outcome = check(rows, stockouts=stockouts)
    told = find(outcome, "fast items do not stop selling for some days")
    assert outcome.problem == ""
    assert told.broken == 6
    assert [str(one) for one in told.samples] == [
        f"store 'A', item 'x', {every[90]}, found '3 days'",
        f"store 'B', item 'y', {every[100]}, found '3 days'",
    ]
    assert told.detail.startswith("6 days of 2 items sold next to nothing")
    assert means in told.detail
    assert told.detail in outcome.page
    assert "6 days of 2 items" in (tmp_path / "events").read_text()
    struck = outcome.checked.pack_store("A").make_panel().stockout
    assert (None if struck is None else np.argwhere(struck).tolist()) == (
        [[0, 90], [0, 91], [0, 92]] if stockouts == "doubt" else None
    )


class Page(HTMLParser):
    """What a browser would make of a page: its elements and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("href", "src", "style") or name.startswith("on")
        ]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_report_shows_hostile_ids_as_text_and_needs_nothing_else(check: Check, rows: Rows) -> None:
    hostile = "<script>alert('1')</script><img src=x onerror=alert(2)>"
    rows[0][1:] = [f'"{hostile}"', "x", "</table><b>five</b>"]
    outcome = check(rows, limits={"max_rejected_share": 0.001})
    page = Page(outcome.page)
    ours = "html head meta title style body h1 h2 p table thead tbody tr th td br small span details summary ul li"
    assert page.tags <= set(ours.split())
    assert page.links == []
    assert "//" not in outcome.page.replace("</", "")
    assert hostile in page.words
    assert "</table><b>five</b>" in page.words
    assert outcome.problem
    assert outcome.problem in page.words


def test_metrics_and_events(check: Check, rows: Rows, tmp_path: Path) -> None:
    rows[0][3] = "n/v"
    outcome = check(rows)
    assert outcome.metrics["rejected_rows"] == 1
    assert outcome.metrics["rejected_share"] == pytest.approx(1 / 160)
    assert outcome.metrics["warnings"] == 1
    assert '"step": "validate", "state": "succeeded"' in (tmp_path / "events").read_text()
