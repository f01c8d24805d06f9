"""All that is published for one store, as arrays that are never changed."""

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
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, DRIVER, ITEM, MEAN, P10, P50, P90, STORE, UNITS
from serving.publication.tables import BadObject, Days, Floats, WideTable, read_table, widen_table

# By how much rounding may put a lower quantile above a higher one.
MOST_CROSSING = 1e-3


def _encode_text(text: str) -> bytes:
    """Return a text as JSON, for a form whose numbers are filled in later."""
    return orjson.dumps(text).replace(b"%", b"%%")


@dataclass(frozen=True)
class StoreData:
    """A store's forecasts, totals, recent past and drivers."""

    store: str
    entry: StoreEntry
    items: tuple[str, ...]
    dates: Days
    # items x dates
    mean: Floats
    # The same by name of the quantile: all that are published.
    quantiles: dict[str, Floats]
    # dates
    total_mean: Floats
    total_quantiles: dict[str, Floats]
    # items x past dates, NaN where nothing is known; the same dates for the store's total.
    past_dates: Days
    past: Floats
    past_total: Floats
    drivers: dict[str, Floats] = field(default_factory=dict)
    scorecard: tuple[dict[str, Any], ...] = ()

    @property
    def spacing(self) -> Spacing:
        """Return whether the dates are of days, weeks or months."""
        return self.entry.spacing

    @property
    def p10(self) -> Floats:
        """The lower end of the items' intervals."""
        return self.quantiles[P10]

    @property
    def p50(self) -> Floats:
        """The items' medians."""
        return self.quantiles[P50]

    @property
    def p90(self) -> Floats:
        """The upper end of the items' intervals."""
        return self.quantiles[P90]

    @property
    def total_p10(self) -> Floats:
        """The lower end of the total's interval."""
        return self.total_quantiles[P10]

    @property
    def total_p90(self) -> Floats:
        """The upper end of the total's interval."""
        return self.total_quantiles[P90]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Return each item's row."""
        return {item: row for row, item in enumerate(self.items)}

    @cached_property
    def days(self) -> tuple[str, ...]:
        """Return the dates as text."""
        return tuple(str(day) for day in self.dates)

    @cached_property
    def past_days(self) -> tuple[str, ...]:
        """Return the past dates as text."""
        return tuple(str(day) for day in self.past_dates)

    @cached_property
    def derived(self) -> dict[str, Any]:
        """Return the cache of what others compute from these arrays; it lives as long as they do."""
        return {}

    def encode_items(self, rows: Sequence[int], first: int, end: int, more: Sequence[str] = ()) -> bytes:
        """Return the days of some items in a range as JSON objects joined by commas; what `list_records` has."""
        arrays = {MEAN: self.mean, **{name: self.quantiles.get(name) for name in (P10, P50, P90, *more)}}
        # NumPy's numbers keep exactly the digits they need, and are written fastest all at once.
        numbers = np.stack([array[rows, first:end] for array in arrays.values() if array is not None], axis=-1)
        texts = orjson.dumps(numbers.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        each = len(texts) // len(rows)
        fields = "".join(f',"{name}":{"null" if array is None else "%b"}' for name, array in arrays.items())
        head = b'{"store":%b,"item":' % _encode_text(self.store)
        tails = [f',"date":"{day}"{fields}}}'.encode() for day in self.days[first:end]]
        encoded = []
        for place, row in enumerate(rows):
            begin = head + _encode_text(self.items[row])
            form = begin + (b"," + begin).join(tails)
            encoded.append(form % tuple(texts[place * each : (place + 1) * each]))
        return b",".join(encoded)

    def list_records(self, row: int, first: int, end: int, more: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return an item's days in a range, with more quantiles than every answer has; None where one is not there."""
        item, store = self.items[row], self.store
        numbers = (array[row, first:end] for array in (self.mean, self.p10, self.p50, self.p90))
        records = [
            {STORE: store, ITEM: item, DATE: day, MEAN: mean, P10: p10, P50: p50, P90: p90}
            for day, mean, p10, p50, p90 in zip(self.days[first:end], *numbers, strict=True)
        ]
        for name in more:
            values = self.quantiles.get(name)
            for place, record in enumerate(records, first):
                record[name] = None if values is None else values[row, place]
        return records

    def list_total_records(self, first: int, end: int, more: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the total's days in a range; None where a quantile is not published."""
        arrays = {MEAN: self.total_mean, **{name: self.total_quantiles.get(name) for name in (P10, P50, P90, *more)}}
        return [
            {
                STORE: self.store,
                DATE: self.days[place],
                **{name: None if array is None else array[place] for name, array in arrays.items()},
            }
            for place in range(first, end)
        ]

    def find_columns(self, start: str | None, end: str | None) -> tuple[int, int]:
        """Return the range of columns from one day to another, both days included."""
        first = 0 if start is None else int(np.searchsorted(self.dates, np.datetime64(start)))
        last = len(self.days) if end is None else int(np.searchsorted(self.dates, np.datetime64(end), side="right"))
        return first, max(first, last)


def assemble_store(store: str, entry: StoreEntry, objects: Mapping[Kind, bytes]) -> StoreData:
    """Return a store's arrays, made from its published objects; raise BadObject if those are damaged."""
    forecasts = _read_wide(store, entry, objects, "forecasts", entry.list_columns("forecasts"), ITEM)
    totals = _read_wide(store, entry, objects, "totals", entry.list_columns("totals"), None)
    _check_values(entry, "forecasts", forecasts, entry.list_quantiles("forecasts"))
    _check_values(entry, "totals", totals, entry.list_quantiles("totals"))
    if not np.array_equal(forecasts.dates, totals.dates):
        raise BadObject(f"{entry.objects['totals'].name} does not cover the same days as the forecasts")
    past = _read_wide(store, entry, objects, "history", HISTORY_COLUMNS, ITEM) if "history" in objects else None
    drivers = _read_wide(store, entry, objects, "drivers", DRIVER_COLUMNS, DRIVER) if "drivers" in objects else None
    return StoreData(
        store=store,
        entry=entry,
        items=forecasts.labels,
        dates=forecasts.dates,
        mean=forecasts.columns[MEAN],
        quantiles={name: forecasts.columns[name] for name in entry.list_quantiles("forecasts")},
        total_mean=totals.columns[MEAN][0],
        total_quantiles={name: totals.columns[name][0] for name in entry.list_quantiles("totals")},
        drivers=_align_drivers(drivers, forecasts.dates),
        scorecard=_read_scorecard(objects.get("scorecard"), entry),
        **_align_past(past, forecasts.labels),
    )


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


def _align_past(past: WideTable | None, items: tuple[str, ...]) -> dict[str, Any]:
    if past is None or not past.rows:
        empty = np.empty((len(items), 0), np.float32)
        return {"past_dates": np.empty(0, "datetime64[D]"), "past": empty, "past_total": np.empty(0, np.float32)}
    units = past.columns[UNITS]
    total = np.where(np.isfinite(units).any(axis=0), np.nansum(units, axis=0), np.nan).astype(np.float32)
    if past.labels != items:
        place = {item: row for row, item in enumerate(past.labels)}
        rows = np.array([place.get(item, -1) for item in items])
        units = np.where((rows >= 0)[:, None], units[rows], np.float32(np.nan))
    return {"past_dates": past.dates, "past": units, "past_total": total}


def _align_drivers(drivers: WideTable | None, dates: Days) -> dict[str, Floats]:
    if drivers is None or not drivers.rows or not np.array_equal(drivers.dates, dates):
        return {}
    return {name: np.nan_to_num(drivers.columns[UNITS][row]) for row, name in enumerate(drivers.labels)}


def _read_scorecard(data: bytes | None, entry: StoreEntry) -> tuple[dict[str, Any], ...]:
    if data is None:
        return ()
    try:
        table = decode_parquet(data)
    except (pa.ArrowException, OSError) as error:
        raise BadObject(f"{entry.objects['scorecard'].name} cannot be read: {str(error).splitlines()[0]}") from None
    return tuple(table.slice(0, 5_000).to_pylist())
