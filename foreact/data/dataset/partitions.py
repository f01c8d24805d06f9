"""Cutting a sorted stream of rows into one Parquet file a store, never holding more than a batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foreact.data.reading.dates import EPOCH
from foreact.data.reading.ordering import DAY_BITS, KEY
from foreact.naming import encode_id
from foreact.vocabulary import DATE, ITEM

_EPOCH = np.datetime64(EPOCH, "D").astype(np.int64)


@dataclass(frozen=True)
class Series:
    """All series in order: by store, then by item; a series' id is its position."""

    stores: list[str]
    items: pa.Array
    # By store the id of its first series, and one more for the end.
    starts: NDArray[np.int64]

    def of_store(self, store: int) -> pa.Array:
        """Return the items of a store, by its position."""
        return self.items.slice(self.starts[store], self.starts[store + 1] - self.starts[store])


def write_partitions(
    batches: Iterator[pa.RecordBatch],
    series: Series,
    folder: Path,
    done: Callable[[str], None],
    *,
    with_items: bool = True,
) -> int:
    """Write rows sorted by series and day as one file a store; call `done` with each store when it is whole.

    Return how many rows repeat the series and day of another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    current, writer = -1, None
    repeats, last = 0, -1
    for batch in batches:
        keys = np.asarray(batch.column(KEY), dtype=np.int64)
        repeats += int((np.diff(keys, prepend=last) == 0).sum())
        last = int(keys[-1]) if len(keys) else last
        places = np.searchsorted(series.starts, keys >> DAY_BITS, side="right") - 1 if with_items else keys >> DAY_BITS
        cuts = np.flatnonzero(np.diff(places)) + 1
        for begin, end in zip([0, *cuts], [*cuts, len(places)], strict=True):
            if begin == end:
                continue
            part = _label_rows(batch.slice(begin, end - begin), keys[begin:end], series, int(places[begin]), with_items)
            if places[begin] != current:
                if writer is not None:
                    writer.close()
                    done(series.stores[current])
                current = int(places[begin])
                writer = open_writer(folder / f"{encode_id(series.stores[current])}.parquet", part.schema)
            if writer is not None:
                writer.write_table(part)
    if writer is not None:
        writer.close()
        done(series.stores[current])
    return repeats


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


def _label_rows(
    batch: pa.RecordBatch, keys: NDArray[np.int64], series: Series, store: int, with_items: bool
) -> pa.Table:
    if not with_items:
        return _make_table({}, batch, keys)
    codes = pa.array(((keys >> DAY_BITS) - series.starts[store]).astype(np.int32))
    return _make_table({ITEM: pa.DictionaryArray.from_arrays(codes, series.of_store(store))}, batch, keys)


def _make_table(columns: dict[str, pa.Array], batch: pa.RecordBatch, keys: NDArray[np.int64]) -> pa.Table:
    days = (keys & ((1 << DAY_BITS) - 1)).astype(np.int32) + np.int32(_EPOCH)
    columns = {**columns, DATE: pa.array(days).cast(pa.date32())}
    for name in batch.schema.names:
        if name != KEY:
            columns[name] = batch.column(name)
    return pa.table(columns)
