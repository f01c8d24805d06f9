"""Checking a dataset: every rule is checked, what can be mended is mended, and only sound data is handed on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foreact.data.checks.closures import describe_contradictions, list_contradictions
from foreact.data.checks.coverage import LEFT_OUT, MOST_LAG, check_coverage, count_lag
from foreact.data.checks.doubts import describe_doubts, explain_no_doubts, may_doubt
from foreact.data.checks.findings import SHOWN, Finding, Findings, Sample
from foreact.data.checks.partition import Mended, Partition
from foreact.data.checks.rules import (
    DENSE,
    FEW_REJECTED,
    FRESH,
    FRESH_DAYS,
    KNOWN,
    LAGS,
    LAST_UNITS,
    LEAST_BEFORE,
    LONG_ENOUGH,
    MORE_SOLD,
    POSSIBLE,
    PREVIOUS,
    ROWS,
    SERIES,
    SOLD,
    STORES,
    TOTAL,
    UNIQUE,
    Checkpoint,
    open_context,
)
from foreact.data.checks.samples import (
    list_unreadable,
    make_frame,
    make_sample,
    sample_record,
    sample_series,
    sample_store,
)
from foreact.data.checks.tally import Tally
from foreact.data.checks.tallying import Tallier
from foreact.data.dataset.sealing import store_files
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.stored import REJECTED, Dataset, DatasetInfo
from foreact.data.reading.problems import explain_engine_errors
from foreact.data.reading.schema import FAULTY_ROWS, FILE
from foreact.errors import count_noun
from foreact.vocabulary import DATE, ITEM, STORE, UNITS

# How many rows of frames are checked at once: enough to make the cost of a checkpoint small, few enough for memory.
BATCH = 200_000
# How many stores are tallied at once, and how many of their tallies wait at most.
THREADS, AT_ONCE = 2, 8


@dataclass(frozen=True)
class Limits:
    """What is tolerated, and what the data is compared with."""

    max_rejected_share: float
    today: date = field(default_factory=date.today)
    # By store the items of the last publication; None: there is none, or it does not matter.
    previous: Mapping[str, Iterable[str]] | None = None


def check_dataset(
    dataset: Dataset,
    scratch: Path,
    limits: Limits,
    progress: Callable[[int, int, str], None] = lambda done, total, detail: None,
    code: str = "",
) -> tuple[Findings, Dataset]:
    """Check a dataset and return the checked one beside what was found; it shares all parts that have no fault.

    What the same `code` has found in slices before is not looked for again; without a name of it nothing is kept.
    What cannot be mended stands in the record of the checked dataset, and nobody can train on it.
    """
    with explain_engine_errors("check the data", scratch):
        return _Check(dataset, scratch, limits, code, progress).run()


@dataclass(frozen=True)
class _Frames:
    """One store as the rules see it: how many rows it has, those that repeat another, and its series."""

    rows: int
    repeated: dict[str, Any]
    series: dict[str, Any]


class _Check:
    """One check, from the first partition to the record of the checked dataset."""

    def __init__(
        self, dataset: Dataset, scratch: Path, limits: Limits, code: str, progress: Callable[[int, int, str], None]
    ) -> None:
        self.dataset, self.scratch, self.limits, self.progress = dataset, scratch, limits, progress
        self.code = code
        self.context = open_context()
        first = min((store.first for store in dataset.info.stores.values()), default=dataset.info.as_of)
        self.slices = Slices.cut(first, dataset.info.as_of)
        self.as_of = int(np.datetime64(dataset.info.as_of, "D").astype(np.int64))
        self.rejected: list[dict[str, str]] = []
        self.mended: dict[str, Mended] = {}
        self.doubted: list[tuple[int, Sample]] = []
        # Units of all rows above zero, and below.
        self.sold = self.returned = 0.0
        # By store, the known tables that say nothing of its days ahead.
        self.without: dict[str, list[str]] = {}
        # Days that are marked as closed and sold something.
        self.contradicted: list[Sample] = []
        # The last day on which any store has units, and the last on which any has rows.
        self.last_known = self.last_row = -1
        # By store, the days that have any row.
        self.days: dict[str, NDArray[np.int64]] = {}

    def run(self) -> tuple[Findings, Dataset]:
        """Check every rule and store what is mended."""
        info = self.dataset.info
        findings = self._check_partitions()
        findings += self._check_stores() + self._check_known() + self._check_previous()
        ingested = self.dataset.read_rejected()
        rejected = ingested.num_rows + len(self.rejected)
        unread = list_unreadable(ingested, info)
        aside = [*unread, *(finding for finding in findings if finding.rule in (UNIQUE, POSSIBLE))]
        findings = [*self._check_total(rejected, aside), *unread, *findings]
        notes = [*info.notes, *self._describe_returns(), *explain_no_doubts(info)]
        result = Findings(findings=findings, rows=info.rows_read, rejected=rejected, notes=notes)
        return result, self._store_checked(info, ingested, result)

    def _check_partitions(self) -> list[Finding]:
        info = self.dataset.info
        rows, series = Checkpoint(self.context, "rows", ROWS), Checkpoint(self.context, "series", SERIES)
        merged: dict[str, Finding] = {}
        for batch in self._read_batches():
            checked = {"checked": sum(one.rows for one in batch)}
            for finding in rows.run(make_frame([one.repeated for one in batch])):
                self._merge_findings(merged, finding.model_copy(update=checked))
            for finding in series.run(make_frame([one.series for one in batch]), sample_series):
                self._merge_findings(merged, finding)
        for rule in merged.keys() & {UNIQUE, POSSIBLE}:
            records = [one for one in self.rejected if one["rule"] == rule]
            samples = [sample_record(one) for one in records[:SHOWN]]
            told = {"kept": not samples, "broken": len(records), "samples": samples}
            merged[rule] = merged[rule].model_copy(update=told)
        closed = [describe_contradictions(sum(map(len, self.days.values())), self.contradicted)] if info.open else []
        return [*merged.values(), *closed, *describe_doubts(info, self.doubted)]

    def _read_batches(self) -> Iterator[list[_Frames]]:
        batch: list[_Frames] = []
        waiting = 0
        for number, (store, tally) in enumerate(self._tally_stores()):
            batch.append(self._check_store(store, tally, number))
            waiting += sum(len(frame[STORE]) for frame in (batch[-1].repeated, batch[-1].series) if frame)
            self.progress(number + 1, len(self.dataset.stores) + 1, store)
            if waiting >= BATCH:
                yield batch
                batch, waiting = [], 0
        if batch:
            yield batch

    def _tally_stores(self) -> Iterator[tuple[str, Tally]]:
        stores, tallier = self.dataset.stores, Tallier(self.dataset, self.slices, self.code)
        with ThreadPoolExecutor(THREADS) as pool:
            for begin in range(0, len(stores), AT_ONCE):
                group = stores[begin : begin + AT_ONCE]
                yield from zip(group, pool.map(tallier.tally, group), strict=True)

    def _check_store(self, store: str, tally: Tally, place: int) -> _Frames:
        """Take a store's tally to the others', and mend its rows if they are not to be trusted."""
        info = self.dataset.info
        items = self.dataset.read_items(store, [ITEM])[ITEM]
        # Of rows without a fault one stands for all: they are of the same types.
        repeated: dict[str, Any] = {
            STORE: np.full(1, place, np.int32),
            ITEM: np.zeros(1, np.int32),
            DATE: tally.days[:1].astype(np.int32),
            UNITS: np.zeros(1, np.float32),
        }
        if not tally.is_trusted:
            partition = Partition.read(store, self.dataset)
            missing = info.stores[store].missing or info.missing
            tally = partition.tally(self.as_of, missing if may_doubt(info) else None)
            repeated = partition.rows(place)
            if not partition.is_sound():
                self.mended[store] = partition.write_mended(self.scratch, self.slices)
                self.rejected += self.mended[store].rejected
        self.days[store] = tally.days
        self.last_known = max(self.last_known, tally.last_known)
        self.last_row = max(self.last_row, int(tally.days.max(initial=-1)))
        self.sold += float(tally.sold.sum())
        self.returned += tally.returned
        self.doubted += tally.list_doubted(store, items)
        if info.open:
            self.contradicted += list_contradictions(self.dataset, store, tally)
        return _Frames(int(tally.rows.sum()), repeated, tally.describe_series(store, items, self.as_of))

    def _merge_findings(self, merged: dict[str, Finding], finding: Finding) -> None:
        before = merged.get(finding.rule)
        if before is not None:
            finding = finding.model_copy(
                update={
                    "kept": before.kept and finding.kept,
                    "checked": before.checked + finding.checked,
                    "broken": before.broken + finding.broken,
                    "samples": [*before.samples, *finding.samples][:SHOWN],
                }
            )
        merged[finding.rule] = finding

    def _describe_returns(self) -> list[str]:
        netted, below = (sum(getattr(one, name) for one in self.mended.values()) for name in ("netted", "below"))
        example = next((one.example for one in self.mended.values() if one.example), "")
        notes = []
        if netted:
            notes.append(f"{count_noun(netted, 'row')} of a store, item and date had returns apart: they are netted.")
        if below:
            notes.append(
                f"{count_noun(below, 'row')} had more returns than sales, such as {example}: nothing was sold there."
            )
        return notes

    def _check_stores(self) -> list[Finding]:
        info = self.dataset.info
        rows = {STORE: [], ITEM: [], DATE: [], "found": [], "lag": [], "share_of_days": []}  # type: dict[str, list[Any]]
        for name, store in info.stores.items():
            with_rows, periods = len(self.days.get(name, ())), self._count_periods(store.first, store.last)
            share = 1.0 if (store.missing or info.missing) == "zero" else with_rows / periods
            found = f"{with_rows:,} of {count_noun(periods, info.spacing.period)}"
            line = (name, "", str(store.last), found, count_lag(info, name), share)
            for column, value in zip(rows, line, strict=True):
                rows[column].append(value)
        if not info.stores:
            return []
        most = MOST_LAG[info.spacing]
        checkpoint = Checkpoint(self.context, "stores", STORES, {LAGS: {"max_value": most}})
        detail = f"its last row is more than {count_noun(most, info.spacing.period)} before as_of"
        return [
            finding.model_copy(update={"detail": detail} if finding.rule == LAGS else {})
            for finding in checkpoint.run(make_frame([rows]), sample_store)
        ]

    def _count_periods(self, first: date, last: date) -> int:
        spacing = self.dataset.info.spacing
        return int(spacing.count_periods(np.datetime64(first, "D"), np.array([last], "datetime64[D]"))[0]) + 1

    def _check_known(self) -> list[Finding]:
        rows = list(check_coverage(self.dataset)) if self.dataset.stores else []
        if not rows:
            return []
        for store, table in {(row[STORE], row["table"]) for row in rows if row["covered"] == LEFT_OUT}:
            self.without.setdefault(store, []).append(table)
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Checkpoint(self.context, "known", KNOWN).run(make_frame([columns]), make_sample)

    def _check_previous(self) -> list[Finding]:
        rows: dict[str, list[str]] = {STORE: [], ITEM: [], DATE: [], "found": [], "store_is": [], "item_is": []}
        for store, items in (self.limits.previous or {}).items():
            present = store in self.dataset.info.stores
            found = set(self.dataset.read_items(store, [ITEM])[ITEM].to_pylist()) if present else set()
            lines = [(store, "", "", "", "there" if present else "gone", "there")]
            lines += [(store, item, "", "", "there", "there" if item in found else "gone") for item in items if present]
            for line in lines:
                for column, value in zip(rows, line, strict=True):
                    rows[column].append(value)
        return (
            Checkpoint(self.context, "previous", PREVIOUS).run(make_frame([rows]), make_sample) if rows[STORE] else []
        )

    def _check_total(self, rejected: int, aside: list[Finding]) -> list[Finding]:
        info, limit = self.dataset.info, self.limits.max_rejected_share
        spacing, period = info.spacing, info.spacing.period
        share, age = rejected / max(1, info.rows_read), (self.limits.today - info.as_of).days
        # What a day more of data could not have brought yet is not late.
        fresh = FRESH_DAYS + (spacing.last_day(spacing.next_period(info.as_of)) - info.as_of).days - 1
        first = min((store.first for store in info.stores.values()), default=info.as_of)
        days, least = self._count_periods(first, info.as_of), info.horizon + LEAST_BEFORE[spacing]
        every = np.unique(np.concatenate([np.zeros(0, np.int64), *self.days.values()]))
        places = spacing.count_periods(np.datetime64(first, "D"), every.astype("datetime64[D]"))
        apart = float(np.median(np.diff(places))) if len(every) > 1 and info.missing != "zero" else 0.0
        worst = max((one for one in aside if one.broken), key=lambda finding: finding.broken, default=None)
        frame = make_frame(
            [
                {
                    "rows": [info.rows],
                    "share": [share],
                    "age": [age],
                    "days": [days if info.stores else least],
                    "apart": [apart],
                    "sold": [self.sold],
                    # Where none has units at all, that is told by itself.
                    "blank": [max(0, self.last_row - self.last_known) if self.last_known >= 0 else 0],
                    "returned": [self.returned / self.sold if self.sold else float(self.returned > 0) * 2],
                }
            ]
        )
        bounds: dict[str, dict[str, Any]] = {
            FEW_REJECTED: {"max_value": limit},
            LONG_ENOUGH: {"min_value": least},
            FRESH: {"max_value": fresh},
        }
        checkpoint = Checkpoint(self.context, "total", TOTAL, bounds)
        details: dict[str, dict[str, Any]] = {
            FEW_REJECTED: {
                "checked": info.rows_read,
                "broken": rejected,
                "detail": f"{share:.2%} are, where at most {limit:.2%} may be (--max-rejected-share)"
                + (f', most of all for "{worst.rule}" ({worst.broken:,})' if worst else ""),
                "samples": worst.samples if worst else [],
            },
            LONG_ENOUGH: {
                "detail": f"it covers {count_noun(days, period)}, {first} to {info.as_of}; to forecast "
                f"{count_noun(info.horizon, period)}, and to check that on {period}s already known, it must cover "
                f"{least}; a shorter --horizon needs less"
            },
            DENSE: {
                "detail": f"its rows are {apart:.0f} {period}s apart, and forecasts are by {period}; if they are of "
                "weeks or months, say so with --spacing, and if nothing was sold between them, with --missing zero"
            },
            MORE_SOLD: {
                "detail": f"{self.returned:,.0f} units below zero, {self.sold:,.0f} above: if the sign is the other "
                "way round, name a column of sold units with --columns units=NAME"
            },
            SOLD: {"detail": "units are blank or 0 in every row; bring them, or name their column with --columns"},
            LAST_UNITS: {"detail": self._explain_blank()},
            FRESH: {"detail": f"its last {period}, {info.as_of}, is {age:,} days ago"},
        }
        findings = checkpoint.run(frame)
        return [one if one.kept else one.model_copy(update=details.get(one.rule, {})) for one in findings]

    def _explain_blank(self) -> str:
        last = str(np.datetime64(self.last_known, "D"))
        return f"no store has any units after {last}, though there are rows; bring them, or run with --as-of {last}"

    def _store_checked(self, info: DatasetInfo, ingested: pa.Table, result: Findings) -> Dataset:
        columns = [name for name in FAULTY_ROWS.columns if name != FILE]
        strings = pa.schema([(name, pa.string()) for name in columns])
        broken = pa.Table.from_pylist(self.rejected, schema=strings)
        pa.parquet.write_table(
            pa.concat_tables([ingested.select(columns).cast(strings), broken]), self.scratch / REJECTED
        )
        counts = dict(info.rejected)
        for record in self.rejected:
            counts[record["rule"]] = counts.get(record["rule"], 0) + 1
        stores = dict(info.stores)
        for name, mended in self.mended.items():
            stores[name] = stores[name].model_copy(update={"rows": mended.rows})
        for name, tables in self.without.items():
            stores[name] = stores[name].model_copy(update={"without": sorted(tables)})
        info = info.model_copy(update={"rejected": counts, "stores": stores, "problem": result.problem})
        return store_files(info, self.scratch, self.dataset.place, {*self.mended, *self.without})
