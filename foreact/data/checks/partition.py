"""All rows of a store that may have a fault: which ones break a rule, and what is left of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.data.checks.findings import Sample
from foreact.data.checks.poison import find_impossible
from foreact.data.checks.rules import POSSIBLE, UNIQUE
from foreact.data.checks.tally import EPOCH, Rows, Tally, find_repeats
from foreact.data.dataset import arrays
from foreact.data.dataset.parcel import Missing, lay_out_units
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.slicing import write_rows
from foreact.data.dataset.stored import Dataset, name_rows
from foreact.errors import ForeactError
from foreact.forecasting.inputs.stockouts import find_stockouts
from foreact.vocabulary import DATE, ITEM, OPEN, STORE, UNITS

CELL = (STORE, ITEM, DATE)
# Rows that are named one by one, as each takes memory and time; no store has so many by a slip.
MOST_REPEATED = 1_000_000


@dataclass(frozen=True)
class Mended:
    """What mending a store's rows came to."""

    rows: int
    rejected: list[dict[str, str]]
    # Days of an item with returns in rows of their own, and those with more returns than sales.
    netted: int
    below: int
    # One of the latter.
    example: str


@dataclass(frozen=True)
class Partition:
    """One store's rows, by item and day, each item as its position."""

    store: str
    items: pa.ChunkedArray
    item: NDArray[np.int64]
    day: NDArray[np.int64]
    # Nothing where no day can have sold what was written.
    units: NDArray[np.float32]
    written: NDArray[np.float32]
    # By item, the day of its first row.
    born: NDArray[np.int64]
    # The places of these rows in the table with all of their columns.
    order: NDArray[np.int64]
    table: pa.Table

    @classmethod
    def read(cls, store: str, dataset: Dataset) -> "Partition":
        """Read a store's rows."""
        listed = dataset.read_items(store, [ITEM, "first"])
        names, born = listed[ITEM], arrays.read_days(listed["first"]).astype(np.int64)
        table = dataset.read_rows(store)
        item, day = arrays.find_positions(table[ITEM], names), arrays.read_days(table[DATE]).astype(np.int64)
        # Slices are by date, each of them by item.
        order = np.argsort(item.astype(np.int32), kind="stable")
        item, day, written = item[order], day[order], arrays.read_floats(table[UNITS])[order]
        impossible = find_impossible(item, day, written)
        units = np.where(impossible, np.float32(np.nan), written) if impossible.any() else written
        return cls(store, names, item, day, units, written, born, order, table)

    def rows(self, place: int) -> dict[str, NDArray[Any]]:
        """Return the rows that share an item and day with another, and the first; stores, items and dates as numbers.

        No other row can break a rule of rows, and all of them are of the same types.
        """
        again = find_repeats(self.item, self.day)
        shown = np.flatnonzero(again | np.append(again[1:], False) | (np.arange(len(again)) == 0))
        return {
            STORE: np.full(len(shown), place, np.int32),
            ITEM: self.item[shown].astype(np.int32),
            DATE: self.day[shown].astype(np.int32),
            UNITS: self.units[shown],
        }

    def tally(self, as_of: int, missing: Missing | None) -> Tally:
        """Return what the rows come to; where missing rows mean something, with the days that seem to be sold out."""
        shut = arrays.read_floats(self.table[OPEN])[self.order] == 0 if OPEN in self.table.column_names else None
        rows = Rows(self.item, self.day, self.units, np.zeros(len(self.item), bool) if shut is None else shut)
        tally = replace(Tally.start(len(self.items)).add(rows), last_known=self.last_known)
        if missing is None:
            return tally
        first = int(self.born.min(initial=as_of))
        units = lay_out_units(
            self.item, self.day - first, self.units.clip(min=0), self.born - first, as_of - first + 1, missing
        )
        item, day = np.nonzero(find_stockouts(units))
        return tally.doubt(item, day + first)

    def is_sound(self) -> bool:
        """Return whether there is one row an item and day, none of returns and none that is impossible."""
        return self.units is self.written and not (self.units < 0).any() and not find_repeats(self.item, self.day).any()

    @property
    def last_known(self) -> int:
        """The last day that has units; -1 if none has."""
        return int(self.day[np.isfinite(self.written)].max(initial=-1))

    def write_mended(self, folder: Path, slices: Slices) -> Mended:
        """Write one row an item and day: returns netted with the day's sales, and nothing that cannot be trusted.

        A day that cannot be trusted stays, unknown: left out, it could pass for a day without sales.
        """
        repeated = find_repeats(self.item, self.day)
        # By item and day: its first row, and the place of its group for each row.
        starts, groups = np.flatnonzero(~repeated), np.cumsum(~repeated) - 1
        count = np.diff(starts, append=len(repeated))
        net = np.add.reduceat(self.units.astype(np.float64), starts)
        low, high = (each.reduceat(np.nan_to_num(self.units, nan=-1), starts) for each in (np.minimum, np.maximum))
        returned = np.minimum.reduceat(np.nan_to_num(self.units), starts) < 0
        # Rows that agree are one row written twice; where they do not, nobody knows which is right.
        differ = ~returned & (low != high)
        bad = (~returned & (count > 1))[groups] & (differ[groups] | repeated)
        if (many := np.count_nonzero(bad)) > MOST_REPEATED:
            raise ForeactError(
                f"Store {self.store!r} has {many:,} rows that repeat the item and date of another: "
                "write one row for each."
            )
        first = self.units[starts]
        units = np.where(returned, net.clip(min=0), np.where(differ, np.nan, first)).astype(np.float32)
        kept = self.table.take(pa.array(self.order[~repeated]))
        kept = kept.set_column(kept.column_names.index(UNITS), UNITS, pa.array(units, from_pandas=True))
        places = slices.place_days(arrays.read_days(kept[DATE]))
        for place in np.unique(places):
            write_rows(folder / name_rows(self.store, slices.names[place]), kept.filter(pa.array(places == place)))
        impossible = np.flatnonzero(np.isnan(self.units) & np.isfinite(self.written))
        rejected = [self._describe_row(POSSIBLE, int(index)) for index in impossible]
        rejected += [self._describe_row(UNIQUE, int(index)) for index in np.setdiff1d(np.flatnonzero(bad), impossible)]
        below = np.flatnonzero(net < 0)
        example = self._name_cell(int(starts[below[0]])) if len(below) else ""
        return Mended(kept.num_rows, rejected, int((returned & (count > 1)).sum()), len(below), example)

    def _name_cell(self, index: int) -> str:
        return str(Sample(**{name: text for name, text in self._describe_row("", index).items() if name in CELL}))

    def _describe_row(self, rule: str, index: int) -> dict[str, str]:
        return {
            "rule": rule,
            STORE: self.store,
            ITEM: self.items[int(self.item[index])].as_py(),
            DATE: str(EPOCH + self.day[index]),
            UNITS: f"{self.written[index]:g}",
        }
