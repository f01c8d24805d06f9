"""Cutting a sorted stream of rows into Parquet files by store, never holding more than a batch or a slice."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foreact.data.dataset import arrays
from foreact.data.reading.dates import EPOCH
from foreact.data.reading.ordering import DAY_BITS, KEY, SERIES_BITS
from foreact.vocabulary import DATE, ITEM

_EPOCH = np.datetime64(EPOCH, "D").astype(np.int64)


@dataclass(frozen=True)
class Series:
    """All series in order: by store, then by item; a series' id is its position."""

    stores: list[str]
    items: pa.Array
    # By store the id of its first series, and one more for the end.
    starts: NDArray[np.int64]

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of each store."""
        return {store: position for position, store in enumerate(self.stores)}

    def of_store(self, store: int) -> pa.Array:
        """Return the items of a store, by its position."""
        return self.items.slice(self.starts[store], self.starts[store + 1] - self.starts[store])

    def label_rows(self, rows: pa.Table, *, with_items: bool = True) -> pa.Table:
        """Return rows of a store with their items, if they have any, and dates in place of their keys."""
        keys = np.asarray(rows[KEY].combine_chunks(), dtype=np.int64)
        if not with_items:
            return _make_table({}, rows, keys)
        ids = keys >> DAY_BITS & (1 << SERIES_BITS) - 1
        # No item that has no row here, so that a new one leaves the slices before it as they are.
        first = np.diff(ids, prepend=-1) != 0
        codes = pa.array((np.cumsum(first) - 1).astype(np.int32))
        items = pa.DictionaryArray.from_arrays(codes, self.items.take(pa.array(ids[first])))
        return _make_table({ITEM: items}, rows, keys)

    def key_rows(self, rows: pa.Table, name: str, place: int) -> pa.Table:
        """Return rows of a store, in the slice at this place, with their keys in place of items and dates."""
        store = self.positions[name]
        found = arrays.find_positions(rows[ITEM], pa.chunked_array([self.of_store(store)])) + self.starts[store]
        days = arrays.read_days(rows[DATE]).astype(np.int64) - _EPOCH
        keys = pa.array(((place << SERIES_BITS) + found << DAY_BITS) + days)
        return rows.drop_columns([ITEM, DATE]).add_column(0, KEY, keys)


def split_slices(batches: Iterator[pa.RecordBatch], starts: NDArray[np.int64]) -> Iterator[tuple[int, int, pa.Table]]:
    """Yield the place, the store's position and the rows of each slice, of a stream sorted by slice, series and day.

    `starts` has the first series of each store.
    """
    pieces: list[pa.RecordBatch] = []
    current = (-1, -1)
    for batch in batches:
        keys = np.asarray(batch.column(KEY), dtype=np.int64)
        ids = keys >> DAY_BITS
        places = ids >> SERIES_BITS
        stores = np.searchsorted(starts, ids & (1 << SERIES_BITS) - 1, side="right") - 1
        cuts = np.flatnonzero((np.diff(places) != 0) | (np.diff(stores) != 0)) + 1
        for begin, end in zip([0, *cuts], [*cuts, len(keys)], strict=True):
            if begin == end:
                continue
            found = int(places[begin]), int(stores[begin])
            if found != current and pieces:
                yield *current, pa.Table.from_batches(pieces)
                pieces = []
            current = found
            pieces.append(batch.slice(begin, end - begin))
    if pieces:
        yield *current, pa.Table.from_batches(pieces)


def order_rows(rows: pa.Table) -> pa.Table:
    """Return rows in the order of their keys, those of the same key by their cells: never by chance."""
    keys = np.asarray(rows[KEY].combine_chunks(), dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    if (np.diff(keys[order]) == 0).any():
        return rows.sort_by([(name, "ascending") for name in (KEY, *sorted({*rows.column_names} - {KEY}))])
    return rows if (np.diff(order) == 1).all() else rows.take(pa.array(order))


def write_whole(batches: Iterator[pa.RecordBatch], items: pa.Array | None, path: Path) -> int:
    """Write rows sorted by item (if any) and day as one file; return how many repeat another's item and day."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    repeats, last = 0, -1
    for batch in batches:
        keys = np.asarray(batch.column(KEY), dtype=np.int64)
        repeats += int((np.diff(keys, prepend=last) == 0).sum())
        last = int(keys[-1]) if len(keys) else last
        columns = (
            {}
            if items is None
            else {ITEM: pa.DictionaryArray.from_arrays(pa.array((keys >> DAY_BITS).astype(np.int32)), items)}
        )
        part = _make_table(columns, batch, keys)
        if writer is None:
            writer = open_writer(path, part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()
    return repeats


def open_writer(path: Path, schema: pa.Schema) -> pa.parquet.ParquetWriter:
    """Begin a Parquet file as all of a dataset's are."""
    return pa.parquet.ParquetWriter(path, schema, compression="zstd", compression_level=1)


def _make_table(columns: dict[str, pa.Array], rows: pa.RecordBatch | pa.Table, keys: NDArray[np.int64]) -> pa.Table:
    days = (keys & ((1 << DAY_BITS) - 1)).astype(np.int32) + np.int32(_EPOCH)
    columns = {**columns, DATE: pa.array(days).cast(pa.date32())}
    for name in rows.schema.names:
        if name != KEY:
            columns[name] = rows.column(name)
    return pa.table(columns)
