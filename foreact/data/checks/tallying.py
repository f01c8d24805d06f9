"""What each store's rows come to, going on from what is kept of the slices before the last one.

dataset/tallies/<store>   what the slices before the last come to; replaced, and made anew where it does not fit
"""

import hashlib
import json
import logging
import zipfile
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foreact.blobs.swap import read_if_present
from foreact.data.checks.doubts import may_doubt
from foreact.data.checks.tally import Rows, Tally
from foreact.data.dataset import arrays
from foreact.data.dataset.parcel import lay_out_units
from foreact.data.dataset.parts import name_tally, read_checksum, read_object
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.stored import Dataset
from foreact.forecasting.inputs.stockouts import find_stockouts, resume_stockouts
from foreact.vocabulary import DATE, ITEM, OPEN, UNITS

log = logging.getLogger(__name__)
# Days before the first new one that are looked at for stock-outs: the eight weeks of a rate, and the longest runs.
LOOK_BACK = 84


@dataclass(frozen=True)
class Tallier:
    """Tallies the stores of a dataset."""

    dataset: Dataset
    slices: Slices
    # Which code tallies; empty: nothing is kept.
    code: str = ""

    def tally(self, store: str) -> Tally:
        """Return what a store's rows come to."""
        return _Store(self, store).tally()


class _Store:
    """One store that is tallied."""

    def __init__(self, tallier: Tallier, store: str) -> None:
        self.tallier, self.dataset, self.store = tallier, tallier.dataset, store
        self.blobs = self.dataset.place.connect()
        self.info = self.dataset.info.stores[store]
        listed = self.dataset.read_items(store, [ITEM, "first"])
        self.items, self.born = listed[ITEM], arrays.read_days(listed["first"]).astype(np.int64)
        self.parts = self.dataset.list_slices(store)
        self.missing = self.info.missing or self.dataset.info.missing
        self.doubts = may_doubt(self.dataset.info)
        self.name = name_tally(store)
        self.read: dict[str, Rows] = {}

    def tally(self) -> Tally:
        """Go on from what is kept, or begin."""
        kept = self._read_kept()
        tally = None if kept is None else self._go_on(kept)
        return tally or self._go_on(Tally.start(len(self.items))) or Tally.start(len(self.items))

    def _go_on(self, before: Tally) -> Tally | None:
        """Add the slices that are not covered yet; None where the days before do not suffice for that."""
        covered, tally, past = len(before.slices), before, before
        for part in self.parts[covered:]:
            past, tally = tally, tally.add(self._read_rows(part), read_checksum(part))
        if self.doubts:
            found = self._find_doubts(before)
            if found is None:
                return None
            past, tally = past.settle_doubts(*found), tally.doubt(*found)
        if self.tallier.code and covered < len(past.slices) and tally.is_trusted:
            self.blobs.write(self.name, past.write(self.items, self._make_key()))
        return tally

    def _find_doubts(self, before: Tally) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return the items and days that seem to be sold out."""
        covered, first = len(before.slices), int(self.born.min(initial=self.as_of))
        begin, parts = first, self.parts
        if covered:
            starts = [self.tallier.slices.place_name(name) for name in self.info.slices]
            days = [self._number(self.tallier.slices.starts[start]) for start in starts]
            begin = days[covered] - LOOK_BACK
            if begin <= first:
                return None
            parts = [part for part, end in zip(parts, [*days[1:], self.as_of + 1], strict=True) if end > begin]
        rows = [self._read_rows(part) for part in parts]
        item, day, units = (np.concatenate([getattr(each, name) for each in rows]) for name in ("item", "day", "units"))
        seen = day >= begin
        days_seen = self.as_of - begin + 1
        grid = lay_out_units(
            item[seen], day[seen] - begin, units[seen].clip(min=0), self.born - begin, days_seen, self.missing
        )
        if not covered:
            found = find_stockouts(grid)
            return np.nonzero(found)[0], np.nonzero(found)[1] + begin
        settled = np.zeros(grid.shape, bool)
        old = before.doubted_day < begin
        settled[before.doubted_item[~old], before.doubted_day[~old] - begin] = True
        resumed = resume_stockouts(grid, settled, before.last_sold - begin)
        if resumed is None:
            return None
        doubted = np.nonzero(resumed)
        return (
            np.append(before.doubted_item[old], doubted[0]),
            np.append(before.doubted_day[old], doubted[1] + begin),
        )

    @property
    def as_of(self) -> int:
        """The number of the last day."""
        return self._number(self.dataset.info.as_of)

    @staticmethod
    def _number(day: date) -> int:
        return int(np.datetime64(day, "D").astype(np.int64))

    def _read_rows(self, part: str) -> Rows:
        if part not in self.read:
            table = arrays.read_table(read_object(self.blobs, part))
            self.read[part] = make_rows(table, self.items)
        return self.read[part]

    def _make_key(self) -> str:
        """Return what tells everything that what is kept rests on, beside the slices themselves."""
        settings = [self.tallier.code, self.dataset.info.spacing, self.missing, self.doubts, str(self.info.first)]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()

    def _read_kept(self) -> Tally | None:
        blob = read_if_present(self.blobs, self.name) if self.tallier.code else None
        if blob is None:
            return None
        checksums = [read_checksum(part) for part in self.parts]
        try:
            return Tally.read(blob.data, self.items, self._make_key(), checksums)
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as problem:
            log.warning("the rows of store %r are tallied anew: %s", self.store, problem)
            return None


def make_rows(table: pa.Table, items: pa.ChunkedArray) -> Rows:
    """Return a slice's rows as arrays."""
    units = arrays.read_floats(table[UNITS])
    return Rows(
        arrays.find_positions(table[ITEM], items),
        arrays.read_days(table[DATE]).astype(np.int64),
        units,
        arrays.read_floats(table[OPEN]) == 0 if OPEN in table.column_names else np.zeros(len(units), bool),
    )
