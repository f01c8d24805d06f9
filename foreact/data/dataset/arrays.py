"""From Arrow columns to NumPy arrays."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from foreact.parquet import decode_parquet

Floats = NDArray[np.float32]


def read_table(source: bytes | Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file of the dataset, some of its columns or all."""
    table = (
        decode_parquet(source, columns) if isinstance(source, bytes) else pa.parquet.read_table(source, columns=columns)
    )
    return table.combine_chunks()


def join_slices(slices: list[pa.Table]) -> pa.Table:
    """Return the rows of a store's slices as one table, each column of texts by one dictionary."""
    return pa.concat_tables(slices).unify_dictionaries().combine_chunks()


def join_rows(past: pa.Table, rows: pa.Table) -> pa.Table:
    """Return rows after those of a past that has some of their columns only."""
    columns = [
        past[name].cast(rows[name].type) if name in past.column_names else pa.nulls(past.num_rows, rows[name].type)
        for name in rows.column_names
    ]
    return pa.concat_tables([pa.table(columns, schema=rows.schema), rows]).unify_dictionaries().combine_chunks()


def read_texts(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """Return texts as NumPy has them; nothing becomes the empty text."""
    values = [value or "" for value in column.to_pylist()]
    return np.array(values, dtype=np.str_) if values else np.empty(0, dtype=np.str_)


def find_positions(column: pa.ChunkedArray, values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return each row's position among the values, -1 for none."""
    found = pc.index_in(read_dictionary(column).dictionary, value_set=_cast_to_plain_text(values))
    codes = np.asarray(pc.fill_null(found, -1), dtype=np.int64)
    indices = np.asarray(pc.fill_null(read_dictionary(column).indices, -1), dtype=np.int64)
    return np.where(indices < 0, -1, codes[indices]) if len(codes) else np.full(len(column), -1, dtype=np.int64)


def read_codes(column: pa.ChunkedArray, categories: list[str] | None) -> Floats:
    """Return the codes of texts, NaN for none."""
    codes = find_positions(column, pa.chunked_array([pa.array(categories or [], pa.string())]))
    return np.where(codes < 0, np.nan, codes).astype(np.float32)


def read_dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a text column as codes and the texts they stand for."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()


def _cast_to_plain_text(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.cast(pa.string())


def read_days(column: pa.ChunkedArray | pa.Array) -> NDArray[np.datetime64]:
    """Return dates as NumPy has them."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.cast(pa.int32()), dtype=np.int64).astype("datetime64[D]")


def read_floats(column: pa.ChunkedArray) -> Floats:
    """Return numbers and flags as floats, NaN for none."""
    array = column.combine_chunks()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    return np.asarray(array.cast(pa.float32()).to_numpy(zero_copy_only=False), dtype=np.float32)
