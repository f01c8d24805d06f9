"""How accurate past forecasts were, store by store over publications, and what has drifted.

telemetry/scorecards/<as-of>/<run>.json   a training's live scorecard of each of its stores, never changed
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

from pydantic import Field

from foreact.blobs.protocol import BlobConflict, BlobNotFound, BlobStore
from foreact.blobs.records import StoredRecord, parse_or_skip
from foreact.naming import encode_id

log = logging.getLogger(__name__)

FOLDER = "telemetry/scorecards/"
# How many days of data are read; older records stay for whoever wants to look further back.
DAYS_READ = 60
READERS = 8
WATCHED_FIGURES = ("bias", "coverage", "wape")
# On how many days of data in a row a figure must be out of bounds to count as drift.
SUSTAINED = 3
BIAS = 0.15
# The interval is made to hold four of five.
COVERAGE = (0.65, 0.95)
# Live error against the error that the backtest promised.
ERROR_RATIO = 1.5

Figures = dict[str, float]


class Scorecards(StoredRecord):
    """What one training found of its stores' earlier forecasts."""

    kind: ClassVar[str] = "scorecard"

    run: str
    as_of: date
    written_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    # store -> wape, bias, coverage, beats_naive; and `promised`, the backtest's WAPE.
    stores: dict[str, Figures] = Field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """One store's figures on one day of data."""

    as_of: date
    figures: Figures


@dataclass(frozen=True)
class Drift:
    """A figure that has been out of bounds for some days of data in a row."""

    store: str
    figure: str
    days: int
    value: float

    def __str__(self) -> str:
        return f"{self.figure} of store {self.store!r} is {self.value:+.2f}, out of bounds for {self.days} days of data"


def write_scorecards(store: BlobStore, scorecards: Scorecards) -> None:
    """Write a training's record once; a repeated step writes the same."""
    name = f"{FOLDER}{scorecards.as_of}/{encode_id(scorecards.run)}.json"
    try:
        store.write(name, scorecards.model_dump_json().encode(), if_absent=True)
    except BlobConflict:
        log.debug("%s is there already", name)


def read_series(store: BlobStore) -> dict[str, list[Point]]:
    """Return each store's series, the oldest day first; of several runs on one day's data the last counts."""
    return _arrange_series(_read_records(store, _list_names(store)))


def _list_names(store: BlobStore) -> list[str]:
    names = [info.name for info in store.list(FOLDER)]
    days = sorted({name.split("/")[-2] for name in names})[-DAYS_READ:]
    return [name for name in names if name.split("/")[-2] in days]


def _read_records(store: BlobStore, names: Sequence[str]) -> dict[str, Scorecards | None]:
    """Read records by name; one that is damaged, newer or gone is None."""

    def read(name: str) -> Scorecards | None:
        try:
            return parse_or_skip(Scorecards, store.read(name).data, name, skip_newer=True)
        except BlobNotFound:
            return None

    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(names, pool.map(read, names), strict=True))


def _arrange_series(records: Mapping[str, Scorecards | None]) -> dict[str, list[Point]]:
    by_store: dict[str, dict[date, Figures]] = {}
    for record in sorted(filter(None, records.values()), key=lambda record: (record.as_of, record.written_at)):
        for name, figures in record.stores.items():
            by_store.setdefault(name, {})[record.as_of] = figures
    return {name: [Point(day, days[day]) for day in sorted(days)] for name, days in by_store.items()}


def find_out_of_bounds(figures: Mapping[str, float]) -> set[str]:
    """Return the figures that are out of bounds."""
    wrong = set()
    if abs(figures.get("bias", 0.0)) > BIAS:
        wrong.add("bias")
    if not COVERAGE[0] <= figures.get("coverage", 0.8) <= COVERAGE[1]:
        wrong.add("coverage")
    promised = figures.get("promised", 0.0)
    if promised > 0 and figures.get("wape", 0.0) > ERROR_RATIO * promised:
        wrong.add("wape")
    return wrong


def count_days_out_of_bounds(series: Sequence[Point], figure: str) -> int:
    """Count the latest days of data in a row on which a figure was out of bounds."""
    count = 0
    for point in reversed(series):
        if figure not in find_out_of_bounds(point.figures):
            break
        count += 1
    return count


def find_drift(series: Mapping[str, Sequence[Point]]) -> list[Drift]:
    """Return what has been out of bounds for long enough not to be chance; these stores are marked for retraining."""
    drifts = []
    for store, points in sorted(series.items()):
        for figure in WATCHED_FIGURES:
            days = count_days_out_of_bounds(points, figure)
            if days >= SUSTAINED:
                drifts.append(Drift(store, figure, days, points[-1].figures.get(figure, float("nan"))))
    return drifts


def watch_drift(store: BlobStore) -> Callable[[], tuple[dict[str, list[Point]], list[Drift]]]:
    """Return a function that returns the series and what has drifted now; it reads each record once."""
    records: dict[str, Scorecards | None] = {}
    latest: tuple[dict[str, list[Point]], list[Drift]] = {}, []

    def look_again() -> tuple[dict[str, list[Point]], list[Drift]]:
        nonlocal records, latest
        names = _list_names(store)
        if names != list(records):
            added = _read_records(store, [name for name in names if name not in records])
            records = {name: added[name] if name in added else records[name] for name in names}
            series = _arrange_series(records)
            latest = series, find_drift(series)
        return latest

    return look_again
