"""The objective: of the store-days that were due at the deadlines, how many were kept.

serving/deadlines/<day>.json   what was published at one deadline, counted once after it and never changed
"""

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, Field

from foreact.blobs.protocol import BlobConflict, BlobNotFound, BlobStore
from foreact.blobs.records import StoredRecord, parse_or_skip
from foreact.errors import ForeactError, ServiceUnavailable, count_noun, name_examples
from foreact.publications import Manifest, Reader, StoreEntry
from foreact.publications.freshness import Promise, judge_freshness
from foreact.settings import KEEP_DAYS
from foreact.telemetry.scorecards import SUSTAINED, Point, count_days_out_of_bounds, read_series

log = logging.getLogger(__name__)

FOLDER = "serving/deadlines/"
# The share of the store-days of the window that is promised.
OBJECTIVE = 0.999
WINDOW_DAYS = 28
# A publication dated just before the deadline may be swapped in just after it, and a clock may be ten minutes fast.
SETTLING = timedelta(minutes=15)
MOST_NAMED = 100

# What keeps a store-day from being kept; `outside`: its intervals have held too many days, or too few, for days on end.
Miss = Literal["stale", "incomplete", "outside"]


class Outcome(StoredRecord):
    """How the stores stood at one deadline."""

    kind: ClassVar[str] = "deadline"

    deadline: datetime
    # The publication that was current.
    version: int
    due: int
    missed: dict[Miss, int] = Field(default_factory=dict)
    # Stores that were fresh, complete and within their intervals.
    kept: int
    # The first of the others, and why.
    named: dict[str, Miss] = Field(default_factory=dict)


class Tally(BaseModel):
    """Store-days over some days, those of the last deadline counted."""

    days: int
    # The deadlines among them that were counted.
    deadlines: int
    due: int
    kept: int
    missed: dict[Miss, int]

    def list_states(self) -> list[tuple[str, int]]:
        """Return the store-days by how they stand; those missed and those kept add up to those due."""
        return [("due", self.due), ("kept", self.kept), *self.missed.items()]

    def to_json(self) -> dict[str, Any]:
        """Return the counts and what follows from them, by name."""
        return {**self.model_dump(), "promised": OBJECTIVE, "budget_left": round(self.budget_left, 4)}

    @property
    def kept_share(self) -> float:
        """Return the share of the store-days that was kept."""
        return self.kept / self.due

    @property
    def budget_left(self) -> float:
        """Return the share of the error budget that is left; below 0 it is overspent."""
        return 1 - (1 - self.kept_share) / (1 - OBJECTIVE)


def count_deadlines(
    store: BlobStore,
    state: BlobStore,
    promise: Promise,
    now: datetime,
    known: Iterable[Outcome] = (),
    *,
    keep_days: int = KEEP_DAYS,
) -> list[Outcome]:
    """Return the outcomes of the window's deadlines, the oldest first; count and write those that nobody has yet.

    Publications are in one blob store, outcomes in that of the service's own state.

    The archive of manifests says what was published at a deadline, so it does not matter when or by whom it is counted.
    Counting begins at the deadline before its first call. A day is counted once its deadline has passed for all stores,
    wherever they are. Those known from an earlier call are not read again.
    """
    publication = Reader(store).find_current()
    stores = publication.manifest.stores if publication else {}
    promises = {promise, *(promise.for_store(entry) for entry in stores.values())}
    last = promise.deadline_of(min(own.last_deadline(now - SETTLING).date() for own in promises))
    names = [info.name for info in state.list(FOLDER)]
    counted = {_name_outcome(outcome): outcome for outcome in known}
    first = f"{FOLDER}{last.date() - timedelta(days=WINDOW_DAYS - 1)}"
    recent = (counted.get(name) or _read_outcome(state, name) for name in names if name >= first)
    outcomes = [outcome for outcome in recent if outcome]
    counted_to = names[-1].removeprefix(FOLDER).removesuffix(".json") if names else ""
    missing = _list_deadlines(promise, last, counted_to)
    if not missing or publication is None:
        return outcomes
    added = [
        _write_outcome(state, outcome) for outcome in _judge_deadlines(store, publication.manifest, promise, missing)
    ]
    for name in names:
        if name < f"{FOLDER}{last.date() - timedelta(days=keep_days)}":
            state.delete(name)
    return [*outcomes, *added]


def tally_outcomes(outcomes: Sequence[Outcome], days: int = WINDOW_DAYS) -> Tally | None:
    """Add up the outcomes of the last days; None where no store was due."""
    begin = outcomes[-1].deadline.date() - timedelta(days=days) if outcomes else date.max
    recent = [outcome for outcome in outcomes if outcome.deadline.date() > begin]
    due = sum(outcome.due for outcome in recent)
    if not due:
        return None
    missed = {why: sum(outcome.missed.get(why, 0) for outcome in recent) for why in get_args(Miss)}
    kept = sum(outcome.kept for outcome in recent)
    return Tally(days=days, deadlines=len(recent), due=due, kept=kept, missed=missed)


