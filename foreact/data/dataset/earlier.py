"""What stays of the dataset before: all slices but those that files had rows in which changed or went.

These slices are made anew, of all files that have rows in them; such a file's other rows do not count, because they
are there already. A file that is new, or was changed, is read as any other, and its rows are added.
"""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foreact.data.dataset import arrays
from foreact.data.dataset.made_of import DATES, DAYS, SERIES_PART, SOLD, MadeOf, ReadFile
from foreact.data.dataset.slices import Slices, Sold
from foreact.data.dataset.stored import REJECTED, Dataset
from foreact.data.reading.dates import EPOCH, day_date, day_number
from foreact.data.reading.engine import Engine
from foreact.data.reading.problems import ReadAll
from foreact.data.reading.schema import (
    DAY,
    FAULTY_ROWS,
    FILE,
    FILE_DAYS,
    HISTORY,
    SLICE_SERIES,
    USABLE_ROWS,
    name_dates,
    name_earlier,
    name_texts,
)
from foreact.data.reading.sources import Source
from foreact.errors import count_noun
from foreact.vocabulary import DATE, STORE

# The slices that are made anew: the store of each, and its place in the dataset before.
TOUCHED = "touched_slices"


class Earlier:
    """What stays of an earlier dataset, and which of the history's files are read to make a new one."""

    def __init__(self, dataset: Dataset, sources: list[Source], today: date) -> None:
        self.dataset, self.sources, self.made_of = dataset, sources, MadeOf.read(dataset)
        files, as_of = self.made_of.files, dataset.info.as_of
        if as_of > today:
            raise ReadAll(f"its last day is {as_of}, and today is {today}")
        listed = {(one.name, one.size, one.tag): number for number, one in enumerate(sources)}
        # By file of then the number that it has now; -1: it is not there any more as it was.
        self._numbers = np.array([listed.get((one.name, one.size, one.tag), -1) for one in files], np.int32)
        rows = dataset.read_part(DAYS)
        file, day = np.asarray(rows[FILE]), np.asarray(rows[DAY])
        self._slices = Slices.cut(day_date(int(day.min())), as_of)
        self._stores = pa.chunked_array([pc.unique(rows[STORE])])
        found = self._number_slices(rows[STORE], np.datetime64(EPOCH) + day)
        changed, shares = self._numbers < 0, np.zeros(len(files), bool)
        # What was in the future may be past now.
        changed[file[(day > day_number(as_of)) & (day <= day_number(today))]] = True
        self._touched = np.unique(found[changed[file]])
        shares[file[np.isin(found, self._touched)]] = True
        self._stays = ~(changed | shares)
        self._require_enough(changed)
        # Files whose rows count in touched slices alone.
        self.again: list[int] = self._numbers[shares & ~changed].tolist()
        self.kept: dict[int, ReadFile] = {
            int(number): one for number, one, stays in zip(self._numbers, files, self._stays, strict=True) if stays
        }
        self.read = [number for number in range(len(sources)) if number not in self.kept]

    def _number_slices(self, stores: pa.ChunkedArray, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Return by row a number for its store and slice."""
        place = self._slices.place_days(days)
        return arrays.find_positions(stores, self._stores) * len(self._slices.names) + place

    def _require_enough(self, changed: NDArray[np.bool_]) -> None:
        """Raise if nothing stays, or if columns might be others without the files that are not there any more."""
        files, gone = self.made_of.files, self._numbers < 0
        if not self._stays.any():
            first = min(one.name for one, lost in zip(files, changed, strict=True) if lost)
            raise ReadAll(f"{first} is not what it was" + (", and has days of all files" if len(files) > 1 else ""))
        looks = {one.look for one, lost in zip(files, gone, strict=True) if not lost}
        for one, lost in zip(files, gone, strict=True):
            if lost and one.look and one.look not in looks:
                raise ReadAll(f"{one.name} is not what it was, and no other file has its columns")

    def describe(self) -> str:
        """Say which files are read."""
        count, new = count_noun(len(self.sources), "file"), len(self.read) - len(self.again)
        note = f"{new:,} of {count} of the history are new, and read"
        gone = int((self._numbers < 0).sum())
        if gone:
            note += f"; {gone:,} changed or went, so {len(self.again):,} with days of the same slices are read again"
        return note

    def register(self, engine: Engine) -> None:
        """Make what stays known to SQL."""
        stores, places = np.divmod(self._touched, len(self._slices.names))
        touched = {STORE: self._stores.take(pa.array(stores)), "place": pa.array(places)}
        engine.register_table(TOUCHED, pa.table(touched))
        texts = name_texts(name_dates(HISTORY.name))
        for relation, part in ((texts, DATES), (FILE_DAYS, DAYS), (FAULTY_ROWS, REJECTED)):
            engine.register_table(name_earlier(relation), self._renumber(self.dataset.read_part(part)))
        series = name_earlier(SLICE_SERIES)
        engine.register_table(series, self.dataset.read_part(SERIES_PART))
        engine.execute(f"DELETE FROM {series} WHERE {self._is_touched('first')}")

    def restrict_history(self, engine: Engine) -> None:
        """Let the rows of files that are read again count in touched slices alone."""
        if self.again:
            once = f"file NOT IN ({', '.join(map(str, self.again))})"
            engine.execute(
                f"CREATE OR REPLACE VIEW {HISTORY} AS SELECT * FROM {USABLE_ROWS} "
                f"WHERE {once} OR {self._is_touched('day')}"
            )

    def _is_touched(self, day: str) -> str:
        return f"(store, {self._slices.place_sql(day)}) IN (SELECT store, place FROM {TOUCHED})"

    def _renumber(self, rows: pa.Table) -> pa.Table:
        """Return the rows of files that are not read, with the numbers that these have now."""
        files, column = np.asarray(rows[FILE]), rows.column_names.index(FILE)
        return rows.set_column(column, FILE, pa.array(self._numbers[files])).filter(pa.array(self._stays[files]))

    def list_slices(self, slices: Slices) -> dict[tuple[str, int], list[str]]:
        """Return the names of the slices that stay, by the store and the place that their days have now."""
        stores = self.dataset.info.stores
        names = [(store, name) for store, info in stores.items() for name in info.slices]
        days = np.array([self._slices.starts[self._slices.place_name(name)] for _, name in names], "datetime64[D]")
        listed = pa.chunked_array([pa.array([store for store, _ in names])])
        found: dict[tuple[str, int], list[str]] = {}
        for (store, name), touched in zip(names, self._are_touched(listed, days), strict=True):
            if not touched:
                found.setdefault((store, slices.place_name(name)), []).append(name)
        return found

    def list_sold(self, slices: Slices) -> dict[tuple[str, int], Sold]:
        """Return what each store sold on each day of what stays, by the store and the place of the slice."""
        table = self.dataset.read_part(SOLD)
        table = table.filter(pa.array(~self._are_touched(table[STORE], arrays.read_days(table[DATE]))))
        stores = arrays.read_dictionary(table[STORE])
        days, sold = arrays.read_days(table[DATE]), np.asarray(table["sold"], np.float64)
        codes, places = np.asarray(stores.indices), slices.place_days(days)
        cuts = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(places, prepend=-1) != 0))
        names = stores.dictionary.to_pylist()
        return {
            (names[codes[begin]], int(places[begin])): (days[begin:end], sold[begin:end])
            for begin, end in zip(cuts, [*cuts[1:], len(days)], strict=True)
        }

    def _are_touched(self, stores: pa.ChunkedArray, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        return np.isin(self._number_slices(stores, days), self._touched)
