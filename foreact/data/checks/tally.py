"""What a store's rows come to: all that the rules ask of a store whose rows have no fault.

It grows slice by slice, so what the slices before the last come to is kept, and the next night goes on from there.
"""

import io
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.data.checks.findings import Sample
from foreact.data.checks.poison import may_be_impossible
from foreact.data.checks.rules import SPIKE_DAYS, SPIKE_UNITS
from foreact.data.dataset import arrays
from foreact.errors import count_noun
from foreact.vocabulary import DATE, ITEM, STORE

EPOCH = np.datetime64("1970-01-01", "D")
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Rows of a store, by item and day: items as positions, days as numbers, whether a flag says closed."""

    item: Ints
    day: Ints
    units: NDArray[np.float32]
    shut: NDArray[np.bool_]


def find_repeats(item: Ints, day: Ints) -> NDArray[np.bool_]:
    """Return which rows have the item and day of the row before."""
    again = np.zeros(len(item), dtype=bool)
    again[1:] = (np.diff(item) == 0) & (np.diff(day) == 0)
    return again


@dataclass(frozen=True)
class Tally:
    """What rows come to by item, by day and in all; days are numbers, -1 for none."""

    # By item: its rows, its units above zero, on how many days, the most of a day, and which days those are.
    rows: Ints
    sold: Floats
    selling: Ints
    peak: Floats
    peak_day: Ints
    last_day: Ints
    last_sold: Ints
    # By day that has rows, in order.
    days: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    totals: Floats = field(default_factory=lambda: np.zeros(0))
    # Days that sold something and are marked as closed.
    contradicted: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    # Items and days that seem to be sold out.
    doubted_item: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    doubted_day: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    # Units below zero, the last day with units, and whether there is one row an item and day, none of returns.
    returned: float = 0.0
    last_known: int = -1
    sound: bool = True
    # The objects of the slices that it covers, by date.
    slices: tuple[str, ...] = ()

    @classmethod
    def start(cls, items: int) -> "Tally":
        """Return what no rows come to."""
        zero, none = np.zeros(items, np.int64), np.full(items, -1)
        return cls(zero, np.zeros(items), zero, np.zeros(items), none, none, none)

    def add(self, rows: Rows, part: str = "") -> "Tally":
        """Return what a later slice's rows come to with these."""
        if not len(rows.item):
            return self
        starts = np.flatnonzero(np.diff(rows.item, prepend=-1))
        which, counts = rows.item[starts], np.diff(np.append(starts, len(rows.item)))
        positive = np.where(rows.units > 0, rows.units, 0).astype(np.float64)
        figures = {name: getattr(self, name).copy() for name in BY_ITEM}
        figures["rows"][which] += counts
        figures["sold"][which] += np.add.reduceat(positive, starts)
        figures["selling"][which] += np.add.reduceat((positive > 0).astype(np.int64), starts)
        peak = np.maximum.reduceat(positive, starts)
        # Of equal days the first.
        at = np.flatnonzero(positive == np.repeat(peak, counts))
        at = at[np.diff(rows.item[at], prepend=-1) != 0]
        higher = peak > figures["peak"][which]
        figures["peak"][which[higher]], figures["peak_day"][which[higher]] = peak[higher], rows.day[at[higher]]
        figures["last_day"][which] = np.maximum(figures["last_day"][which], rows.day[starts + counts - 1])
        selling = np.maximum.reduceat(np.where(positive > 0, rows.day, -1), starts)
        figures["last_sold"][which] = np.maximum(figures["last_sold"][which], selling)
        first = rows.day.min()
        total, there = np.bincount(rows.day - first, positive), np.flatnonzero(np.bincount(rows.day - first))
        shut = np.unique(rows.day[rows.shut & (rows.units > 0)])
        return replace(
            self,
            **figures,
            days=np.append(self.days, there + first),
            totals=np.append(self.totals, total[there]),
            contradicted=np.append(self.contradicted, shut),
            returned=self.returned - float(rows.units[rows.units < 0].sum(dtype=np.float64)),
            last_known=max(self.last_known, int(rows.day[np.isfinite(rows.units)].max(initial=-1))),
            sound=self.sound and not (rows.units < 0).any() and not find_repeats(rows.item, rows.day).any(),
            slices=(*self.slices, part),
        )

    @property
    def is_trusted(self) -> bool:
        """Whether no row is to be mended, so that nothing but this is needed."""
        return self.sound and not may_be_impossible(float(self.peak.max(initial=0)), self.totals)

    def doubt(self, item: Ints, day: Ints) -> "Tally":
        """Return the same with these cells as those that seem to be sold out."""
        return replace(self, doubted_item=item, doubted_day=day)

    def settle_doubts(self, item: Ints, day: Ints) -> "Tally":
        """Return the same with the cells that no later day can change: those before the last day that sold."""
        settled = day < self.last_sold[item]
        return self.doubt(item[settled], day[settled])

    def describe_series(self, store: str, items: pa.ChunkedArray, as_of: int) -> dict[str, Any]:
        """Return one row a series: how old it is, how much it sold, and its most unusual day."""
        shown = np.flatnonzero(self.rows)
        selling, peak, sold = self.selling[shown], self.peak[shown], self.sold[shown]
        with np.errstate(all="ignore"):
            usual = (sold - peak) / (selling - 1)
            spike = np.where((selling > SPIKE_DAYS) & (peak >= SPIKE_UNITS), peak / usual, 0.0)
        days = np.where(spike > 1, self.peak_day[shown], -1)
        return {
            STORE: [store] * len(shown),
            ITEM: items.take(pa.array(shown)).to_pylist(),
            DATE: [str(EPOCH + day) if day >= 0 else "" for day in days],
            "found": [f"{value:g}" for value in peak],
            "days_old": as_of - self.last_day[shown],
            "spike": spike,
            "sold": sold,
            "rows": self.rows[shown],
        }

    def list_doubted(self, store: str, items: pa.ChunkedArray) -> list[tuple[int, Sample]]:
        """Return for each item with days that seem sold out how many, and a sample."""
        found = []
        for item in np.unique(self.doubted_item):
            days = self.doubted_day[self.doubted_item == item]
            date, told = str(EPOCH + days.min()), count_noun(len(days), "day")
            found.append((len(days), Sample(store=store, item=items[int(item)].as_py(), date=date, found=told)))
        return found

    def write(self, items: pa.ChunkedArray, key: str) -> bytes:
        """Return the bytes that `read` reads."""
        buffer = io.BytesIO()
        texts = {"items": arrays.read_texts(items), "slices": np.array(self.slices, np.str_), "key": np.array(key)}
        plain = {name: np.asarray(getattr(self, name)) for name in (*BY_ITEM, *OTHERS)}
        np.savez_compressed(buffer, allow_pickle=False, **texts, **plain)
        return buffer.getvalue()

    @classmethod
    def read(cls, data: bytes, items: pa.ChunkedArray, key: str, slices: list[str]) -> "Tally | None":
        """Return what was written with this key, if the slices begin with those that it covers; else None."""
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            covered = tuple(kept["slices"].tolist())
            if str(kept["key"]) != key or list(covered) != slices[: len(covered)] or len(covered) == len(slices):
                return None
            place = arrays.find_positions(pa.chunked_array([pa.array(kept["items"].tolist(), pa.string())]), items)
            if (place < 0).any():
                return None
            tally = cls.start(len(items))
            figures = {name: getattr(tally, name).copy() for name in BY_ITEM}
            for name, values in figures.items():
                values[place] = kept[name]
            plain = {name: kept[name] for name in OTHERS}
        plain["doubted_item"] = place[plain["doubted_item"]]
        return replace(
            tally,
            **figures,
            **{name: value if value.ndim else value.item() for name, value in plain.items()},
            slices=covered,
        )


BY_ITEM = ("rows", "sold", "selling", "peak", "peak_day", "last_day", "last_sold")
OTHERS = (
    "days",
    "totals",
    "contradicted",
    "doubted_item",
    "doubted_day",
    "returned",
    "last_known",
    "sound",
)
