"""Whether what is published is what today's plans may rest on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from foreact.clock import find_zone
from foreact.errors import ForeactError
from foreact.publications.contract import StoreEntry
from foreact.spacing import Spacing
from foreact.vocabulary import TIME_ZONE

# Machines' clocks differ by less than this; a clock that is further off is wrong.
SKEW = timedelta(minutes=5)

State = Literal["fresh", "stale", "missing"]


@dataclass(frozen=True)
class Promise:
    """By when, on which days and on how recent data forecasts must be published."""

    zone: ZoneInfo
    deadline: time
    # Monday is 0; on other days nothing is due and no sales are expected.
    weekdays: frozenset[int] = frozenset(range(7))
    closed: frozenset[date] = frozenset()
    # How many business days the newest sales may be older than the last business day before the deadline.
    slack: int = 0

    @classmethod
    def from_settings(
        cls, timezone: str, deadline: str, weekdays: str = "0123456", closed: Collection[date] = (), slack: int = 0
    ) -> "Promise":
        """Make a promise of settings."""
        zone = find_zone(timezone)
        if zone is None:
            raise ForeactError(
                f"FOREACT_TIMEZONE {timezone!r} is not a time zone: set an IANA name such as Europe/Berlin."
            )
        try:
            due = time.fromisoformat(deadline)
        except ValueError:
            raise ForeactError(
                f"FOREACT_PUBLISH_DEADLINE {deadline!r} is not a time of day: write it as HH:MM."
            ) from None
        if not weekdays or set(weekdays) - set("0123456"):
            raise ForeactError(
                f"FOREACT_BUSINESS_DAYS {weekdays!r} are not weekdays: set digits like 01234, where Monday is 0."
            )
        return cls(zone, due, frozenset(map(int, weekdays)), frozenset(closed), slack)

    def for_store(self, entry: StoreEntry) -> "Promise":
        """Return what is promised to a store: the same hour by its own clocks, or the retailer's."""
        zone = find_zone(entry.attributes.get(TIME_ZONE, ""))
        return _move_to(self, zone) if zone else self

    def is_business_day(self, day: date) -> bool:
        """Return whether the retailer works that day."""
        return bool(np.is_busday(day, busdaycal=self._calendar))

    def business_day_before(self, day: date, count: int = 1) -> date:
        """Return the business day `count` business days earlier."""
        return self._move(day, -count, "forward")

    def deadline_of(self, day: date) -> datetime:
        """Return the deadline of a day; on the day that skips it, the first moment after."""
        return datetime.combine(day, self.deadline, self.zone)

    def last_deadline(self, now: datetime) -> datetime:
        """Return the deadline that passed last."""
        day = now.astimezone(self.zone).date()
        if not self.is_business_day(day) or self.deadline_of(day).timestamp() > now.timestamp():
            day = self.business_day_before(day)
        return self.deadline_of(day)

    def next_deadline(self, now: datetime) -> datetime:
        """Return the deadline to come."""
        day = now.astimezone(self.zone).date()
        if not self.is_business_day(day) or self.deadline_of(day).timestamp() <= now.timestamp():
            day = self._move(day, 1, "backward")
        return self.deadline_of(day)

    def reachable_deadline(self, now: datetime) -> datetime:
        """Return the deadline to come once the sales that it expects can be there, until then the one that passed."""
        coming = self.next_deadline(now)
        can_be_kept = self.business_day_before(coming.date()) < now.astimezone(self.zone).date()
        return coming if can_be_kept else self.last_deadline(now)

    @cached_property
    def _calendar(self) -> np.busdaycalendar:
        return np.busdaycalendar([day in self.weekdays for day in range(7)], sorted(self.closed))

    def _move(self, day: date, business_days: int, roll: Literal["forward", "backward"]) -> date:
        """Return the day so many business days away, counted from the business day that a closed one rolls to."""
        moved: date = np.busday_offset(day, business_days, roll, busdaycal=self._calendar).astype(date)
        return moved


@lru_cache(maxsize=256)
def _move_to(promise: Promise, zone: ZoneInfo) -> Promise:
    return replace(promise, zone=zone)


@dataclass(frozen=True)
class Freshness:
    """How one store's publication stands against the promise."""

    state: State
    # What is late, in sentences for people; empty when nothing is.
    reasons: tuple[str, ...]
    # The deadline judged by, and the next one.
    deadline: datetime
    next_deadline: datetime
    published_at: datetime | None = None
    as_of: date | None = None

    @property
    def is_fresh(self) -> bool:
        """Return whether the promise is kept."""
        return self.state == "fresh"

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name; days and moments as text."""
        return {
            "state": self.state,
            "reasons": list(self.reasons),
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "published_at": self.published_at.isoformat() if self.published_at else None,
            "deadline": self.deadline.isoformat(),
            "next_deadline": self.next_deadline.isoformat(),
        }


def list_due_early(entries: Mapping[str, StoreEntry], promise: Promise, now: datetime) -> list[str]:
    """Return the stores that are due, by clocks of their own, before the retailer's deadline, which nights go by."""
    due = promise.next_deadline(now)
    own = {store: promise.for_store(entry).deadline_of(due.date()) for store, entry in entries.items()}
    return sorted(store for store, deadline in own.items() if deadline.timestamp() < due.timestamp())


def judge_freshness(entry: StoreEntry | None, promise: Promise, now: datetime) -> Freshness:
    """Judge a store's publication: made since the deadline's day began, on the sales of the business day before.

    Of weeks and months only whole ones are expected. A store in another time zone is judged by its own clocks.

    A publication of the evening before also counts once its data are the newest that the day could have.
    """
    promise = promise.for_store(entry) if entry else promise
    deadline, coming = promise.last_deadline(now), promise.next_deadline(now)
    if entry is None:
        return Freshness("missing", ("nothing is published for this store",), deadline, coming)
    day = deadline.date()
    newest_due = promise.business_day_before(day)
    oldest_allowed = promise.business_day_before(newest_due, promise.slack)
    midnight = datetime.combine(day, time(), promise.zone)
    reasons = []
    # The last day of the first period whose sales are not in the numbers: up to then nothing is missing.
    unknown = entry.spacing.last_day(entry.spacing.next_period(entry.as_of))
    if entry.generated_at.timestamp() < midnight.timestamp() and unknown <= newest_due:
        when = entry.generated_at.astimezone(promise.zone)
        reasons.append(f"published {when:%Y-%m-%d %H:%M}, before the day of the deadline {deadline:%Y-%m-%d %H:%M}")
    if entry.generated_at - now > SKEW:
        when, clock = (moment.astimezone(promise.zone) for moment in (entry.generated_at, now))
        reasons.append(
            f"published {when:%Y-%m-%d %H:%M}, though the clock here says {clock:%Y-%m-%d %H:%M}: it is set back, "
            "or the other was ahead"
        )
    if unknown <= oldest_allowed:
        of = {Spacing.DAILY: "on", Spacing.WEEKLY: "with the week of", Spacing.MONTHLY: "with the month of"}
        reasons.append(f"sales end {of[entry.spacing]} {entry.as_of}, expected were those up to {oldest_allowed}")
    return Freshness(
        "stale" if reasons else "fresh",
        tuple(reasons),
        deadline,
        coming,
        entry.generated_at,
        entry.as_of,
    )
