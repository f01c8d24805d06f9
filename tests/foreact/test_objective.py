"""Deadlines are counted exactly, once, and from what was published then."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.objective import FOLDER, Outcome, count_deadlines, describe_outcomes, tally_outcomes
from foreact.publications import Publisher, Reader, put_object
from foreact.publications.contract import manifest_name, object_name
from foreact.publications.freshness import Promise
from foreact.telemetry.scorecards import Scorecards, write_scorecards
from tests.serving import shop

KEEP_DAYS = 90

PROMISE = Promise.from_settings("UTC", "08:30")
MONDAY = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
SOON = timedelta(minutes=20)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def publish(store: FolderStore, at: datetime, stores: str = "AB", as_of: date | None = None, horizon: int = 3) -> None:
    day = as_of or at.date() - timedelta(days=1)
    run = f"run-{at:%d-%H%M}"
    shop.publish(store, stores, run=run, items=1, horizon=horizon, as_of=day, generated_at=at)


def test_what_counts_is_what_was_published_at_the_deadline(store: FolderStore) -> None:
    publish(store, MONDAY - timedelta(hours=4), "AB")
    publish(store, MONDAY - timedelta(hours=4), "C", as_of=date(2026, 2, 27))
    publish(store, MONDAY + timedelta(hours=1), "C")
    assert count_deadlines(store, store, PROMISE, MONDAY + timedelta(minutes=10)) == []
    [outcome] = count_deadlines(store, store, PROMISE, MONDAY + timedelta(hours=5))
    assert (outcome.deadline, outcome.version, outcome.due, outcome.kept) == (MONDAY, 2, 3, 2)
    assert outcome.named == {"C": "stale"}


def test_a_deadline_is_counted_once_whatever_becomes_of_the_archive(store: FolderStore) -> None:
    publish(store, MONDAY - timedelta(hours=4))
    counted = count_deadlines(store, store, PROMISE, MONDAY + SOON)
    for info in list(store.list("forecasts/")):
        store.delete(info.name)
    assert count_deadlines(store, store, PROMISE, MONDAY + timedelta(hours=9)) == counted


def test_deadlines_that_nobody_saw_are_counted_later(store: FolderStore) -> None:
    publish(store, MONDAY - timedelta(hours=4))
    count_deadlines(store, store, PROMISE, MONDAY + SOON)
    publish(store, MONDAY + timedelta(days=2, hours=-4))
    publish(store, MONDAY + timedelta(days=3, hours=-4))
    outcomes = count_deadlines(store, store, PROMISE, MONDAY + timedelta(days=3, hours=1))
    assert [(outcome.version, outcome.kept) for outcome in outcomes] == [(1, 2), (1, 0), (2, 2), (3, 2)]
    tally = tally_outcomes(outcomes)
    assert tally is not None
    assert dict(tally.list_states()) == {"due": 8, "kept": 6, "stale": 2, "incomplete": 0, "outside": 0}


def test_a_day_without_business_has_no_deadline(store: FolderStore) -> None:
    promise = Promise.from_settings("UTC", "08:30", "01234")
    friday = MONDAY - timedelta(days=3)
    publish(store, friday - timedelta(hours=4))
    count_deadlines(store, store, promise, friday + SOON)
    publish(store, MONDAY - timedelta(hours=4))
    outcomes = count_deadlines(store, store, promise, MONDAY + timedelta(days=1))
    assert [outcome.deadline.date().isoformat() for outcome in outcomes] == ["2026-02-27", "2026-03-02"]


@pytest.mark.parametrize("harm", ["gone", "short", "over"])
def test_a_store_without_all_of_its_numbers_is_incomplete(store: FolderStore, harm: str) -> None:
    publish(store, MONDAY - timedelta(hours=4), "B")
    publish(store, MONDAY - timedelta(hours=4), "A", as_of=date(2026, 3, 1), horizon=0 if harm == "over" else 3)
    entry = Reader(store).read_current().manifest.stores["A"]
    if harm == "gone":
        store.delete(entry.objects["totals"].name)
    elif harm == "short":
        store.write(entry.objects["totals"].name, b"x")
    [outcome] = count_deadlines(store, store, PROMISE, MONDAY + SOON)
    assert outcome.named == {"A": "incomplete"}


def test_an_outline_that_is_gone_takes_no_number(store: FolderStore) -> None:
    publish(store, MONDAY - timedelta(hours=4))
    current = Reader(store).read_current().manifest
    outline = put_object(store, object_name("r", "A", "outline"), b"soon gone")
    entry = current.stores["A"]
    with_outline = entry.model_copy(update={"objects": {**entry.objects, "outline": outline}})
    Publisher(store, now=lambda: MONDAY - timedelta(hours=4)).publish({"A": with_outline}, by="test", reason="test")
    store.delete(outline.name)
    [outcome] = count_deadlines(store, store, PROMISE, MONDAY + SOON)
    assert outcome.named == {}


def test_intervals_that_fail_for_days_on_end_miss_the_promise(store: FolderStore) -> None:
    for ago in range(1, 4):
        stores = {"A": {"coverage": 0.2}, "B": {"coverage": 0.2 if ago > 1 else 0.8}}
        day = MONDAY.date() - timedelta(days=ago)
        write_scorecards(store, Scorecards(run=f"r{ago}", as_of=day, stores=stores))
    # What Monday's sales say is not known at Monday's deadline.
    write_scorecards(store, Scorecards(run="r", as_of=MONDAY.date(), stores={"A": {"coverage": 0.8}}))
    publish(store, MONDAY - timedelta(hours=4))
    [outcome] = count_deadlines(store, store, PROMISE, MONDAY + SOON)
    assert outcome.named == {"A": "outside"}


def outcomes(*kept: int, due: int = 100) -> list[Outcome]:
    days = enumerate(kept)
    return [
        Outcome(deadline=MONDAY + timedelta(days=day), version=1, due=due, kept=each, missed={"stale": due - each})
        for day, each in days
    ]


def test_the_budget_is_a_thousandth_of_28_days() -> None:
    counted = outcomes(0, *[1000] * 27, 986, due=1000)
    tally = tally_outcomes(counted)
    assert tally is not None
    assert (tally.deadlines, tally.due) == (28, 28_000)
    assert tally.budget_left == pytest.approx(0.5)
    last = tally_outcomes(counted, 1)
    assert last is not None
    assert last.kept_share == 0.986
    assert tally_outcomes([]) is None


def test_it_is_said_in_sentences() -> None:
    assert describe_outcomes([]) == []
    assert describe_outcomes(outcomes(100)) == [
        "1 deadline in 28 days: 100 of 100 store-days kept, 100.00%; 99.9% is promised, "
        "100% of the error budget is left."
    ]
    counted = outcomes(100, 98)
    named = counted[-1].model_copy(update={"named": {"Kiel": "stale", "Ulm": "outside"}})
    assert describe_outcomes([counted[0], named]) == [
        "2 missed the deadline 2026-03-03 08:30: 'Kiel (stale)', 'Ulm (outside)'.",
        "2 deadlines in 28 days: 198 of 200 store-days kept, 99.00%; 99.9% is promised, "
        "the error budget is spent 10.0 times.",
    ]


def test_a_damaged_record_or_manifest_hides_no_other_deadline(store: FolderStore) -> None:
    for day in range(3):
        publish(store, MONDAY + timedelta(days=day, hours=-4))
        count_deadlines(store, store, PROMISE, MONDAY + timedelta(days=day) + SOON)
    store.write(f"{FOLDER}2026-03-03.json", b"{")
    publish(store, MONDAY + timedelta(days=3, hours=-4))
    publish(store, MONDAY + timedelta(days=4, hours=-4))
    store.write(manifest_name(4), b"torn")
    counted = count_deadlines(store, store, PROMISE, MONDAY + timedelta(days=4) + SOON)
    # The torn version was not served: planners saw the one before it.
    assert [(each.deadline.day, each.version, each.kept) for each in counted] == [
        (2, 1, 2),
        (4, 3, 2),
        (5, 3, 0),
        (6, 5, 2),
    ]


def test_old_records_are_deleted(store: FolderStore) -> None:
    publish(store, MONDAY - timedelta(hours=4))
    for ago in (KEEP_DAYS + 1, KEEP_DAYS - 1):
        store.write(f"{FOLDER}{MONDAY.date() - timedelta(days=ago)}.json", b"{}")
    count_deadlines(store, store, PROMISE, MONDAY + SOON, keep_days=KEEP_DAYS)
    left = [info.name.removeprefix(FOLDER) for info in store.list(FOLDER)]
    assert len(left) >= 2
    assert left[0] == f"{MONDAY.date() - timedelta(days=KEEP_DAYS - 1)}.json"


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_each_store_is_counted_at_the_deadline_of_its_own_clocks(store: FolderStore, day: datetime) -> None:
    promise = Promise.from_settings("Europe/Berlin", "08:30")
    zones = {"Lisboa": "Europe/Lisbon", "Athina": "Europe/Athens"}
    berlin = promise.deadline_of(day.date())
    night = {"items": 1, "horizon": 5, "as_of": day.date() - timedelta(days=1), "zones": zones}
    before = {**night, "as_of": day.date() - timedelta(days=2), "generated_at": berlin - timedelta(hours=28)}
    shop.publish(store, ["Lisboa", "Athina", "Kiel"], run="before", **before)
    # Athens is an hour ahead of Berlin, Lisbon an hour behind.
    for run, names, minutes in (("1", ["Athina", "Kiel"], -30), ("2", ["Lisboa"], 30)):
        shop.publish(store, names, run=run, generated_at=berlin + timedelta(minutes=minutes), **night)
    [yesterday] = count_deadlines(store, store, promise, berlin + timedelta(minutes=50))
    assert yesterday.deadline.date() == day.date() - timedelta(days=1)
    outcomes = count_deadlines(store, store, promise, berlin + timedelta(minutes=80), [yesterday])
    assert [(outcome.deadline, outcome.due, outcome.named) for outcome in outcomes[1:]] == [
        (berlin, 3, {"Athina": "stale"})
    ]
    assert count_deadlines(store, store, promise, berlin + timedelta(minutes=90), outcomes) == outcomes
