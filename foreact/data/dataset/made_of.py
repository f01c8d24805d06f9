"""What a dataset's rows were made of, kept beside them so that the next dataset reads only files that it must.

made_of/files.parquet    the history's files by name, and what was found in each; their numbers are their places here
made_of/dates.parquet    how many rows of each file have each text for a date
made_of/days.parquet     how many rows each file has of each store and day
made_of/series.parquet   by store, item and slice: rows, first and last day, and the range of each other column
made_of/sold.parquet     what each store sold on each day
made_of/known.parquet    what tells the rows of known tables by store and slice
rejected.parquet         the rows that cannot be used, by file too
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pydantic import BaseModel, ConfigDict, TypeAdapter

from foreact.data.dataset import arrays
from foreact.data.dataset.slices import Sold
from foreact.data.dataset.stored import Dataset
from foreact.data.reading.doubtful import Thousands
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import History
from foreact.data.reading.problems import ReadAll
from foreact.data.reading.schema import FILE_DAYS, HISTORY, SLICE_SERIES, STORE_DAYS, name_dates, name_texts
from foreact.vocabulary import DATE, STORE

FILES, DATES, DAYS, SERIES_PART, SOLD, KNOWN = (
    f"made_of/{name}.parquet" for name in ("files", "dates", "days", "series", "sold", "known")
)
NOTES = b"foreact"
# With many files that each have most stores and days, as one for each item, their days are as many as the rows.
MOST_SHARING, FEW_DAYS = 3, 1_000_000
# The SQL types of columns, by what a file looks like.
Forms = dict[str, dict[str, str]]


class ReadFile(BaseModel):
    """A file of the history: what its listing says, what it looks like, and what was found in it."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    tag: str
    look: str = ""
    rows: int = 0
    thousands: Thousands = Thousands()


@dataclass(frozen=True)
class MadeOf:
    """What the rows of a dataset were made of, but for the tables by file and slice."""

    files: list[ReadFile]
    forms: Forms
    # How many rows have each text for a date.
    dates: dict[str, int]
    # By known table, store and slice.
    known: dict[tuple[str, str, str], str]

    @classmethod
    def read(cls, dataset: Dataset) -> "MadeOf":
        """Read what a dataset was made of."""
        if FILES not in dataset.info.parts:
            raise ReadAll("what was read before cannot be added to")
        files = dataset.read_part(FILES)
        # A name on a disk may be no text.
        listed = [{**row, "name": row["name"].decode(errors="surrogatepass")} for row in files.to_pylist()]
        dates = dataset.read_part(DATES)
        texts = arrays.read_dictionary(dates["text"])
        rows = np.bincount(np.asarray(texts.indices), np.asarray(dates["rows"], np.int64), len(texts.dictionary))
        return cls(
            [ReadFile.model_validate(row) for row in listed],
            TypeAdapter(Forms).validate_json(files.schema.metadata[NOTES]),
            dict(zip(texts.dictionary.to_pylist(), rows.astype(np.int64).tolist(), strict=True)),
            {(row["table"], row[STORE], row["slice"]): row["digest"] for row in dataset.read_part(KNOWN).to_pylist()},
        )


def can_tell_files_apart(engine: Engine) -> bool:
    """Return whether what each file has of each store and day is little beside the rows."""
    by_file, days = engine.fetch_one(f"SELECT (SELECT count(*) FROM {FILE_DAYS}), (SELECT count(*) FROM {STORE_DAYS})")
    return bool(by_file <= max(FEW_DAYS, MOST_SHARING * days))


def write_made_of(
    engine: Engine,
    folder: Path,
    history: History,
    files: list[ReadFile],
    sold: Mapping[str, Sold],
    known: Mapping[tuple[str, str, str], str],
) -> None:
    """Write what a dataset's rows were made of."""
    (folder / FILES).parent.mkdir()
    forms = TypeAdapter(Forms).dump_json(dict(sorted(history.table.forms.items())))
    listed = [{**file.model_dump(), "name": file.name.encode(errors="surrogatepass")} for file in files]
    described = pa.Table.from_pylist(listed).replace_schema_metadata({NOTES: forms})
    totals = {
        STORE: np.repeat(np.array(list(sold), object), [len(days) for days, _ in sold.values()]),
        DATE: np.concatenate([days for days, _ in sold.values()]),
        "sold": np.concatenate([units for _, units in sold.values()]),
    }
    names = ("table", STORE, "slice", "digest")
    digests = [dict(zip(names, (*key, digest), strict=True)) for key, digest in sorted(known.items())]
    told = pa.Table.from_pylist(digests, pa.schema([(name, pa.string()) for name in names]))
    for part, table in ((FILES, described), (SOLD, pa.table(totals)), (KNOWN, told)):
        pa.parquet.write_table(table, folder / part, compression="zstd")
    texts = name_texts(name_dates(HISTORY.name))
    engine.write_parquet(f"SELECT * FROM {texts} ORDER BY file, text", folder / DATES)
    engine.write_parquet(f"SELECT * FROM {FILE_DAYS} ORDER BY file, store, day", folder / DAYS)
    series = f"SELECT * EXCLUDE (place) FROM {SLICE_SERIES} ORDER BY store, item, first"
    engine.write_parquet(series, folder / SERIES_PART)
