"""Parquet files that are in memory."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def encode_parquet(table: "pa.Table") -> bytes:
    """Return a table as a Parquet file's bytes."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def decode_parquet(
    data: bytes, columns: Sequence[str] | None = None, *, dictionaries: Sequence[str] = ()
) -> "pa.Table":
    """Return the table of a Parquet file's bytes: some columns or all, some of them as dictionaries.

    It is read by the calling thread alone: a thread of Arrow's that still holds the bytes aborts a process that ends
    at that moment.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(dictionaries))
    return file.read(columns=None if columns is None else list(columns), use_threads=False)
