"""What a dataset's rows were made of, kept beside them so that the next dataset reads new files alone.

made_of/files.parquet    the history's files by name, size and tag, and what they look like
made_of/dates.parquet    how many rows have each text for a date
made_of/days.parquet     how many rows each store has on each day
made_of/series.parquet   by store and item: rows, first and last day, and the range of each other column
made_of/sold.parquet     what each store sold on each day
made_of/known.parquet    what tells the rows of known tables by store and slice
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pydantic import BaseModel, Field

from foreact.data.dataset import arrays
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.slicing import Sold
from foreact.data.dataset.stored import REJECTED, Dataset
from foreact.data.reading.doubtful import Thousands
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import FUTURE, History
from foreact.data.reading.problems import ReadAll
from foreact.data.reading.schema import (
    FAULTY_ROWS,
    SERIES,
    STORE_DAYS,
    count_column,
    highest_column,
    lowest_column,
    name_earlier,
)
from foreact.data.reading.sources import Source
from foreact.vocabulary import DATE, STORE

FILES, DATES, DAYS, SERIES_PART, SOLD, KNOWN = (
    f"made_of/{name}.parquet" for name in ("files", "dates", "days", "series", "sold", "known")
)
NOTES = b"foreact"


class Nature(BaseModel):
    """What a history's files look like."""

    forms: dict[str, dict[str, str]] = Field(default_factory=dict)
    thousands: Thousands = Thousands()


@dataclass(frozen=True)
class MadeOf:
    """What the rows of a dataset were made of."""

    dataset: Dataset
    files: frozenset[tuple[str, int, str]]
    nature: Nature
    dates: dict[str, int]
    # By known table, store and slice.
    known: dict[tuple[str, str, str], str]

    @classmethod
    def read(cls, dataset: Dataset) -> "MadeOf":
        """Read what a dataset was made of."""
        if FILES not in dataset.info.parts:
            raise ReadAll("what was read before cannot be added to")
        if FUTURE in dataset.info.rejected:
            raise ReadAll("what was in the future may be past now")
        files, dates = dataset.read_part(FILES), dataset.read_part(DATES)
        return cls(
            dataset,
            frozenset(
                (row["name"].decode(errors="surrogatepass"), row["size"], row["tag"]) for row in files.to_pylist()
            ),
            Nature.model_validate_json(files.schema.metadata[NOTES]),
            dict(zip(*(dates[name].to_pylist() for name in dates.column_names), strict=True)),
            {(row["table"], row[STORE], row["slice"]): row["digest"] for row in dataset.read_part(KNOWN).to_pylist()},
        )

    def find_new(self, sources: Iterable[Source]) -> list[Source]:
        """Return the files that are new; raise if one that was read is not there any more as it was."""
        listed = {(source.name, source.size, source.tag): source for source in sources}
        gone = sorted(name for name, _, _ in self.files - listed.keys())
        if gone:
            raise ReadAll(f"{gone[0]} is not what it was")
        return [source for key, source in listed.items() if key not in self.files]

    def register(self, engine: Engine) -> None:
        """Make what was read before known to SQL."""
        parts = ((STORE_DAYS, DAYS), (SERIES, SERIES_PART), (FAULTY_ROWS, REJECTED))
        for relation, part in parts:
            engine.register_table(name_earlier(relation), self.dataset.read_part(part))

    def list_slices(self, slices: Slices) -> dict[tuple[str, int], list[str]]:
        """Return the names of each store's slices by the store and the place that their days have now."""
        found: dict[tuple[str, int], list[str]] = {}
        for store, info in self.dataset.info.stores.items():
            for name in info.slices:
                found.setdefault((store, slices.place_name(name)), []).append(name)
        return found

    def list_sold(self, slices: Slices) -> dict[tuple[str, int], Sold]:
        """Return what each store sold on each day, by the store and the place of the slice."""
        table = self.dataset.read_part(SOLD)
        stores = arrays.read_dictionary(table[STORE])
        days, sold = arrays.read_days(table[DATE]), np.asarray(table["sold"], np.float64)
        codes, places = np.asarray(stores.indices), slices.place_days(days)
        cuts = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(places, prepend=-1) != 0))
        names = stores.dictionary.to_pylist()
        return {
            (names[codes[begin]], int(places[begin])): (days[begin:end], sold[begin:end])
            for begin, end in zip(cuts, [*cuts[1:], len(days)], strict=True)
        }


def write_made_of(
    engine: Engine,
    folder: Path,
    history: History,
    sources: Iterable[Source],
    thousands: Thousands,
    sold: Mapping[str, Sold],
    known: Mapping[tuple[str, str, str], str],
) -> None:
    """Write what a dataset's rows were made of."""
    (folder / FILES).parent.mkdir()
    files = sorted((source.name, source.size, source.tag) for source in sources)
    nature = Nature(forms=dict(sorted(history.table.forms.items())), thousands=thousands)
    listed = {
        # A name on a disk may be no text.
        "name": pa.array([name.encode(errors="surrogatepass") for name, _, _ in files], pa.binary()),
        "size": [size for _, size, _ in files],
        "tag": [tag for _, _, tag in files],
    }
    described = pa.table(listed).replace_schema_metadata({NOTES: nature.model_dump_json()})
    texts = sorted(history.dates)
    dates = {
        "text": pa.array(texts, pa.string()),
        "rows": pa.array([history.dates[text] for text in texts], pa.int64()),
    }
    totals = {
        STORE: np.repeat(np.array(list(sold), object), [len(days) for days, _ in sold.values()]),
        DATE: np.concatenate([days for days, _ in sold.values()]),
        "sold": np.concatenate([units for _, units in sold.values()]),
    }
    names = ("table", STORE, "slice", "digest")
    digests = [dict(zip(names, (*key, digest), strict=True)) for key, digest in sorted(known.items())]
    told = pa.Table.from_pylist(digests, pa.schema([(name, pa.string()) for name in names]))
    for part, table in ((FILES, described), (DATES, pa.table(dates)), (SOLD, pa.table(totals)), (KNOWN, told)):
        pa.parquet.write_table(table, folder / part, compression="zstd")
    ranges = "".join(
        f", {column(name)}" for name in history.others for column in (lowest_column, highest_column, count_column)
    )
    series = f"SELECT store, item, rows, first, last{ranges} FROM {SERIES} ORDER BY series"
    engine.write_parquet(f"SELECT * FROM {STORE_DAYS} ORDER BY store, day", folder / DAYS)
    engine.write_parquet(series, folder / SERIES_PART)
