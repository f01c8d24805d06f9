"""A store's rows as arrays: what the rules look at, and which rows break one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foreact.data.checks.rules import NOT_NEGATIVE, SPIKE_DAYS, SPIKE_UNITS, UNIQUE
from foreact.data.dataset import arrays
from foreact.data.dataset.partitions import open_writer
from foreact.vocabulary import DATE, ITEM, STORE, UNITS

_EPOCH = np.datetime64("1970-01-01", "D")


@dataclass(frozen=True)
class Partition:
    """One store's rows, by item and day, each item as its position."""

    store: str
    items: pa.ChunkedArray
    item: NDArray[np.int64]
    day: NDArray[np.int64]
    units: NDArray[np.float32]

    @classmethod
    def read(cls, store: str, rows: Path, items: Path) -> "Partition":
        """Read the columns that the rules look at."""
        names = arrays.read_table(items, [ITEM])[ITEM]
        table = arrays.read_table(rows, [ITEM, DATE, UNITS])
        item, day = arrays.find_positions(table[ITEM], names), arrays.read_days(table[DATE]).astype(np.int64)
        return cls(store, names, item, day, arrays.read_floats(table[UNITS]))

    def days(self) -> NDArray[np.int64]:
        """Return the days that have any row, in order."""
        first = self.day.min(initial=0)
        return np.asarray(np.flatnonzero(np.bincount(self.day - first)) + first)

    def rows(self, place: int) -> dict[str, NDArray[Any]]:
        """Return all rows, narrow: stores, items and dates as numbers."""
        return {
            STORE: np.full(len(self.item), place, np.int32),
            ITEM: self.item.astype(np.int32),
            DATE: self.day.astype(np.int32),
            UNITS: self.units,
        }

    def series(self, as_of: int) -> dict[str, Any]:
        """Return one row a series: how old it is, how much it sold, and its most unusual day."""
        starts = np.flatnonzero(np.diff(self.item, prepend=-1))
        if not len(starts):
            return {}
        positive = np.where(self.units > 0, self.units, 0).astype(np.float64)
        total, selling = np.add.reduceat(positive, starts), np.add.reduceat((positive > 0).astype(np.int64), starts)
        peak = np.maximum.reduceat(positive, starts)
        rows = np.diff(np.append(starts, len(self.item)))
        with np.errstate(all="ignore"):
            usual = (total - peak) / (selling - 1)
            spike = np.where((selling > SPIKE_DAYS) & (peak >= SPIKE_UNITS), peak / usual, 0.0)
        # The day is looked up for the few series that need it.
        days = np.full(len(starts), -1, dtype=np.int64)
        for index in np.flatnonzero(spike > 1):
            begin = starts[index]
            days[index] = self.day[begin + int(np.argmax(positive[begin : begin + rows[index]]))]
        return {
            STORE: [self.store] * len(starts),
            ITEM: self.items.take(pa.array(self.item[starts])).to_pylist(),
            DATE: [str(_EPOCH + day) if day >= 0 else "" for day in days],
            "found": [f"{value:g}" for value in peak],
            "days_old": as_of - self.day[np.append(starts[1:], len(self.day)) - 1],
            "spike": spike,
            "sold": total,
            "rows": rows,
        }

    def find_faults(self) -> dict[str, NDArray[np.bool_]]:
        """Return by rule which rows break it."""
        repeats = self._find_repeats()
        again = repeats.copy()
        again[:-1] |= repeats[1:]
        return {UNIQUE: again, NOT_NEGATIVE: self.units < 0}

    def write_mended(self, source: Path, target: Path) -> tuple[int, list[dict[str, str]]]:
        """Write the rows without those that cannot be trusted; return how many are left and which were rejected.

        A day that cannot be trusted stays, unknown: left out, it could pass for a day without sales.
        """
        faults = self.find_faults()
        units = np.where(faults[NOT_NEGATIVE], np.nan, self.units)
        keep = ~self._find_repeats()
        groups = np.cumsum(keep) - 1
        # Rows that agree are one row written twice; where they do not, nobody knows which is right.
        low, high = np.full(groups[-1] + 1, np.inf), np.full(groups[-1] + 1, -np.inf)
        filled = np.nan_to_num(self.units, nan=-1)
        np.minimum.at(low, groups, filled)
        np.maximum.at(high, groups, filled)
        differ = faults[UNIQUE] & (low != high)[groups]
        units[differ] = np.nan
        rejected = []
        for rule, bad in (
            (UNIQUE, faults[UNIQUE] & (differ | ~keep)),
            (NOT_NEGATIVE, faults[NOT_NEGATIVE] & ~faults[UNIQUE]),
        ):
            for index in np.flatnonzero(bad):
                rejected.append(self._describe_row(rule, int(index)))
        table = pa.parquet.read_table(source)
        table = table.set_column(
            table.column_names.index(UNITS), UNITS, pa.array(units.astype(np.float32), from_pandas=True)
        )
        mended = table.filter(pa.array(keep))
        target.unlink(missing_ok=True)
        with open_writer(target, mended.schema) as writer:
            writer.write_table(mended)
        return mended.num_rows, rejected

    def _find_repeats(self) -> NDArray[np.bool_]:
        """Return which rows have the item and day of the row before."""
        again = np.zeros(len(self.item), dtype=bool)
        again[1:] = (np.diff(self.item) == 0) & (np.diff(self.day) == 0)
        return again

    def _describe_row(self, rule: str, index: int) -> dict[str, str]:
        return {
            "rule": rule,
            STORE: self.store,
            ITEM: self.items[int(self.item[index])].as_py(),
            DATE: str(_EPOCH + self.day[index]),
            UNITS: f"{self.units[index]:g}",
        }
