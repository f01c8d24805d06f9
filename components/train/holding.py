"""Which stores' numbers are held back, because they depart from what was published and sold beyond what is likely."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from foreact.errors import ForeactError
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
from foreact.publications.contract import StoreEntry
from foreact.runs.trained import TrainedFolder
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


# Returns what is published of a store, or None.
FindPublished = Callable[[str], Numbers | None]


def make_published_finder(settings: PipelineSettings) -> FindPublished:
    """Return a function that reads what is published of a store; of a damaged one there is nothing."""
    from foreact.publications import Reader

    reader = Reader.connect(settings)
    current = reader.find_current()
    entries: Mapping[str, StoreEntry] = {} if current is None else current.manifest.stores

    def find_published(store: str) -> Numbers | None:
        entry = entries.get(store)
        if entry is None:
            return None
        try:
            objects = {
                kind: reader.read_object(entry.objects[kind]) for kind in ("totals", "history") if kind in entry.objects
            }
        except ForeactError as error:
            log.warning("what is published of store %r is not compared: %s", store, error)
            return None
        return Numbers.read(entry.spacing, objects["totals"], objects.get("history"))

    return find_published


def find_held(
    folder: TrainedFolder, stores: Iterable[str], spacing: Spacing, find_published: FindPublished
) -> dict[str, str]:
    """Return the stores of a training whose numbers must not be published, each with the reason."""
    held: dict[str, str] = {}
    outlooks: dict[str, tuple[Outlook, Outlook | None]] = {}
    for store in stores:
        paths = {kind: folder.object_path(store, kind) for kind in ("totals", "history")}
        history = paths["history"].read_bytes() if paths["history"].exists() else None
        new, last = Numbers.read(spacing, paths["totals"].read_bytes(), history), find_published(store)
        if last is not None and last.spacing is not spacing:
            last = None
        outlooks[store] = (new.outlook, None if last is None else last.outlook)
        why = None if last is None else _compare_past(new, last)
        why = why or find_departure(*outlooks[store])
        if why:
            held[store] = why
    if len(outlooks) > 1:
        held = {**_judge_chain(outlooks, spacing), **held}
    return {store: f"the newest numbers are held back: {why}; {HINT}" for store, why in held.items()}


def _compare_past(new: Numbers, last: Numbers) -> str | None:
    """Compare the sales of the past days that both publications have; the last one says how far they reach."""
    if not len(last.history) or not len(new.totals):
        return None
    ends = new.totals[DATE].min()
    since = ends - pd.Timedelta(days=new.spacing.past * new.spacing.days)
    return find_restated(new.list_past(since, ends), last.list_past(since, ends), new.spacing)


def _judge_chain(outlooks: Mapping[str, tuple[Outlook, Outlook | None]], spacing: Spacing) -> dict[str, str]:
    """Return the stores by which all stores together depart, each with the reason."""
    why = find_empty_days([new.sold for new, _ in outlooks.values()], spacing)
    if why:
        return dict.fromkeys(outlooks, why)
    compared = {store: compare_expectations(new, last) for store, (new, last) in outlooks.items() if last is not None}
    steps = {store: step for store, step in compared.items() if step is not None}
    together = list(steps.values())
    why = find_chain_departure(together)
    return {store: why for store, step in steps.items() if why and is_part_of_departure(step, together)}


def _read_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    frame[DATE] = pd.to_datetime(frame[DATE])
    return frame
