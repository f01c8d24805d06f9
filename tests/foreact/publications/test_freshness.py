"""The promise: by the deadline, today's forecasts on yesterday's sales."""

from datetime import UTC, date, datetime, timedelta

import pytest

from foreact.errors import ForeactError
from foreact.publications.contract import PublishedModel, StoreEntry
from foreact.publications.freshness import Promise, judge_freshness
from foreact.spacing import Spacing

BERLIN = Promise.from_settings("Europe/Berlin", "08:30")


def entry(as_of: str, generated_at: str, spacing: Spacing = Spacing.DAILY, zone: str = "") -> StoreEntry:
    return StoreEntry(
        run="r",
        as_of=date.fromisoformat(as_of),
        generated_at=datetime.fromisoformat(generated_at),
        horizon=28,
        spacing=spacing,
        items=1,
        model=PublishedModel(name="m"),
        data_hash="h",
        code_version="c",
        objects={},
        attributes={"time_zone": zone} if zone else {},
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "as_of", "generated_at", "state"),
    [
        # Tuesday's run, seen on Tuesday morning and until Wednesday's deadline.
        ("2026-03-03T09:00+01:00", "2026-03-02", "2026-03-03T04:00+01:00", "fresh"),
        ("2026-03-04T08:29+01:00", "2026-03-02", "2026-03-03T04:00+01:00", "fresh"),
        ("2026-03-04T08:30+01:00", "2026-03-02", "2026-03-03T04:00+01:00", "stale"),
        # Published on time, but of old sales.
        ("2026-03-03T09:00+01:00", "2026-02-27", "2026-03-03T04:00+01:00", "stale"),
        # The evening before, of that day's sales.
        ("2026-03-03T09:00+01:00", "2026-03-02", "2026-03-02T22:30+01:00", "fresh"),
        # Old data may be run, and stays red.
        ("2026-03-03T09:00+01:00", "2016-05-22", "2026-03-03T08:00+01:00", "stale"),
    ],
)
def test_states(now: str, as_of: str, generated_at: str, state: str) -> None:
    judged = judge_freshness(entry(as_of, generated_at), BERLIN, at(now))
    assert judged.state == state
    assert bool(judged.reasons) == (state == "stale")


def test_nothing_published_is_missing() -> None:
    assert judge_freshness(None, BERLIN, datetime(2026, 3, 3, tzinfo=UTC)).state == "missing"


def test_a_closed_day_asks_for_nothing() -> None:
    weekdays = Promise.from_settings("Europe/Berlin", "08:30", "012345", [date(2026, 5, 1)])
    # Friday 1 May is closed, Sunday is no business day: on Monday, Saturday's sales are the newest.
    made = entry("2026-05-02", "2026-05-04T04:00+02:00")
    assert judge_freshness(made, weekdays, at("2026-05-04T09:00+02:00")).is_fresh
    # On Friday the deadline of Thursday still counts.
    made = entry("2026-04-29", "2026-04-30T04:00+02:00")
    assert judge_freshness(made, weekdays, at("2026-05-01T12:00+02:00")).is_fresh


@pytest.mark.parametrize(
    ("as_of", "generated_at", "reason"),
    [
        ("2026-03-02", "2026-03-02T22:30+01:00", ""),
        ("2026-02-28", "2026-03-03T00:00+01:00", ""),
        (
            "2026-02-28",
            "2026-03-02T23:59+01:00",
            "published 2026-03-02 23:59, before the day of the deadline 2026-03-03",
        ),
        ("2026-02-27", "2026-03-03T04:00+01:00", "sales end on 2026-02-27, expected were those up to 2026-02-28"),
    ],
)
def test_sales_may_be_late_by_so_many_days_if_the_forecast_is_of_today(
    as_of: str, generated_at: str, reason: str
) -> None:
    late = Promise.from_settings("Europe/Berlin", "08:30", slack=2)
    judged = judge_freshness(entry(as_of, generated_at), late, at("2026-03-03T09:00+01:00"))
    assert " ".join(judged.reasons).startswith(reason)
    assert judged.is_fresh == (not reason)


def test_the_next_deadline_is_of_the_next_business_day() -> None:
    weekdays = Promise.from_settings("Europe/Berlin", "08:30", "01234", [date(2026, 3, 9)])
    for now, deadline in (
        ("2026-03-05T08:29+01:00", "2026-03-05T08:30+01:00"),
        ("2026-03-05T08:30+01:00", "2026-03-06T08:30+01:00"),
        ("2026-03-06T09:00+01:00", "2026-03-10T08:30+01:00"),
    ):
        assert weekdays.next_deadline(at(now)) == at(deadline)


