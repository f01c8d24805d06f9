"""Whether known tables cover the days of the horizon.

A table shows in the past how long it is silent at most: a price list never, a list of holidays for weeks. Over the
horizon it may be silent as long, and no longer; a table that begins after the history may not be silent at all. What
has rows on fewer than seven past days is a list of exceptions, whose silence means nothing.

In a table by item, an item that had a row on each of the last seven days is expected on the days of the horizon. If its
rows stop while other items go on, it is treated as discontinued.

What a table does not say of a day ahead is unknown to the models. A store of which a table says nothing on any day
ahead is forecast without that table; only if that is so for the whole chain is the table out of date, and refused.

Days are periods here, weeks or months where the history has those.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foreact.data.dataset import arrays
from foreact.data.dataset.parcel import TableInfo
from foreact.data.dataset.stored import Dataset, DatasetInfo
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, ITEM, STORE

FEWEST = RECENT = 7
# A store that has had no row for more periods than this lags behind the others.
MOST_LAG = {Spacing.DAILY: 7, Spacing.WEEKLY: 4, Spacing.MONTHLY: 2}
YES, NO, GONE, LEFT_OUT, ENDED = "yes", "no", "item gone", "table left out", "table ended"
Row = dict[str, str]


def check_coverage(dataset: Dataset) -> Iterator[Row]:
    """Check for each known table, store and day of the horizon whether the table says anything."""
    for table in dataset.info.tables:
        rows = [
            row for store in (dataset.stores if table.by_store else [""]) for row in _check_table(dataset, table, store)
        ]
        # Of one store alone nobody knows whether the others' rows go on.
        alone = table.by_store and len(dataset.stores) == 1
        ended = not alone and all(row["covered"] == LEFT_OUT for row in rows)
        yield from ({**row, "covered": ENDED} for row in rows) if ended else rows


def _check_table(dataset: Dataset, table: TableInfo, store: str) -> Iterator[Row]:
    columns = _read_table(dataset, table, store)
    info, spacing = dataset.info, dataset.info.spacing
    first = np.datetime64(spacing.next_period(info.as_of), "D")
    dates = np.sort(arrays.read_days(pc.unique(columns[DATE])))
    day = spacing.count_periods(first, dates)
    covered_days = np.unique(day)
    silent = _find_long_gaps(covered_days, info.horizon)
    days = spacing.list_dates(first, info.horizon).astype(str).tolist()
    for index, name in enumerate(days):
        missing = LEFT_OUT if silent.all() else NO
        yield _describe_gap(table, store, "", name, missing if silent[index] else YES)
    if table.by_item and len(covered_days):
        near = dates[(day >= -RECENT) & (day < info.horizon)]
        rows = columns.filter(pc.is_in(columns[DATE], pa.array(near, pa.date32())))
        place = spacing.count_periods(first, arrays.read_days(rows[DATE])) + RECENT
        yield from _check_items(table, store, rows[ITEM], place, bool((day < 0).any()), days)


def count_lag(info: DatasetInfo, store: str) -> int:
    """Return how many periods before as_of a store's last row is."""
    last = np.array([info.as_of], "datetime64[D]")
    return int(info.spacing.count_periods(np.datetime64(info.stores[store].last, "D"), last)[0])


def _find_long_gaps(covered_days: NDArray[np.int64], horizon: int) -> NDArray[np.bool_]:
    """Return which days of the horizon (from 0 on) are in a silence longer than any before."""
    past = covered_days[covered_days < 0]
    if 0 < len(past) < FEWEST:
        return np.zeros(horizon, dtype=bool)
    longest = int(np.diff(past).max()) - 1 if len(past) > 1 else 0
    # A silence that goes on from the past counts as a whole.
    edges = np.concatenate(
        [past[-1:] if len(past) else [-1], covered_days[(covered_days >= 0) & (covered_days < horizon)], [horizon]]
    )
    silent = np.zeros(horizon, dtype=bool)
    for before, after in pairwise(edges.tolist()):
        if after - before - 1 > longest:
            silent[max(0, before + 1) : after] = True
    return silent


def _check_items(
    table: TableInfo, store: str, names: pa.ChunkedArray, place: NDArray[np.int64], with_past: bool, days: list[str]
) -> Iterator[Row]:
    items: list[str] = sorted(pc.unique(names).to_pylist())
    has_row = np.zeros((len(items), RECENT + len(days)), dtype=bool)
    has_row[arrays.find_positions(names, pa.chunked_array([pa.array(items, pa.string())])), place] = True
    recent, ahead = has_row[:, :RECENT], has_row[:, RECENT:]
    expected = np.asarray(recent.all(axis=1) if with_past else ahead.any(axis=1))
    last = np.where(ahead.any(axis=1), len(days) - 1 - np.argmax(ahead[:, ::-1], axis=1), -1)
    missing_rows = expected[:, None] & ~ahead & np.asarray(ahead.any(axis=0))
    for item, index in zip(*np.nonzero(missing_rows), strict=True):
        yield _describe_gap(table, store, items[item], days[index], NO if index < last[item] else GONE)


def _read_table(dataset: Dataset, table: TableInfo, store: str) -> pa.Table:
    names = [DATE, ITEM] if table.by_item else [DATE]
    rows = dataset.read_known(table, store, names)
    if rows is None:
        return pa.table({DATE: pa.array([], pa.date32()), ITEM: pa.array([], pa.string())}).select(names)
    return rows


def _describe_gap(table: TableInfo, store: str, item: str, day: str, covered: str) -> Row:
    found = f"no row in {table.label}"
    return {STORE: store, ITEM: item, DATE: day, "found": found, "covered": covered, "table": table.name}
