"""Which stores' numbers are held back, because they depart from what was published and sold beyond what is likely."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from foreact.forecasting.judging.departures import (
    Outlook,
    compare_expectations,
    find_chain_departure,
    find_departure,
    find_empty_days,
    find_restated,
    is_part_of_departure,
)
from foreact.parquet import decode_parquet
from foreact.publications.contract import Kind, PublishedObject
from foreact.publications.reader import Reader
from foreact.publications.sealing import BrokenPublication
from foreact.settings import PipelineSettings
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P90, UNITS

log = logging.getLogger(__name__)

NO_HISTORY = pd.DataFrame({DATE: pd.to_datetime([]), ITEM: pd.Series(dtype=str), UNITS: pd.Series(dtype=float)})
HINT = "--accept-departures publishes them"


@dataclass(frozen=True)
class Numbers:
    """A store's totals of days ahead, and its units sold by item and date, as they are or are to be published."""

    spacing: Spacing
    totals: pd.DataFrame
    history: pd.DataFrame

    @classmethod
    def read(cls, spacing: Spacing, totals: bytes, history: bytes | None) -> "Numbers":
        """Read the objects of one store."""
        return cls(
            spacing,
            _read_frame(decode_parquet(totals, [DATE, MEAN, P10, P90])),
            _read_frame(decode_parquet(history, [ITEM, DATE, UNITS])) if history else NO_HISTORY,
        )

    def list_past(self, since: pd.Timestamp, ends: pd.Timestamp) -> pd.DataFrame:
        """Return the units sold from a day on, and before another."""
        return self.history[(self.history[DATE] >= since) & (self.history[DATE] < ends)]

    @property
    def outlook(self) -> Outlook:
        """The totals, by date."""
        sold = self.history.groupby(DATE)[UNITS].sum() if len(self.history) else pd.Series(dtype=float)
        ahead = self.totals.set_index(DATE).rename(columns={P10: "low", P90: "high"})
        return Outlook(self.spacing, sold, ahead)


@dataclass(frozen=True)
class PublishedNumbers:
    """Where what is published of a store lies."""

    spacing: Spacing
    totals: PublishedObject
    history: PublishedObject | None

    def read(self, reader: Reader) -> Numbers:
        """Read it."""
        history = None if self.history is None else reader.read_object(self.history)
        return Numbers.read(self.spacing, reader.read_object(self.totals), history)


@dataclass(frozen=True)
class Comparison:
    """A store's new numbers by day beside those that are published."""

    new: Outlook
    # None: nothing is published, or in another spacing.
    last: Outlook | None = None
    # Which sales of the past differ; None: as many as usual.
    restated: str | None = None


# Returns what is published of a store, or None.
FindPublished = Callable[[str], PublishedNumbers | None]


def make_published_finder(settings: PipelineSettings) -> FindPublished:
    """Return a function that finds what is published of a store."""
    current = Reader.connect(settings).find_current()

    def find_published(store: str) -> PublishedNumbers | None:
        entry = current.manifest.stores.get(store) if current else None
        if entry is None:
            return None
        return PublishedNumbers(entry.spacing, entry.objects["totals"], entry.objects.get("history"))

    return find_published


def compare_numbers(
    spacing: Spacing, objects: Mapping[Kind, bytes], published: PublishedNumbers | None, reader: Reader
) -> Comparison:
    """Compare a store's new objects with what is published; there is nothing to compare with where that is damaged."""
    new = Numbers.read(spacing, objects["totals"], objects.get("history"))
    if published is None or published.spacing is not spacing:
        return Comparison(new.outlook)
    try:
        last = published.read(reader)
    except BrokenPublication as error:
        log.warning("what is published is not compared: %s", error)
        return Comparison(new.outlook)
    return Comparison(new.outlook, last.outlook, _compare_past(new, last))


def find_held(comparisons: Mapping[str, Comparison], spacing: Spacing) -> dict[str, str]:
    """Return the stores whose new numbers must not be published, each with the reason."""
    held: dict[str, str] = {}
    for store, each in comparisons.items():
        why = each.restated or find_departure(each.new, each.last)
        if why:
            held[store] = why
    if len(comparisons) > 1:
        held = {**_judge_chain(comparisons, spacing), **held}
    return {store: f"the newest numbers are held back: {why}; {HINT}" for store, why in held.items()}


def _compare_past(new: Numbers, last: Numbers) -> str | None:
    """Compare the sales of the past days that both publications have; the last one says how far they reach."""
    if not len(last.history) or not len(new.totals):
        return None
    ends = new.totals[DATE].min()
    since = ends - pd.Timedelta(days=new.spacing.past * new.spacing.days)
    return find_restated(new.list_past(since, ends), last.list_past(since, ends), new.spacing)


def _judge_chain(comparisons: Mapping[str, Comparison], spacing: Spacing) -> dict[str, str]:
    """Return the stores by which all stores together depart, each with the reason."""
    why = find_empty_days([each.new.sold for each in comparisons.values()], spacing)
    if why:
        return dict.fromkeys(comparisons, why)
    compared = {
        store: compare_expectations(each.new, each.last) for store, each in comparisons.items() if each.last is not None
    }
    steps = {store: step for store, step in compared.items() if step is not None}
    together = list(steps.values())
    why = find_chain_departure(together)
    return {store: why for store, step in steps.items() if why and is_part_of_departure(step, together)}


def _read_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    frame[DATE] = pd.to_datetime(frame[DATE])
    return frame
