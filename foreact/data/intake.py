"""From a retailer's files to a dataset: read, typed, sorted and cut by store, whatever their size."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from foreact.data.dataset.earlier import Earlier
from foreact.data.dataset.holidays import add_holidays
from foreact.data.dataset.likes import add_like_items, borrow_stores, split_likes
from foreact.data.dataset.made_of import ReadFile, can_tell_files_apart, write_made_of
from foreact.data.dataset.parcel import Missing, Stockouts
from foreact.data.dataset.plan import list_series, plan_columns
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.stored import REJECTED, Dataset, DatasetInfo, unknown_store
from foreact.data.dataset.writing import Writer
from foreact.data.reading import schema
from foreact.data.reading.cells import as_text, literal, literal_file, quote
from foreact.data.reading.columns import missing_column
from foreact.data.reading.dates import day_date, day_number
from foreact.data.reading.doubtful import Thousands, count_thousands, describe_lookalikes
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import History, open_history
from foreact.data.reading.known import open_known
from foreact.data.reading.periods import Periods, date_history, find_periods
from foreact.data.reading.problems import ReadAll, explain_engine_errors
from foreact.data.reading.sources import (
    OpenUrl,
    Source,
    fetch_files,
    find_sources,
    fingerprint_states,
    list_states,
    refuse_changes,
)
from foreact.data.reading.tables import Table, open_table
from foreact.errors import ForeactError
from foreact.spacing import Spacing
from foreact.vocabulary import OPEN, STOCKOUT, STORE

# Nobody plans transport further ahead; what is longer is a slip.
LONGEST = 3_650
# So many stores, of which so large a share has rows on so few dates, are no stores.
MANY_STORES, FEW_SHARE, FEWEST_DAYS = 1_000, 0.9, 3


@dataclass(frozen=True)
class Request:
    """What to take in, and how."""

    history: str
    missing: Missing
    # In periods; None: as is usual for the spacing.
    horizon: int | None = None
    # None: as the history shows.
    spacing: Spacing | None = None
    known: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    # The ISO code of the country, or of a subdivision, whose holidays the stores keep.
    country: str = ""
    as_of: date | None = None
    stockouts: Stockouts = "keep"
    store: str | None = None
    today: date = field(default_factory=date.today)
    # The pipeline's parameters that say the same, kept with the dataset.
    parameters: dict[str, Any] = field(default_factory=dict)


def take_in(
    request: Request,
    dataset: Path,
    scratch: Path,
    *,
    open_url: OpenUrl | None = None,
    memory: str = "1500MB",
    threads: int = 2,
    earlier: Dataset | None = None,
    tell: Callable[[str], None] = lambda note: None,
    progress: Callable[[int, int, str], None] = lambda done, total, detail: None,
) -> DatasetInfo:
    """Write a dataset's files from a history and the known tables, and return its record without their objects.

    Of the parts of an `earlier` dataset of the whole chain, taken in alike, those whose rows are the same stay, and the
    record has them; what comes out is the same. Memory holds a batch or a slice of a store, never a store.
    """
    if request.horizon is not None and not 1 <= request.horizon <= LONGEST:
        raise ForeactError(
            f"The horizon is {request.horizon} periods; it must be at least 1 and at most {LONGEST:,} (--horizon)."
        )
    if request.as_of and request.as_of > request.today:
        raise ForeactError(
            f"as_of is {request.as_of}, which is in the future; it must be the last day with sales (--as-of)."
        )
    with explain_engine_errors("take the data in", dataset):
        for before in (earlier, None):
            # What a try before this one left behind must not be mistaken for this one's.
            for folder in (scratch, dataset):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            try:
                with closing(Engine(scratch, memory, threads)) as engine:
                    return _Intake(request, dataset, engine, open_url, before, tell, progress).run()
            except ReadAll as reason:
                tell(f"everything is read: {reason}")
        raise AssertionError("without an earlier dataset everything is read")


class _Intake:
    """One intake, from the first look at the files to the record of what was written."""

    def __init__(
        self,
        request: Request,
        dataset: Path,
        engine: Engine,
        open_url: OpenUrl | None,
        before: Dataset | None,
        tell: Callable[[str], None],
        progress: Callable[[int, int, str], None],
    ) -> None:
        self.request, self.dataset, self.engine = request, dataset, engine
        self.open_url, self.before, self.tell, self.progress = open_url, before, tell, progress
        self.earlier: Earlier | None = None

    def run(self) -> DatasetInfo:
        """Take everything in, of files that stay as they are meanwhile."""
        uris = [self.request.history, *self.request.known]
        before = list_states(uris, self.open_url)
        info = self._take_in(before[self.request.history])
        refuse_changes(before, list_states(uris, self.open_url))
        return info.model_copy(update={"source_version": fingerprint_states(before)})

    def _take_in(self, sources: list[Source]) -> DatasetInfo:
        request = self.request
        if self.before:
            self.earlier = Earlier(self.before, sources, request.today)
            self.earlier.register(self.engine)
            self.tell(self.earlier.describe())
        earlier, adds = self.earlier, self.earlier is not None
        table = self._open_history_files(sources)
        dates = earlier.made_of.dates if earlier else None
        history = open_history(self.engine, table, request.columns, request.today, request.store, dates)
        periods = find_periods(self.engine, history, request.today, request.spacing, earlier=adds)
        if earlier:
            if periods.spacing is not Spacing.DAILY:
                raise ReadAll("its rows are not of days")
            earlier.restrict_history(self.engine)
        history = date_history(self.engine, history, periods)
        files = self._describe_files(table, history, sources)
        rows_read = self._count_rows(table, files)
        rejected = self._write_rejected(table)
        # The last period that may be used, and is whole.
        last = periods.last if request.as_of is None else day_number(request.as_of)
        last = None if last is None else periods.last_whole(last)
        as_of = day_date(last) if last is not None else request.today
        if earlier and as_of.year < earlier.dataset.info.as_of.year:
            raise ReadAll("the last year is another one")
        first = as_of if periods.first is None else day_date(periods.start(periods.first))
        slices = Slices.cut(first, as_of)
        series = list_series(self.engine, history, last, slices, earlier=adds)
        if not series.num_rows:
            self._refuse_nothing(table, history)
        self._refuse_scattered(table, history)
        info = DatasetInfo(
            as_of=as_of,
            spacing=periods.spacing,
            horizon=request.horizon or periods.spacing.usual_horizon,
            missing=request.missing,
            stockouts=request.stockouts,
            parameters=request.parameters,
            source=request.history,
            with_items=history.with_items,
            open=OPEN in history.roles,
            stockout=STOCKOUT in history.roles,
            rows_read=rows_read,
            rejected=rejected,
        )
        return self._write_dataset(info, history, periods, slices, files) if series.num_rows else info

    def _open_history_files(self, sources: list[Source]) -> Table:
        """Open the files that are read."""
        uri, view = self.request.history, schema.name_source()
        numbers = self.earlier.read if self.earlier else list(range(len(sources)))
        files = fetch_files([sources[number] for number in numbers], self.engine.scratch / f"{view}-files")
        label = uri if len(sources) > 1 else Path(uri).name
        forms = self.earlier.made_of.forms if self.earlier else None
        return open_table(self.engine, label, files, view, forms, numbers)

    def _describe_files(self, table: Table, history: History, sources: list[Source]) -> list[ReadFile]:
        """Say of each file, read now or before, what was found in it."""
        kept = self.earlier.kept if self.earlier else {}
        found = f"SELECT {schema.FILE_COLUMN} AS file FROM {quote(table.view)}"
        found += f" UNION ALL SELECT file FROM {schema.MALFORMED_LINES}"
        rows: dict[int, int] = dict(self.engine.execute(f"SELECT file, count(*) FROM ({found}) GROUP BY file"))
        thousands = count_thousands(self.engine, history)
        return [
            kept.get(number)
            or ReadFile(
                name=source.name,
                size=source.size,
                tag=source.tag,
                look=table.looks.get(number, ""),
                rows=rows.get(number, 0),
                thousands=thousands.get(number, Thousands()),
            )
            for number, source in enumerate(sources)
        ]

    def _open_source(self, uri: str, view: str) -> Table:
        files = fetch_files(find_sources(uri, self.open_url), self.engine.scratch / f"{view}-files")
        return open_table(self.engine, uri if len(files) > 1 else Path(uri).name, files, view)

    def _count_rows(self, table: Table, files: list[ReadFile]) -> int:
        rows = sum(file.rows for file in files)
        if not rows:
            raise ForeactError(f"{table.label} has a header but no rows.")
        # A line that is not a row belongs to no store.
        return (
            rows
            if self.request.store is None
            else int(self.engine.fetch_one(f"SELECT count(*) FROM {schema.TYPED_ROWS}")[0])
        )

    def _write_rejected(self, table: Table) -> dict[str, int]:
        """Write the rows that cannot be used as they are; count them by rule."""
        path = self.dataset / REJECTED
        empty = "NULL::VARCHAR AS store, NULL::VARCHAR AS item, NULL::VARCHAR AS date, NULL::VARCHAR AS units"
        of_no_store = self.request.store is None
        lines = (
            f"SELECT line, file FROM {schema.MALFORMED_LINES} WHERE {of_no_store} AND label = {literal(table.label)}"
        )
        malformed = f"SELECT 'line that is not a row' AS rule, {empty}, line AS detail, file FROM ({lines})"
        rows = f"SELECT * FROM {schema.FAULTY_ROWS} UNION ALL {malformed}"
        if self.earlier:
            rows += f" UNION ALL SELECT * FROM {schema.name_earlier(schema.FAULTY_ROWS)}"
        self.engine.write_parquet(f"SELECT * FROM ({rows}) ORDER BY ALL", path)
        counts = self.engine.execute(
            f"SELECT rule, count(*) FROM read_parquet({literal_file(path)}) GROUP BY rule ORDER BY 2 DESC, 1"
        )
        return {str(rule): int(count) for rule, count in counts}

    def _refuse_nothing(self, table: Table, history: History) -> None:
        """Raise why no rows are left: an unknown store, or an as_of before the first day."""
        store, as_of = self.request.store, self.request.as_of
        if store is not None:
            name = as_text(quote(history.roles[STORE]), table.kinds[history.roles[STORE]])
            rows = self.engine.execute(f"SELECT DISTINCT {name} FROM {quote(table.view)} WHERE {name} <> '' ORDER BY 1")
            stores = [str(row[0]) for row in rows]
            if store not in stores:
                raise unknown_store(store, stores)
        first = self.engine.fetch_one(f"SELECT min(day) FROM {schema.HISTORY}")[0]
        if as_of is not None and first is not None:
            raise ForeactError(
                f"as_of is {as_of}, but {table.label} begins on {day_date(first)}; choose a later day (--as-of)."
            )

    def _refuse_scattered(self, table: Table, history: History) -> None:
        """Raise if there are as many stores as rows, long before each of them has a file of its own."""
        stores, few = self.engine.fetch_one(
            f"SELECT count(*), count(*) FILTER (days < {FEWEST_DAYS}) FROM "
            f"(SELECT store, count(*) AS days FROM {schema.STORE_DAYS} GROUP BY store)"
        )
        if stores > MANY_STORES and few > FEW_SHARE * stores:
            raise ForeactError(
                f"{few:,} of the {stores:,} stores of {table.label} have rows on fewer than {FEWEST_DAYS} dates: "
                f"column {history.roles[STORE]!r} seems to name something else; map the stores' with --columns "
                "store=NAME."
            )

    def _write_dataset(
        self, info: DatasetInfo, history: History, periods: Periods, slices: Slices, files: list[ReadFile]
    ) -> DatasetInfo:
        request, last = self.request, day_number(info.as_of)
        tables = [
            open_known(
                self.engine,
                self._open_source(uri, schema.name_source(number)),
                schema.name_known(number),
                request.columns,
                history.with_items,
                request.store,
                periods,
            )
            for number, uri in enumerate(request.known)
        ]
        if OPEN in request.columns and OPEN not in history.roles and not any(OPEN in known.flags for known in tables):
            raise missing_column(OPEN, history.table.kinds, request.columns, history.table.label)
        likes, tables = split_likes(tables)
        lookalikes = describe_lookalikes(self.engine, history, tables)
        plan = plan_columns(self.engine, history, tables, last)
        # What is borrowed, and texts of the history by day, rest on all rows themselves.
        needs_all = bool(likes or plan.history)
        if self.earlier and needs_all:
            raise ReadAll("a column of the history is known ahead too, or a past is borrowed")
        thousands = sum((file.thousands for file in files), Thousands())
        add_like_items(self.engine, plan, likes)
        borrowed = borrow_stores(self.engine, plan, likes, periods, last)
        end = info.spacing.last_day(info.spacing.next_period(info.as_of, info.horizon))
        tables = add_holidays(self.engine, plan, tables, request.country, periods, end)
        info = info.model_copy(
            update={
                "columns": plan.columns,
                "open": info.open or any(OPEN in known.flags for known in tables),
                "rows_after_as_of": self._count_after(last) if request.as_of else 0,
                "notes": [*periods.describe(), *thousands.describe(history.table.label), *lookalikes, *plan.notes],
            }
        )
        writer = Writer(self.engine, self.dataset, info, plan, borrowed, slices, self.earlier, self.progress)
        info = writer.write_dataset(history, tables)
        alone = request.as_of or request.store or needs_all or periods.spacing is not Spacing.DAILY
        if not alone and can_tell_files_apart(self.engine):
            sold, known = writer.slices.list_sold(), writer.known.digests
            write_made_of(self.engine, self.dataset, history, files, sold, known)
        return info

    def _count_after(self, last: int) -> int:
        return int(self.engine.fetch_one(f"SELECT count(*) FROM {schema.HISTORY} WHERE day > {last}")[0])
