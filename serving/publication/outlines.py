"""Outlines of stores: all that is known of one but its items' numbers, kept for who starts or follows.

To make one, all of a store has to be read. Whichever process does so first writes it where the service keeps its own
records; nothing is lost with one of these objects, because it can be made again.

serving/outlines/<SHA-256 of its bytes>.arrow   outlines of some stores
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from foreact.blobs import BlobInfo, BlobStore
from foreact.errors import ForeactError
from foreact.publications.contract import StoreEntry
from foreact.vocabulary import MEAN
from serving.publication.arrays import StoreData
from serving.publication.names import ItemIndex, ItemNames
from serving.publication.shelf import Shelf
from serving.publication.tables import Days, Floats

log = logging.getLogger("foreact.serving")
FOLDER = "serving/outlines/"
SUFFIX = ".arrow"
# So many objects are put together as one.
MOST_OBJECTS = 8


@dataclass(frozen=True, eq=False)
class Outline:
    """What is known of a store without its items' numbers."""

    dates: Days
    totals: dict[str, Floats]
    past_dates: Days
    past_total: Floats
    index: ItemIndex
    # As records; None: not found yet.
    alerts: bytes | None = None

    def make_store(self, store: str, entry: StoreEntry, shelf: Shelf) -> StoreData:
        """Return the store as it is published in an entry."""
        return StoreData(
            store=store,
            entry=entry,
            dates=self.dates,
            total_mean=self.totals[MEAN],
            total_quantiles={name: values for name, values in self.totals.items() if name != MEAN},
            past_dates=self.past_dates,
            past_total=self.past_total,
            shelf=shelf,
            index=self.index,
            alert_records=self.alerts,
        )


class Outlines:
    """The outlines in a blob store, by the content that they were made from."""

    def __init__(self, store: BlobStore, names: ItemNames) -> None:
        self.names = names
        self._store = store
        # The content that each object is of which was read once.
        self._keys: dict[str, frozenset[str]] = {}

    def find_outlines(self, keys: Collection[str]) -> dict[str, Outline]:
        """Return the outlines of some contents, as far as there are any."""
        found: dict[str, Outline] = {}
        try:
            for info in self._list_newest_first():
                wanted = keys - found.keys()
                if not wanted:
                    break
                if info.name not in self._keys or wanted & self._keys[info.name]:
                    found |= self._read_object(info.name, wanted)
        except ForeactError as problem:
            log.warning("outlines of stores cannot be read, and are made again: %s", problem)
        return found

    def write_outlines(self, made: Mapping[str, Outline], current: Collection[str]) -> None:
        """Write outlines for others; where there are many objects, put those of the current contents together."""
        try:
            before = list(self._list_newest_first())
            together = len(before) >= MOST_OBJECTS
            outlines = {**(self.find_outlines(set(current) - made.keys()) if together else {}), **made}
            data = encode_outlines(outlines)
            name = f"{FOLDER}{hashlib.sha256(data).hexdigest()}{SUFFIX}"
            self._store.write(name, data)
            self._keys[name] = frozenset(outlines)
            for info in before if together else ():
                if info.name != name:
                    self._store.delete(info.name)
        except ForeactError as problem:
            log.warning("outlines of stores cannot be written; others make them again: %s", problem)

    def _list_newest_first(self) -> list[BlobInfo]:
        listed = sorted(self._store.list(FOLDER), key=lambda info: info.modified, reverse=True)
        self._keys = {info.name: self._keys[info.name] for info in listed if info.name in self._keys}
        return listed

    def _read_object(self, name: str, wanted: Collection[str]) -> dict[str, Outline]:
        try:
            data = self._store.read(name).data
            if name != f"{FOLDER}{hashlib.sha256(data).hexdigest()}{SUFFIX}":
                raise ValueError("its bytes do not match their checksum")
            keys, outlines = _decode_outlines(data, wanted, self.names)
        except (ForeactError, pa.ArrowException, ValueError, KeyError) as problem:
            log.warning("%s is passed over: %s", name, problem)
            keys, outlines = [], {}
        self._keys[name] = frozenset(keys)
        return outlines


def encode_outlines(outlines: Mapping[str, Outline]) -> bytes:
    """Return outlines as an Arrow file; the same outlines give the same bytes."""
    rows = [outlines[key] for key in sorted(outlines)]
    names = rows[0].index.names.names if rows else []
    used, codes = np.unique(
        np.concatenate([np.empty(0, np.int32), *(row.index.rows for row in rows)]), return_inverse=True
    )
    ends = np.cumsum([0, *(len(row.index.rows) for row in rows)])
    items = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array([names[n] for n in used], pa.string()))
    columns: dict[str, Any] = {
        "key": pa.array(sorted(outlines), pa.string()),
        "items": pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), items),
        "dates": _binary(row.dates.astype(np.int32) for row in rows),
        "quantiles": pa.array([orjson.dumps(list(row.totals)) for row in rows], pa.large_binary()),
        "totals": _binary(np.stack(list(row.totals.values())) for row in rows),
        "past_dates": _binary(row.past_dates.astype(np.int32) for row in rows),
        "past_total": _binary(row.past_total for row in rows),
        "alerts": pa.array([row.alerts for row in rows], pa.large_binary()),
    }
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _binary(arrays: Iterable[NDArray[Any]]) -> Any:
    return pa.array([array.tobytes() for array in arrays], pa.large_binary())


def _decode_outlines(
    data: bytes, wanted: Collection[str], names: ItemNames
) -> tuple[Sequence[str], dict[str, Outline]]:
    """Return the keys of an object's outlines, and those outlines that are wanted."""
    table = pa.ipc.open_file(pa.BufferReader(data)).read_all().combine_chunks()
    keys = table["key"].to_pylist()
    items = table["items"].chunk(0) if keys else None
    outlines: dict[str, Outline] = {}
    if items is None:
        return keys, outlines
    numbers = names.number_names(items.values.dictionary.to_pylist())
    codes, ends = numbers[items.values.indices.to_numpy()], items.offsets.to_numpy()
    columns = {name: table[name].to_pylist() for name in table.column_names if name not in ("key", "items")}
    for place, key in enumerate(keys):
        if key not in wanted:
            continue
        row = {name: values[place] for name, values in columns.items()}
        quantiles = orjson.loads(row["quantiles"])
        totals = np.frombuffer(row["totals"], np.float32).reshape(len(quantiles), -1)
        outlines[key] = Outline(
            dates=_days(row["dates"]),
            totals=dict(zip(quantiles, totals, strict=True)),
            past_dates=_days(row["past_dates"]),
            past_total=np.frombuffer(row["past_total"], np.float32),
            index=ItemIndex(names, codes[ends[place] : ends[place + 1]].copy()),
            alerts=row["alerts"],
        )
    return keys, outlines


def _days(data: bytes) -> Days:
    return np.frombuffer(data, np.int32).astype("datetime64[D]")
