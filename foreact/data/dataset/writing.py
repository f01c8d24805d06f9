"""Writing a dataset's files from the views that the intake defined."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from foreact.clock import find_zone
from foreact.data.dataset.earlier import Earlier
from foreact.data.dataset.known_slices import KnownSlices, Written
from foreact.data.dataset.parcel import TableInfo
from foreact.data.dataset.partitions import Series, split_slices, write_whole
from foreact.data.dataset.plan import Plan
from foreact.data.dataset.reporting import sells_on_few_days
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.slicing import SliceWriter
from foreact.data.dataset.stored import DatasetInfo, StoreInfo
from foreact.data.reading.cells import literal, quote
from foreact.data.reading.dates import EPOCH, day_date, day_number
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import History
from foreact.data.reading.known import Known, join_known
from foreact.data.reading.ordering import KEY, slice_key, sort_key
from foreact.data.reading.schema import HISTORY, ITEMS, MALFORMED_LINES, SERIES, STORES, attribute_column
from foreact.errors import ForeactError, count_noun, name_examples
from foreact.naming import encode_id
from foreact.vocabulary import DATE, ITEM, OPEN, STOCKOUT, STORE, TIME_ZONE, UNITS


class Writer:
    """Writes each table sorted and cut by store, one stream after the other."""

    def __init__(
        self,
        engine: Engine,
        dataset: Path,
        info: DatasetInfo,
        plan: Plan,
        borrowed: dict[str, pa.Table],
        slices: Slices,
        earlier: Earlier | None,
        progress: Callable[[int, int, str], None],
    ) -> None:
        self.engine, self.dataset, self.info, self.plan = engine, dataset, info, plan
        self.borrowed = borrowed
        self.progress = progress
        self.series = self._list_series()
        self.slices = SliceWriter(dataset, self.series, slices, earlier)
        self.known = KnownSlices(engine, dataset, self.series, slices, earlier)
        self.finished = self.total = 0

    def write_dataset(self, history: History, tables: list[Known]) -> DatasetInfo:
        """Write everything and return the record of it."""
        dated = [known for known in tables if known.dated]
        self.total = len(self.series.stores) * (len(self.slices.slices.names) + len(dated))
        self._write_history(history)
        self._write_items()
        self._write_borrowed()
        written = [table for known in dated if (table := self._write_known(known)) is not None]
        described = self._describe_stores()
        self._doubt_zones(described)
        if self.info.missing == "auto":
            described = self._judge_missing_days(described)
        for name, slices in self.known.names.items():
            described[name] = described[name].model_copy(update={"known": slices})
        parts = self.slices.parts | self.known.parts
        return self.info.model_copy(update={"tables": written, "stores": described, "parts": parts})

    def _doubt_zones(self, stores: dict[str, StoreInfo]) -> None:
        """Note the time zones that there are not."""
        zones = {store.attributes.get(TIME_ZONE, "") for store in stores.values()}
        unknown = sorted(zone for zone in zones if zone and find_zone(zone) is None)
        if unknown:
            self._add_note(
                f"Column {TIME_ZONE!r} has {name_examples(unknown)}, which is no IANA name as Europe/Lisbon is: the "
                "deadline of those stores is by the retailer's clocks."
            )

    def _judge_missing_days(self, stores: dict[str, StoreInfo]) -> dict[str, StoreInfo]:
        """Decide for each store whether its days without any row are days without a sale, and note where they are."""
        judged, spacing = dict(stores), self.info.spacing
        for name, (days, sold) in self.slices.list_sold().items():
            store = stores[name]
            periods = spacing.count_periods(np.datetime64(store.first, "D"), days)
            if sells_on_few_days(periods, sold, spacing):
                judged[name] = store.model_copy(update={"missing": "zero"})
        few = [name for name, store in judged.items() if store.missing == "zero"]
        if few:
            period = spacing.period
            self._add_note(
                f"{len(few):,} of {count_noun(len(stores), 'store')}, {name_examples(few)}, sell on few {period}s: a "
                f"{period} without any row is taken for one without a sale there, and --missing unknown leaves it "
                "unknown."
            )
        return judged

    def _count_done(self, store: str) -> None:
        self.finished += 1
        self.progress(self.finished, self.total, store)

    def _list_series(self) -> Series:
        listed = self.engine.fetch_table(f"SELECT store, item FROM {SERIES} ORDER BY series")
        stores = listed["store"].combine_chunks().dictionary_encode()
        starts = np.flatnonzero(np.diff(np.asarray(stores.indices), prepend=-1))
        return Series(
            stores.dictionary.to_pylist(), listed["item"].combine_chunks(), np.append(starts, listed.num_rows)
        )

    def _write_history(self, history: History) -> None:
        last = day_number(self.info.as_of)
        flags = "".join(f", history.{flag}" for flag in (OPEN, STOCKOUT) if flag in history.roles)
        cells = "".join(f", {cell} AS {quote(name)}" for name, cell in self.plan.history.items())
        slices = self.slices.slices
        key = slice_key(slices.place_sql("history.day"), sort_key("series.series", "history.day"))
        key = f"{key} AS {quote(KEY)}"
        selected = f"{key}, CAST(history.{UNITS} AS FLOAT) AS {UNITS} {flags} {cells}"
        joined = f"{HISTORY} AS history JOIN (SELECT series, store, item FROM {SERIES}) AS series USING (store, item)"
        query = f"SELECT {selected} FROM {joined} WHERE history.day <= {last} ORDER BY {quote(KEY)}"
        for place, store, rows in split_slices(self.engine.stream_batches(query), self.series.starts):
            self.slices.write(place, self.series.stores[store], rows)
            self.finished = place * len(self.series.stores) + store
            self._count_done(self.series.stores[store])
        self.slices.keep_others()

    def _write_items(self) -> None:
        """Write what is the same for all of an item's rows; of the stores it goes into the record."""
        names = [column.name for column in self.plan.columns if column.role in ("item", "like")]
        cells = "".join(f", {attribute_column(name)} AS {quote(name)}" for name in names)
        days = "".join(f", (DATE '{EPOCH}' + {day}::INTEGER)::DATE AS {day}" for day in ("first", "last"))
        table = self.engine.fetch_table(f"SELECT {ITEM}, rows {days} {cells} FROM {SERIES} ORDER BY series")
        (self.dataset / "items").mkdir()
        for place, store in enumerate(self.series.stores):
            begin, end = self.series.starts[place], self.series.starts[place + 1]
            pa.parquet.write_table(
                table.slice(begin, end - begin),
                self.dataset / "items" / f"{encode_id(store)}.parquet",
                compression="zstd",
            )

    def _write_borrowed(self) -> None:
        for store, table in self.borrowed.items():
            (self.dataset / "borrowed").mkdir(exist_ok=True)
            pa.parquet.write_table(table, self.dataset / "borrowed" / f"{encode_id(store)}.parquet", compression="zstd")

    def _write_known(self, known: Known) -> TableInfo | None:
        cells = {**self.plan.known[known.name], **{flag: flag for flag in known.flags}}
        if not cells:
            return None
        first = min(
            [self.engine.fetch_one(f"SELECT min(first) FROM {STORES}")[0], *map(_first_day, self.borrowed.values())]
        )
        last = day_number(self.info.spacing.next_period(self.info.as_of, self.info.horizon))
        joined, key = join_known(known, first, last)
        selected = "".join(f", {cell} AS {quote(name)}" for name, cell in cells.items())
        source = f"SELECT {key} AS {quote(KEY)} {selected} FROM {joined}"
        written = (
            self.known.write(known, joined, key, cells)
            if STORE in known.keys
            else self._write_whole(known, joined, source, list(cells))
        )
        if not written.rows:
            raise self._no_match(known)
        self._note_unusable(known)
        self._note_combined(known)
        self.finished += len(self.series.stores)
        self.progress(self.finished, self.total, known.table.label)
        if written.repeats:
            order = quote(KEY)
            keys = ", ".join(known.keys)
            differ = " OR ".join(f"min({quote(name)}) IS DISTINCT FROM max({quote(name)})" for name in cells)
            groups = f"SELECT {order} FROM ({source}) GROUP BY {order} HAVING count(*) > 1 AND ({differ})"
            contradicting = int(self.engine.fetch_one(f"SELECT count(*) FROM ({groups})")[0])
            counts = f", and contradicts itself in {contradicting:,} of them" if contradicting else ""
            self._add_note(
                f"{known.table.label} repeats {written.repeats:,} rows of the same {keys}{counts}; the largest value "
                "counts."
            )
        return TableInfo(
            name=known.name,
            label=known.table.label,
            keys=known.keys,
            columns=list(cells),
            first=day_date(written.first),
            last=day_date(written.last),
            rows=written.rows - written.repeats,
        )

    def _write_whole(self, known: Known, joined: str, source: str, cells: list[str]) -> Written:
        """Write the rows of a table that is the same for all stores."""
        rows, first, last = self.engine.fetch_one(f"SELECT count(*), min(known.day), max(known.day) FROM {joined}")
        if not rows:
            return Written(0, 0, 0, 0)
        path, order, items = self.dataset / "known" / f"{known.name}.parquet", quote(KEY), None
        if ITEM in known.keys:
            items = self.engine.fetch_table(f"SELECT item FROM {ITEMS} ORDER BY position")["item"].combine_chunks()
        repeats = write_whole(self.engine.stream_batches(f"{source} ORDER BY {order}"), items, path)
        if repeats:
            # Which of equal keys comes first is chance, and a dataset must not be.
            largest = "".join(f", max({quote(name)}) AS {quote(name)}" for name in cells)
            once = f"SELECT {order}{largest} FROM ({source}) GROUP BY {order} ORDER BY {order}"
            write_whole(self.engine.stream_batches(once), items, path)
        return Written(rows, first, last, repeats)

    def _note_unusable(self, known: Known) -> None:
        """Note the rows of a known table that have no place."""
        keys = [key for key in (STORE, ITEM) if key in known.keys]
        lost = " OR ".join(["day IS NULL", *(f"{key} IS NULL" for key in keys)])
        lines = f"SELECT count(*) FROM {MALFORMED_LINES} WHERE label = {literal(known.table.label)}"
        count = int(self.engine.fetch_one(f"SELECT (SELECT count(*) FROM {known.rows} WHERE {lost}) + ({lines})")[0])
        if count:
            self._add_note(f"{known.table.label} has {count:,} rows that cannot be read; they are left out.")

    def _note_combined(self, known: Known) -> None:
        if known.between:
            period = self.info.spacing.period
            self._add_note(
                f"{known.table.label} has rows of single days: a {period} takes the mean of their numbers and the most "
                "frequent of their texts, and is open if any of them is."
            )

    def _add_note(self, note: str) -> None:
        self.info = self.info.model_copy(update={"notes": [*self.info.notes, note]})

    def _no_match(self, known: Known) -> ForeactError:
        for key in (STORE, ITEM):
            if (
                key in known.keys
                and not self.engine.fetch_one(f"SELECT count(*) FROM {known.name} JOIN {SERIES} USING ({key})")[0]
            ):
                theirs, ours = (
                    [
                        str(row[0])
                        for row in self.engine.execute(f"SELECT DISTINCT {key} FROM {view} ORDER BY 1 LIMIT 3")
                    ]
                    for view in (known.name, SERIES)
                )
                return ForeactError(
                    f"{known.table.label} shares no {key} with the history: it has {name_examples(theirs)}, "
                    f"the history {name_examples(ours)}. Write them alike, or leave the table out of --known."
                )
        return ForeactError(
            f"{known.table.label} has no row of the history's stores and items, from its first day on; leave it out of "
            "--known."
        )

    def _describe_stores(self) -> dict[str, StoreInfo]:
        names = [column.name for column in self.plan.columns if column.role == "store"]
        cells = "".join(f", min({attribute_column(name)})" for name in names)
        attributes = {
            row[0]: {name: value for name, value in zip(names, row[1:], strict=True) if value is not None}
            for row in self.engine.execute(f"SELECT store {cells} FROM {SERIES} GROUP BY store")
        }
        rows: list[dict[str, Any]] = self.engine.fetch_table(f"SELECT * FROM {STORES} ORDER BY position").to_pylist()
        slices = self.slices.list_slices()
        return {
            row["store"]: StoreInfo(
                rows=row["rows"],
                items=row["items"],
                first=day_date(row["first"]),
                last=day_date(row["last"]),
                slices=slices[row["store"]],
                attributes=attributes[row["store"]],
            )
            for row in rows
        }


def _first_day(table: pa.Table) -> int:
    return day_number(min(table[DATE].to_pylist()))
