"""The outline of a store, how it is made from the store's arrays, and outlines as bytes.

The worker that trains a store writes its outline beside its other objects, and the service keeps those that it made or
read itself: both are Arrow files of outlines by the content that they were made from.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.outlines.alerts import find_records
from foreact.outlines.assembling import Assembled, assemble_store
from foreact.outlines.levels import compute_levels
from foreact.outlines.names import ItemIndex, ItemNames
from foreact.outlines.tables import BadObject, Days, Floats
from foreact.publications.contract import Kind, StoreTables
from foreact.vocabulary import MEAN, P10, P90

# Raised when what an outline holds, or how its alerts are found, changes: what was made before is then made again.
FORMAT = 1


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


def outline_store(arrays: Assembled, names: ItemNames) -> Outline:
    """Return a store's outline without its alerts."""
    index = ItemIndex(names, names.number_names(arrays.items))
    return Outline(arrays.dates, arrays.totals, arrays.past_dates, arrays.past_total, index)


def outline_with_alerts(arrays: Assembled, names: ItemNames) -> Outline:
    """Return a store's outline."""
    totals, items = arrays.totals, arrays.quantiles
    records = find_records(
        compute_levels(arrays, *(each[None] for each in (totals[MEAN], totals[P10], totals[P90], arrays.past_total))),
        compute_levels(arrays, items[MEAN], items[P10], items[P90], arrays.past),
    )
    return replace(outline_store(arrays, names), alerts=records.tobytes())


def encode_outline(store: str, entry: StoreTables, objects: Mapping[Kind, bytes]) -> bytes:
    """Return the outline of a store's objects as one more of them; raise BadObject if those are damaged."""
    outline = outline_with_alerts(assemble_store(store, entry, objects), ItemNames())
    return encode_outlines({name_content(store, entry): outline})


def name_content(store: str, entry: StoreTables) -> str:
    """Return a name for what is published for a store that changes with any of its bytes, and with FORMAT."""
    objects = sorted((kind, published.sha256) for kind, published in entry.tables.items())
    text = repr((FORMAT, store, entry.spacing.value, entry.quantiles, objects))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
        "quantiles": pa.array([json.dumps(list(row.totals)).encode() for row in rows], pa.large_binary()),
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


def decode_outlines(data: bytes, wanted: Set[str], names: ItemNames) -> tuple[Sequence[str], dict[str, Outline]]:
    """Return the keys of an object's outlines, and those outlines that are wanted; raise BadObject for another file."""
    try:
        return _decode(data, wanted, names)
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise BadObject(f"outlines cannot be read: {str(error).splitlines()[0]}") from None


def _decode(data: bytes, wanted: Set[str], names: ItemNames) -> tuple[Sequence[str], dict[str, Outline]]:
    table = pa.ipc.open_file(pa.BufferReader(data)).read_all().combine_chunks()
    keys = table["key"].to_pylist()
    outlines: dict[str, Outline] = {}
    if wanted.isdisjoint(keys):
        # Those of another format may have other columns.
        return keys, outlines
    items = table["items"].chunk(0)
    numbers = names.number_names(items.values.dictionary.to_pylist())
    codes, ends = numbers[items.values.indices.to_numpy()], items.offsets.to_numpy()
    columns = {name: table[name].to_pylist() for name in table.column_names if name not in ("key", "items")}
    for place, key in enumerate(keys):
        if key not in wanted:
            continue
        row = {name: values[place] for name, values in columns.items()}
        quantiles = json.loads(row["quantiles"])
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
