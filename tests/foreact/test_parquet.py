"""Parquet files that are in memory."""

import io
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from foreact.parquet import decode_parquet

TABLE = pa.table({"store": ["A", "A", "B"], "mean": [1.0, 2.0, 3.0], "p10": [0.5, 1.0, 2.0]})
THREADS = """
import io, os
import pyarrow as pa, pyarrow.parquet as pq
from foreact.parquet import decode_parquet
buffer = io.BytesIO()
pq.write_table(pa.table({"store": ["A"] * 1_000, "mean": [1.0] * 1_000}), buffer)
before = os.listdir("/proc/self/task")
decode_parquet(buffer.getvalue())
print(len(os.listdir("/proc/self/task")) - len(before))
"""


def encode(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_a_table_comes_back_whole_or_by_columns() -> None:
    data = encode(TABLE)
    assert decode_parquet(data).equals(TABLE)
    assert decode_parquet(data, ["mean", "store"]).select(["mean", "store"]).equals(TABLE.select(["mean", "store"]))
    assert pa.types.is_dictionary(decode_parquet(data, dictionaries=["store"])["store"].type)


def test_reading_starts_no_thread_that_could_outlive_the_process_s_end() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
