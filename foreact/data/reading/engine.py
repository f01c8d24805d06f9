"""The SQL engine that large tables are read and sorted with, within a fixed memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

Row = tuple[Any, ...]


class Engine:
    """DuckDB in this process: keeps to its memory, spills into a scratch folder, downloads nothing."""

    def __init__(self, scratch: Path, memory: str = "1500MB", threads: int = 2) -> None:
        self.scratch = scratch
        self._connection = duckdb.connect(
            config={
                "memory_limit": memory,
                "threads": threads,
                "temp_directory": str(scratch / "spill"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )

        # A moment is of the day that it has in UTC, wherever this runs.
        self.execute("SET TimeZone = 'UTC'")
        self.execute("SET enable_progress_bar = false")

    def execute(self, sql: str) -> list[Row]:
        """Run a statement to its end and return its rows."""
        return list(self._connection.execute(sql).fetchall())

    def fetch_one(self, sql: str) -> Row:
        """Run a statement and return its one row."""
        return self.execute(sql)[0]

    def fetch_table(self, sql: str) -> pa.Table:
        """Run a query and return its rows as one Arrow table."""
        return self._connection.sql(sql).to_arrow_reader(1_000_000).read_all()

    def stream_batches(self, sql: str, rows: int = 1_000_000) -> Iterator[pa.RecordBatch]:
        """Run a query and yield its rows in batches."""
        yield from self._connection.sql(sql).to_arrow_reader(rows)

    def write_parquet(self, sql: str, path: Path) -> None:
        """Run a query that sorts and write its rows; the same rows give the same bytes."""
        reader = self._connection.sql(sql).to_arrow_reader(1_000_000)
        with pa.parquet.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)

    def register_table(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known to SQL under a name."""
        self._connection.register(f"{name}_arrow", table)
        self.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {name}_arrow")
        self._connection.unregister(f"{name}_arrow")

    def close(self) -> None:
        """Let go of memory and files."""
        self._connection.close()
