"""Publications made by hand, and the crash-prone stores of the fault tests."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from foreact.blobs import Blob, BlobConflict, BlobInfo, BlobNotFound
from foreact.publications import PublishedModel, PublishedObject, StoreEntry
from foreact.publications.contract import object_name

START = datetime(2024, 4, 1, 6, tzinfo=UTC)


def table_bytes(store: str, value: float) -> bytes:
    """Return a small object that says whose it is."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"store": [store], "mean": [value]}), buffer)
    return buffer.getvalue()


def entry(store: str, run: str, value: float, *, as_of: date = date(2024, 3, 31), version: str = "1") -> StoreEntry:
    """Describe a store's publication by a run; its object's bytes are `table_bytes(store, value)`."""
    data = table_bytes(store, value)
    published = PublishedObject(
        name=object_name(run, store, "forecasts"), sha256=hashlib.sha256(data).hexdigest(), size=len(data), rows=1
    )
    return StoreEntry(
        run=run,
        as_of=as_of,
        generated_at=START,
        horizon=1,
        items=1,
        model=PublishedModel(name=f"foreact-{store}", version=version),
        data_hash=f"hash-{store}-{value}",
        code_version="abc",
        objects={"forecasts": published},
        accuracy={"wape": value},
    )


def put(store: Any, name: str, run: str, value: float, **more: Any) -> StoreEntry:
    """Write a store's object and describe it."""
    described = entry(name, run, value, **more)
    store.write(described.objects["forecasts"].name, table_bytes(name, value))
    return described


@dataclass
class MemoryStore:
    """A blob store in memory with a clock of its own, for tests that run thousands of steps."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    objects: dict[str, tuple[bytes, int, datetime]] = field(default_factory=dict)
    writes: int = 0

    def read(self, name: str) -> Blob:
        if name not in self.objects:
            raise BlobNotFound(f"{name} is not in memory.")
        data, number, _ = self.objects[name]
        return Blob(data, str(number))

    def read_if_changed(self, name: str, etag: str) -> Blob | None:
        blob = self.read(name)
        return None if blob.etag == etag else blob

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name).data)

    def write(self, name: str, data: bytes | Path, *, if_match: str | None = None, if_absent: bool = False) -> str:
        there = self.objects.get(name)
        if (if_absent and there) or (if_match is not None and (there is None or str(there[1]) != if_match)):
            raise BlobConflict(f"{name} is in another state.")
        self.writes += 1
        self.objects[name] = (data if isinstance(data, bytes) else data.read_bytes(), self.writes, self.now())
        return str(self.writes)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        for name in sorted(self.objects):
            if name.startswith(prefix):
                data, number, modified = self.objects[name]
                yield BlobInfo(name, len(data), str(number), modified)

    def list_folders(self, prefix: str) -> Iterator[str]:
        inside = (name.removeprefix(prefix).split("/") for name in self.objects if name.startswith(prefix))
        yield from sorted({f"{prefix}{parts[0]}/" for parts in inside if len(parts) > 1})

    def delete(self, *names: str) -> None:
        for name in names:
            self.objects.pop(name, None)