def describe_outcomes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return sentences on what the last deadline missed and how the objective stands; none before one was counted."""
    tally = tally_outcomes(outcomes)
    if tally is None:
        return []
    last, left = outcomes[-1], tally.budget_left
    budget = (
        f"{left:.0%} of the error budget is left" if left >= 0 else f"the error budget is spent {1 - left:.1f} times"
    )
    lines = [
        f"{count_noun(tally.deadlines, 'deadline')} in {WINDOW_DAYS} days: {tally.kept:,} of {tally.due:,} store-days "
        f"kept, {tally.kept_share:.2%}; {OBJECTIVE:.1%} is promised, {budget}."
    ]
    if last.kept < last.due:
        examples = name_examples([f"{store} ({why})" for store, why in last.named.items()])
        lines.insert(0, f"{last.due - last.kept:,} missed the deadline {last.deadline:%Y-%m-%d %H:%M}: {examples}.")
    return lines


def _list_deadlines(promise: Promise, last: datetime, counted_to: str) -> list[datetime]:
    """Return the deadlines after the day counted last, of the window that ends with the last; the oldest first."""
    day, deadlines = last.date(), []
    counted = date.fromisoformat(counted_to) if counted_to else promise.business_day_before(day)
    while day > max(counted, last.date() - timedelta(days=WINDOW_DAYS)):
        deadlines.append(promise.deadline_of(day))
        day = promise.business_day_before(day)
    return deadlines[::-1]


def _name_outcome(outcome: Outcome) -> str:
    return f"{FOLDER}{outcome.deadline.date()}.json"


def _write_outcome(state: BlobStore, outcome: Outcome) -> Outcome:
    """Write an outcome, or return the one that another process has written."""
    name = _name_outcome(outcome)
    try:
        state.write(name, outcome.model_dump_json().encode(), if_absent=True)
    except BlobConflict:
        return _read_outcome(state, name) or outcome
    return outcome


def _read_outcome(state: BlobStore, name: str) -> Outcome | None:
    """Return a record; None for one that cannot be read, so that one deadline does not hide the others."""
    with suppress(BlobNotFound):
        return parse_or_skip(Outcome, state.read(name).data, name, skip_newer=True)
    return None


def _judge_deadlines(
    store: BlobStore, current: Manifest, promise: Promise, deadlines: Iterable[datetime]
) -> Iterable[Outcome]:
    find_manifest = _make_finder(Reader(store), current)
    series = read_series(store)
    retained = set(current.list_retained())

    @cache
    def read_sizes(version: int) -> dict[str, int] | None:
        # What was pruned since was whole while it was retained.
        return _read_sizes(store, versions[version]) if version in retained else None

    versions: dict[int, Manifest] = {}
    for deadline in deadlines:
        manifest = find_manifest(deadline)
        if manifest is None:
            continue
        missed: dict[str, Miss] = {}
        due = 0
        for name, newest in manifest.stores.items():
            own = promise.for_store(newest).deadline_of(deadline.date())
            served = manifest if own == deadline else find_manifest(own)
            if served is None or name not in served.stores:
                continue
            versions[served.version] = served
            due += 1
            why = _find_miss(served.stores[name], promise, own, read_sizes(served.version), series.get(name, []))
            if why:
                missed[name] = why
        yield Outcome(
            deadline=deadline,
            version=manifest.version,
            due=due,
            missed={why: sum(miss == why for miss in missed.values()) for why in get_args(Miss)},
            kept=due - len(missed),
            named=dict(list(missed.items())[:MOST_NAMED]),
        )


def _make_finder(reader: Reader, current: Manifest) -> Callable[[datetime], Manifest | None]:
    """Return a function that finds what was served at a moment: the newest whole version up to then."""
    versions = sorted({*reader.list_versions(), current.version})

    @cache
    def find_whole(place: int) -> Manifest | None:
        if place < 0:
            return None
        try:
            return current if versions[place] == current.version else reader.read_version(versions[place])
        except ServiceUnavailable:
            raise
        except ForeactError as problem:
            log.warning("%s", problem)
            return find_whole(place - 1)

    def is_later(place: int, moment: datetime) -> bool:
        manifest = find_whole(place)
        return manifest is not None and manifest.created_at > moment

    def find_manifest(moment: datetime) -> Manifest | None:
        return find_whole(bisect_left(range(len(versions)), True, key=lambda place: is_later(place, moment)) - 1)

    return find_manifest


def _find_miss(
    entry: StoreEntry, promise: Promise, deadline: datetime, sizes: dict[str, int] | None, points: list[Point]
) -> Miss | None:
    """Return what kept a store from being kept at its deadline, if anything did."""
    day = deadline.date()
    if not judge_freshness(entry, promise, deadline).is_fresh:
        return "stale"
    if not _is_complete(entry, day, sizes):
        return "incomplete"
    known = [point for point in points if point.as_of < day]
    return "outside" if count_days_out_of_bounds(known, "coverage") >= SUSTAINED else None


def _is_complete(entry: StoreEntry, day: date, sizes: dict[str, int] | None) -> bool:
    """Return whether a store's forecast covers the day, and all of its objects are there as they were published."""
    reaches = entry.spacing.last_day(entry.spacing.next_period(entry.as_of, entry.horizon))
    return reaches >= day and (
        sizes is None or all(sizes.get(each.name) == each.size for each in entry.tables.values())
    )


def _read_sizes(store: BlobStore, manifest: Manifest) -> dict[str, int]:
    """Return the sizes of all objects in the folders of the runs that a version names."""
    names = (each.name for entry in manifest.stores.values() for each in entry.tables.values())
    folders = {name.rpartition("/")[0] + "/" for name in names}
    return {info.name: info.size for folder in folders for info in store.list(folder)}
