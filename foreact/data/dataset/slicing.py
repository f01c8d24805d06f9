"""The parts of stores' rows: a Parquet file for each slice, and what each store sold on each day."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.data.dataset import arrays
from foreact.data.dataset.earlier import Earlier
from foreact.data.dataset.partitions import Series, open_writer, order_rows
from foreact.data.dataset.slices import Slices, Sold
from foreact.data.dataset.stored import name_rows
from foreact.vocabulary import DATE, UNITS


class SliceWriter:
    """Writes rows that were read into the slices that they belong to, with what stays of the dataset before.

    Slices that stay and have no new row are the parts that they were.
    """

    def __init__(self, folder: Path, series: Series, slices: Slices, earlier: Earlier | None) -> None:
        self.folder, self.series, self.slices, self.earlier = folder, series, slices, earlier
        # The parts that stay.
        self.parts: dict[str, str] = {}
        self._before = earlier.list_slices(slices) if earlier else {}
        self._sold: dict[tuple[str, int], Sold] = {}

    def write(self, place: int, store: str, rows: pa.Table) -> None:
        """Write the new rows of a store in the slice at this place."""
        if self.earlier and (names := self._before.pop((store, place), [])):
            before = self._read_before(self.earlier, store, names, place)
            rows = pa.concat_tables([rows, before.select(rows.column_names).cast(rows.schema)])
        self._write(place, store, rows)

    def keep_others(self) -> None:
        """Keep the slices that have no new rows, each in one part."""
        if self.earlier is None:
            return
        sold = self.earlier.list_sold(self.slices)
        for (store, place), names in self._before.items():
            if names == [self.slices.names[place]]:
                part = name_rows(store, names[0])
                self.parts[part] = self.earlier.dataset.info.parts[part]
                self._sold[store, place] = sold[store, place]
            else:
                self._write(place, store, self._read_before(self.earlier, store, names, place))

    def _read_before(self, earlier: Earlier, store: str, names: list[str], place: int) -> pa.Table:
        parts = [earlier.dataset.read_part(name_rows(store, name)) for name in names]
        return pa.concat_tables([self.series.key_rows(rows, store, place) for rows in parts])

    def _write(self, place: int, store: str, rows: pa.Table) -> None:
        table = self.series.label_rows(order_rows(rows))
        write_rows(self.folder / name_rows(store, self.slices.names[place]), table)
        self._sold[store, place] = sum_days(table)

    def list_slices(self) -> dict[str, list[str]]:
        """Return the names of each store's slices, by date."""
        listed: dict[str, list[str]] = {}
        for store, place in sorted(self._sold):
            listed.setdefault(store, []).append(self.slices.names[place])
        return listed

    def list_sold(self) -> dict[str, Sold]:
        """Return what each store sold on each day, in the order of stores."""
        found: dict[str, list[Sold]] = {}
        for store, place in sorted(self._sold):
            found.setdefault(store, []).append(self._sold[store, place])
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
