"""The parts of stores' rows: a Parquet file for each slice, and what each store sold on each day."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.data.dataset import arrays
from foreact.data.dataset.partitions import Series, open_writer, order_rows
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.stored import name_rows
from foreact.vocabulary import DATE, UNITS

# The dates on which a store has rows, and the units above zero of each.
Sold = tuple[NDArray[np.datetime64], NDArray[np.float64]]


class SliceWriter:
    """Writes slices in any order and remembers which ones each store has."""

    def __init__(self, folder: Path, series: Series, slices: Slices) -> None:
        self.folder, self.series, self.slices = folder, series, slices
        self._sold: dict[tuple[int, int], Sold] = {}

    def write(self, place: int, store: int, rows: pa.Table) -> None:
        """Write the rows of a store in the slice at this place."""
        table = self.series.label_rows(order_rows(rows))
        write_rows(self.folder / name_rows(self.series.stores[store], self.slices.names[place]), table)
        self.add(place, store, sum_days(table))

    def add(self, place: int, store: int, sold: Sold) -> None:
        """Remember a slice that is there."""
        self._sold[store, place] = sold

    def has(self, place: int, store: int) -> bool:
        """Return whether a slice is there."""
        return (store, place) in self._sold

    def list_slices(self) -> dict[str, list[str]]:
        """Return the names of each store's slices, by date."""
        listed: dict[str, list[str]] = {}
        for store, place in sorted(self._sold):
            listed.setdefault(self.series.stores[store], []).append(self.slices.names[place])
        return listed

    def list_sold(self) -> dict[str, Sold]:
        """Return what each store sold on each day."""
        found: dict[str, list[Sold]] = {}
        for store, place in sorted(self._sold):
            found.setdefault(self.series.stores[store], []).append(self._sold[store, place])
        return {
            store: (np.concatenate([days for days, _ in each]), np.concatenate([sold for _, sold in each]))
            for store, each in found.items()
        }


def write_rows(path: Path, table: pa.Table) -> None:
    """Write a part of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path, table.schema) as writer:
        writer.write_table(table)


def sum_days(rows: pa.Table) -> Sold:
    """Return the dates that rows have, and the units above zero of each."""
    days = arrays.read_days(rows[DATE])
    place = (days - days.min()).astype(np.int64)
    total: NDArray[np.float64] = np.bincount(place, np.nan_to_num(arrays.read_floats(rows[UNITS])).clip(min=0)).astype(
        np.float64
    )
    there = np.flatnonzero(np.bincount(place))
    return days.min() + there, total[there]
