"""All that is published for one store as arrays, made from its objects, which are checked on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from foreact.outlines.tables import BadObject, Days, Floats, WideTable, read_table, widen_table
from foreact.parquet import decode_parquet
from foreact.publications.contract import DRIVER_COLUMNS, HISTORY_COLUMNS, Kind, StoreTables
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, DRIVER, ITEM, MEAN, STORE, UNITS

# By how much rounding may put a lower quantile above a higher one.
MOST_CROSSING = 1e-3


@dataclass(frozen=True, eq=False)
class Assembled:
    """The arrays of one store."""

    spacing: Spacing
    items: tuple[str, ...]
    dates: Days
    # The mean and the quantiles that are published, by name: items x dates, and of the total.
    quantiles: dict[str, Floats]
    totals: dict[str, Floats]
    # What was sold of each item (items x past dates) and in all, NaN where nothing is known.
    past_dates: Days
    past: Floats
    past_total: Floats
    drivers: dict[str, Floats]
    # A Parquet file, or nothing.
    scorecard_file: bytes


def assemble_store(store: str, entry: StoreTables, objects: Mapping[Kind, bytes]) -> Assembled:
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
    scorecard = objects.get("scorecard", b"")
    _check_scorecard(scorecard, entry)
    return Assembled(
        spacing=entry.spacing,
        items=forecasts.labels,
        dates=forecasts.dates,
        quantiles={name: forecasts.columns[name] for name in (MEAN, *entry.list_quantiles("forecasts"))},
        totals={name: totals.columns[name][0] for name in (MEAN, *entry.list_quantiles("totals"))},
        past_dates=past_dates,
        past=units,
        past_total=past_total,
        drivers=_align_drivers(drivers, forecasts.dates),
        scorecard_file=scorecard,
    )


def _read_wide(
    store: str, entry: StoreTables, objects: Mapping[Kind, bytes], kind: Kind, columns: tuple[str, ...], by: str | None
) -> WideTable:
    if kind not in objects:
        raise BadObject(f"the publication of store {store!r} has no {kind}")
    published = entry.objects[kind]
    table = read_table(objects[kind], published.name, store, columns)
    if table.num_rows != published.rows:
        raise BadObject(f"{published.name} has {table.num_rows:,} rows, but the manifest says {published.rows:,}")
    values = tuple(column for column in columns if column not in {STORE, ITEM, DATE, DRIVER})
    return widen_table(table, published.name, values, by)


def _check_values(entry: StoreTables, kind: Kind, wide: WideTable, quantiles: tuple[str, ...]) -> None:
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


def _check_scorecard(data: bytes, entry: StoreTables) -> None:
    """Raise BadObject for a scorecard that cannot be read."""
    try:
        _ = decode_parquet(data) if data else None
    except (pa.ArrowException, OSError) as error:
        raise BadObject(f"{entry.objects['scorecard'].name} cannot be read: {str(error).splitlines()[0]}") from None
