"""The items of one store as arrays that are never changed, and how they are made from published objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from foreact.parquet import decode_parquet
from foreact.publications.contract import (
    DRIVER_COLUMNS,
    HISTORY_COLUMNS,
    Kind,
    StoreEntry,
)
from foreact.vocabulary import DATE, DRIVER, ITEM, MEAN, P10, P50, P90, STORE, UNITS
from serving.publication.tables import BadObject, Days, Floats, WideTable, read_table, widen_table

# By how much rounding may put a lower quantile above a higher one.
MOST_CROSSING = 1e-3
# What an item takes beside its numbers: its name, its row in tables that are computed, its part of earlier forecasts.
BYTES_AN_ITEM = 2_500


def _encode_text(text: str) -> bytes:
    """Return a text as JSON, for a form whose numbers are filled in later."""
    return orjson.dumps(text).replace(b"%", b"%%")


@dataclass(frozen=True, eq=False)
class StoreDetail:
    """The forecasts of a store's items, their recent past, and what is only shown of one store at a time."""

    items: tuple[str, ...]
    # The mean and the quantiles that are published, by name: items x dates.
    quantiles: dict[str, Floats]
    # items x past dates, NaN where nothing is known.
    past: Floats
    drivers: dict[str, Floats] = field(default_factory=dict)
    # A Parquet file, or nothing.
    scorecard_file: bytes = b""
    # What others compute from these arrays; it lives as long as they do.
    derived: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Return each item's row."""
        return {item: row for row, item in enumerate(self.items)}

    @cached_property
    def scorecard(self) -> tuple[dict[str, Any], ...]:
        """Return how past forecasts did."""
        return tuple(decode_parquet(self.scorecard_file).slice(0, 5_000).to_pylist()) if self.scorecard_file else ()

    @cached_property
    def byte_count(self) -> int:
        """Return about how many bytes this takes, with what is computed from it."""
        arrays = (*self.quantiles.values(), self.past, *self.drivers.values())
        # Rows of the scorecard, as dictionaries, take some tenfold.
        more = BYTES_AN_ITEM * len(self.items) + 10 * len(self.scorecard_file)
        return sum(array.nbytes for array in arrays) + more

    def encode_rows(
        self, store: str, days: Sequence[str], rows: Sequence[int], first: int, end: int, more: Sequence[str]
    ) -> bytes:
        """Return the days of some items in a range as JSON objects joined by commas; what `list_records` has."""
        arrays = {name: self.quantiles.get(name) for name in (MEAN, P10, P50, P90, *more)}
        # NumPy's numbers keep exactly the digits they need, and are written fastest all at once.
        numbers = np.stack([array[rows, first:end] for array in arrays.values() if array is not None], axis=-1)
        texts = orjson.dumps(numbers.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        each = len(texts) // len(rows)
        fields = "".join(f',"{name}":{"null" if array is None else "%b"}' for name, array in arrays.items())
        head = b'{"store":%b,"item":' % _encode_text(store)
        tails = [f',"date":"{day}"{fields}}}'.encode() for day in days[first:end]]
        encoded = []
        for place, row in enumerate(rows):
            begin = head + _encode_text(self.items[row])
            form = begin + (b"," + begin).join(tails)
            encoded.append(form % tuple(texts[place * each : (place + 1) * each]))
        return b",".join(encoded)

    def list_records(
        self, store: str, days: Sequence[str], row: int, first: int, end: int, more: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return an item's days in a range, with more quantiles than every answer has; None where one is not there."""
        item = self.items[row]
        numbers = (self.quantiles[name][row, first:end] for name in (MEAN, P10, P50, P90))
        records = [
            {STORE: store, ITEM: item, DATE: day, MEAN: mean, P10: p10, P50: p50, P90: p90}
            for day, mean, p10, p50, p90 in zip(days[first:end], *numbers, strict=True)
        ]
        for name in more:
            values = self.quantiles.get(name)
            for place, record in enumerate(records, first):
                record[name] = None if values is None else values[row, place]
        return records


@dataclass(frozen=True)
class Assembled:
    """All that is published for one store, made from its objects."""

    detail: StoreDetail
    dates: Days
    totals: dict[str, Floats]
    past_dates: Days
    past_total: Floats


def assemble_store(store: str, entry: StoreEntry, objects: Mapping[Kind, bytes]) -> Assembled:
    """Return a store's arrays, made from its published objects; raise BadObject if those are damaged."""
    forecasts = _read_wide(store, entry, objects, "forecasts", entry.list_columns("forecasts"), ITEM)
    totals = _read_wide(store, entry, objects, "totals", entry.list_columns("totals"), None)
    _check_values(entry, "forecasts", forecasts, entry.list_quantiles("forecasts"))
    _check_values(entry, "totals", totals, entry.list_quantiles("totals"))
    if not np.array_equal(forecasts.dates, totals.dates):
        raise BadObject(f"{entry.objects['totals'].name} does not cover the same days as the forecasts")
    past = _read_wide(store, entry, objects, "history", HISTORY_COLUMNS, ITEM) if "history" in objects else None
    drivers = _read_wide(store, entry, objects, "drivers", DRIVER_COLUMNS, DRIVER) if "drivers" in objects else None
    past_dates, units, past_total = _align_past(past, forecasts.labels)
    detail = StoreDetail(
        items=forecasts.labels,
        quantiles={name: forecasts.columns[name] for name in (MEAN, *entry.list_quantiles("forecasts"))},
        past=units,
        drivers=_align_drivers(drivers, forecasts.dates),
        scorecard_file=objects.get("scorecard", b""),
    )
    _check_scorecard(detail, entry)
    names = (MEAN, *entry.list_quantiles("totals"))
    return Assembled(detail, forecasts.dates, {name: totals.columns[name][0] for name in names}, past_dates, past_total)


def _read_wide(
    store: str, entry: StoreEntry, objects: Mapping[Kind, bytes], kind: Kind, columns: tuple[str, ...], by: str | None
) -> WideTable:
    if kind not in objects:
        raise BadObject(f"the publication of store {store!r} has no {kind}")
    published = entry.objects[kind]
    table = read_table(objects[kind], published.name, store, columns)
    if table.num_rows != published.rows:
        raise BadObject(f"{published.name} has {table.num_rows:,} rows, but the manifest says {published.rows:,}")
    values = tuple(column for column in columns if column not in {STORE, ITEM, DATE, DRIVER})
    return widen_table(table, published.name, values, by)


def _check_values(entry: StoreEntry, kind: Kind, wide: WideTable, quantiles: tuple[str, ...]) -> None:
    """Raise BadObject unless no date is missing, and every one has finite, non-negative quantiles in order."""
    name = entry.objects[kind].name
    if not wide.rows:
        raise BadObject(f"{name} is empty")
    if not np.array_equal(entry.spacing.list_dates(wide.dates[0], len(wide.dates)), wide.dates):
        raise BadObject(f"{name} leaves out {entry.spacing.period}s between {wide.dates[0]} and {wide.dates[-1]}")
    for column, array in wide.columns.items():
        if not np.isfinite(array).all():
            raise BadObject(f"{name} lacks {column} for some rows")
        if (array < 0).any():
            raise BadObject(f"{name} has negative {column}")
    for lower, upper in pairwise(quantiles):
        if (wide.columns[lower] > wide.columns[upper] + MOST_CROSSING).any():
            raise BadObject(f"{name} has {lower} above {upper}")


def _align_past(past: WideTable | None, items: tuple[str, ...]) -> tuple[Days, Floats, Floats]:
    """Return the past dates, what was sold of each item, and in all."""
    if past is None or not past.rows:
        return np.empty(0, "datetime64[D]"), np.empty((len(items), 0), np.float32), np.empty(0, np.float32)
    units = past.columns[UNITS]
    total = np.where(np.isfinite(units).any(axis=0), np.nansum(units, axis=0), np.nan).astype(np.float32)
    if past.labels != items:
        place = {item: row for row, item in enumerate(past.labels)}
        rows = np.array([place.get(item, -1) for item in items])
        units = np.where((rows >= 0)[:, None], units[rows], np.float32(np.nan))
    return past.dates, units, total


def _align_drivers(drivers: WideTable | None, dates: Days) -> dict[str, Floats]:
    if drivers is None or not drivers.rows or not np.array_equal(drivers.dates, dates):
        return {}
    return {name: np.nan_to_num(drivers.columns[UNITS][row]) for row, name in enumerate(drivers.labels)}


def _check_scorecard(detail: StoreDetail, entry: StoreEntry) -> None:
    """Raise BadObject for a scorecard that cannot be read."""
    try:
        _ = detail.scorecard
    except (pa.ArrowException, OSError) as error:
        raise BadObject(f"{entry.objects['scorecard'].name} cannot be read: {str(error).splitlines()[0]}") from None
