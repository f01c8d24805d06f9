"""Parquet objects as wide arrays, items x days."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.errors import ForeactError
from foreact.parquet import decode_parquet
from foreact.vocabulary import DATE, DRIVER, ITEM, STORE

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Days = NDArray[np.datetime64]


class BadObject(ForeactError):
    """A published object is not as the contract requires."""


@dataclass(frozen=True)
class WideTable:
    """Columns of a long table, each as an array of labels x dates with NaN where there was no row."""

    labels: tuple[str, ...]
    dates: Days
    columns: dict[str, Floats]
    rows: int


def read_table(data: bytes, name: str, store: str, columns: tuple[str, ...]) -> pa.Table:
    """Return an object's columns; raise BadObject if one is missing or rows are of another store."""
    texts = [column for column in columns if column in {STORE, ITEM, DRIVER}]
    try:
        table = decode_parquet(data, columns, dictionaries=texts)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise BadObject(f"{name} cannot be read: {str(error).splitlines()[0]}") from None
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise BadObject(f"{name} has no columns {', '.join(missing)}")
    if STORE in columns and table.num_rows:
        found = set(table[STORE].unify_dictionaries().unique().to_pylist())
        if found != {store}:
            raise BadObject(f"{name} has rows of other stores than {store!r}")
    return table


def _read_days(table: pa.Table, name: str) -> NDArray[np.int32]:
    column = table[DATE].combine_chunks()
    if column.null_count:
        raise BadObject(f"{name} has rows without a date")
    try:
        return np.asarray(column.cast(pa.date32()).cast(pa.int32()), dtype=np.int32)
    except pa.ArrowException:
        raise BadObject(f"{name} has dates of type {column.type}") from None


def _encode_labels(table: pa.Table, by: str, name: str) -> tuple[list[str], NDArray[np.int64]]:
    column = table[by].unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if column.null_count:
        raise BadObject(f"{name} has rows without {by}")
    labels = [str(label) for label in column.dictionary.to_pylist()]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels))
    return [labels[index] for index in order], rank[np.asarray(column.indices, dtype=np.int64)]


def widen_table(table: pa.Table, name: str, values: tuple[str, ...], by: str | None) -> WideTable:
    """Return a long table as arrays of labels x dates, of one row without `by`; raise BadObject for two rows a cell."""
    if not table.num_rows:
        return WideTable((), np.empty(0, "datetime64[D]"), {value: np.empty((0, 0), np.float32) for value in values}, 0)
    days = _read_days(table, name)
    labels, codes = _encode_labels(table, by, name) if by else ([""], np.zeros(table.num_rows, np.int64))
    present = np.unique(days)
    cells = codes * len(present) + np.searchsorted(present, days)
    shape = (len(labels), len(present))
    if table.num_rows > shape[0] * shape[1] or np.bincount(cells).max() > 1:
        raise BadObject(f"{name} has two rows for one day")
    columns: dict[str, Floats] = {}
    for value in values:
        array = np.full(shape[0] * shape[1], np.nan, np.float32)
        array[cells] = _read_floats(table[value], name, value)
        columns[value] = array.reshape(shape)
    return WideTable(tuple(labels), present.astype("datetime64[D]"), columns, table.num_rows)


def _read_floats(column: Any, name: str, value: str) -> Floats:
    try:
        return np.asarray(column.cast(pa.float32(), safe=False).to_numpy(), dtype=np.float32)
    except pa.ArrowException:
        raise BadObject(f"{name} has no numbers in {value}") from None
