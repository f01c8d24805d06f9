"""The parts of known tables by store: of slices whose rows are those of the dataset before, nothing is sorted again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from foreact.data.dataset.earlier import Earlier
from foreact.data.dataset.partitions import Series, split_slices
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.slicing import write_rows
from foreact.data.dataset.stored import name_known_slice
from foreact.data.reading.cells import quote
from foreact.data.reading.engine import Engine
from foreact.data.reading.known import Known
from foreact.data.reading.ordering import KEY, slice_key
from foreact.vocabulary import ITEM, STORE

CHANGED = "changed_slices"


@dataclass(frozen=True)
class Written:
    """How many rows a table has, the days of the first and the last, and how many have the keys of another."""

    rows: int
    first: int
    last: int
    repeats: int


@dataclass(frozen=True)
class _Described:
    """The rows of a store's slice: how many, their days, and what tells them."""

    rows: int
    first: int
    last: int
    digest: str


class KnownSlices:
    """Writes known tables by store and remembers which slices each store has."""

    def __init__(self, engine: Engine, folder: Path, series: Series, slices: Slices, earlier: Earlier | None) -> None:
        self.engine, self.folder, self.series, self.slices = engine, folder, series, slices
        self.before = earlier.made_of.known if earlier else {}
        self.parts_before = earlier.dataset.info.parts if earlier else {}
        # The parts that stay.
        self.parts: dict[str, str] = {}
        # By table, store and name of the slice what tells its rows.
        self.digests: dict[tuple[str, str, str], str] = {}
        self.names: dict[str, dict[str, list[str]]] = {}

    def write(self, known: Known, joined: str, key: str, cells: Mapping[str, str]) -> Written:
        """Write the slices of a table whose rows are new or changed."""
        table = json.dumps([known.name, known.keys, dict(cells)])
        place = self.slices.place_sql("known.day")
        found = self._digest(known, joined, place, cells)
        digests = {(table, store, self.slices.names[slot]): each.digest for (store, slot), each in found.items()}
        stays = {slot for slot, each in zip(found, digests, strict=True) if self.before.get(each) == digests[each]}
        selected = "".join(f", {cell} AS {quote(name)}" for name, cell in cells.items())
        changed = f"{joined} AND (store, {place}) IN (SELECT (store, place) FROM {CHANGED})" if stays else joined
        self._register(sorted(found.keys() - stays))
        source = f"SELECT {slice_key(place, key)} AS {quote(KEY)} {selected} FROM {changed}"
        repeats = self._stream(known, f"{source} ORDER BY {quote(KEY)}")
        if repeats:
            if stays:
                self.before = {}
                return self.write(known, joined, key, cells)
            # Which of equal keys comes first is chance, and a dataset must not be.
            largest = "".join(f", max({quote(name)}) AS {quote(name)}" for name in cells)
            order = quote(KEY)
            self._stream(known, f"SELECT {order}{largest} FROM ({source}) GROUP BY {order} ORDER BY {order}")
        else:
            self.digests |= digests
        for store, slot in stays:
            part = name_known_slice(known.name, store, self.slices.names[slot])
            self.parts[part] = self.parts_before[part]
        for store, slot in sorted(found):
            self.names.setdefault(store, {}).setdefault(known.name, []).append(self.slices.names[slot])
        return Written(
            sum(each.rows for each in found.values()),
            min((each.first for each in found.values()), default=0),
            max((each.last for each in found.values()), default=0),
            repeats,
        )

    def _digest(
        self, known: Known, joined: str, place: str, cells: Mapping[str, str]
    ) -> dict[tuple[str, int], _Described]:
        """Return what tells the rows of each store and slice, in whatever order they are."""
        row = ", ".join([*([ITEM] if ITEM in known.keys else []), "known.day", *cells.values()])
        rows = self.engine.execute(
            f"""SELECT store, {place}, count(*), min(known.day), max(known.day), count(*) || ' ' || sum(hash({row}))
                FROM {joined} GROUP BY 1, 2"""
        )
        return {(store, int(slot)): _Described(*described) for store, slot, *described in rows}

    def _register(self, slots: list[tuple[str, int]]) -> None:
        columns = {
            STORE: pa.array([store for store, _ in slots], pa.string()),
            "place": pa.array([slot for _, slot in slots], pa.int32()),
        }
        self.engine.register_table(CHANGED, pa.table(columns))

    def _stream(self, known: Known, query: str) -> int:
        """Write rows by store and slice; return how many have the keys of another."""
        repeats, with_items = 0, ITEM in known.keys
        starts = self.series.starts if with_items else np.arange(len(self.series.stores) + 1)
        for slot, store, rows in split_slices(self.engine.stream_batches(query), starts):
            repeats += int((np.diff(np.asarray(rows[KEY], np.int64)) == 0).sum())
            name = name_known_slice(known.name, self.series.stores[store], self.slices.names[slot])
            write_rows(self.folder / name, self.series.label_rows(rows, with_items=with_items))
        return repeats