def test_a_deadline_can_be_kept_once_the_business_day_before_is_over() -> None:
    weekdays = Promise.from_settings("Europe/Berlin", "08:30", "01234")
    for now, deadline in (
        ("2026-03-05T00:01+01:00", "2026-03-05T08:30+01:00"),
        ("2026-03-05T08:31+01:00", "2026-03-05T08:30+01:00"),
        ("2026-03-06T23:59+01:00", "2026-03-06T08:30+01:00"),
        ("2026-03-07T00:01+01:00", "2026-03-09T08:30+01:00"),
    ):
        assert weekdays.reachable_deadline(at(now)) == at(deadline)


@pytest.mark.parametrize(
    ("day", "offset"), [("2026-03-28", "+01:00"), ("2026-03-29", "+02:00"), ("2026-10-25", "+01:00")]
)
def test_the_deadline_keeps_the_wall_clock_when_the_clocks_change(day: str, offset: str) -> None:
    noon = at(f"{day}T12:00{offset}")
    deadline = BERLIN.last_deadline(noon)
    assert deadline.isoformat() == f"{day}T08:30:00{offset}"
    assert BERLIN.next_deadline(noon) == deadline + timedelta(days=1)


def test_a_deadline_in_the_skipped_hour_still_comes() -> None:
    night = Promise.from_settings("Europe/Berlin", "02:30")
    # 02:30 does not exist on 29 March; its moment is 03:30 summer time.
    assert night.last_deadline(at("2026-03-29T03:31+02:00")).date() == date(2026, 3, 29)
    assert night.last_deadline(at("2026-03-29T01:59+01:00")).date() == date(2026, 3, 28)


def test_bad_settings_are_told() -> None:
    with pytest.raises(ForeactError, match="not a time zone"):
        Promise.from_settings("Mars/Olympus", "08:30")
    with pytest.raises(ForeactError, match="not a time of day"):
        Promise.from_settings("UTC", "half past")
    for weekdays in ("", "1-5", "weekdays"):
        with pytest.raises(ForeactError, match="are not weekdays"):
            Promise.from_settings("UTC", "08:30", weekdays)


@pytest.mark.parametrize(
    ("now", "spacing", "as_of", "state"),
    [
        # The week from Thursday, 26 February on ends on Wednesday; its sales are due by Thursday's deadline.
        ("2026-03-05T08:29+01:00", Spacing.WEEKLY, "2026-02-19", "fresh"),
        ("2026-03-05T08:30+01:00", Spacing.WEEKLY, "2026-02-19", "stale"),
        ("2026-03-05T08:30+01:00", Spacing.WEEKLY, "2026-02-26", "fresh"),
        # A month is due once it is over, whether it bears its first or its last day.
        ("2026-02-28T12:00+01:00", Spacing.MONTHLY, "2026-01-01", "fresh"),
        ("2026-03-01T12:00+01:00", Spacing.MONTHLY, "2026-01-01", "stale"),
        ("2026-02-28T12:00+01:00", Spacing.MONTHLY, "2026-01-31", "fresh"),
        ("2026-03-01T12:00+01:00", Spacing.MONTHLY, "2026-01-31", "stale"),
    ],
)
def test_weeks_and_months_are_due_once_they_are_over(now: str, spacing: Spacing, as_of: str, state: str) -> None:
    judged = judge_freshness(entry(as_of, "2026-02-20T04:00+01:00", spacing), BERLIN, at(now))
    assert judged.state == state
    if state == "stale":
        assert judged.reasons[-1].startswith(f"sales end with the {spacing.period} of {as_of}")


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        # Around the nights in which clocks go forward and back; half past eight there.
        ("Europe/Lisbon", ["2026-03-28T08:30Z", "2026-03-29T07:30Z", "2026-10-24T07:30Z", "2026-10-25T08:30Z"]),
        ("Europe/Athens", ["2026-03-28T06:30Z", "2026-03-29T05:30Z", "2026-10-24T05:30Z", "2026-10-25T06:30Z"]),
        # Whose clocks never change.
        ("Atlantic/Reykjavik", ["2026-03-28T08:30Z", "2026-03-29T08:30Z", "2026-10-24T08:30Z", "2026-10-25T08:30Z"]),
        # No zone of this name, and none at all: the retailer's.
        ("Europe/Kiel", ["2026-03-28T07:30Z", "2026-03-29T06:30Z", "2026-10-24T06:30Z", "2026-10-25T07:30Z"]),
        ("", ["2026-03-28T07:30Z", "2026-03-29T06:30Z", "2026-10-24T06:30Z", "2026-10-25T07:30Z"]),
    ],
)
def test_a_store_is_due_by_its_own_clocks(zone: str, due: list[str]) -> None:
    for moment in map(at, due):
        day = moment.date()
        late = entry(str(day - timedelta(days=2)), f"{day - timedelta(days=1)}T04:00Z", zone=zone)
        states = [judge_freshness(late, BERLIN, moment + timedelta(seconds=beside)) for beside in (-1, 0)]
        assert [judged.state for judged in states] == ["fresh", "stale"], (zone, moment)
        assert states[0].next_deadline == states[1].deadline == moment
        assert f"{states[1].deadline:%H:%M}" == "08:30"
