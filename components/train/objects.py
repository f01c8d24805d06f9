"""A store's result as the publication's objects."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from foreact.outlines.outline import encode_outline
from foreact.outlines.tables import BadObject
from foreact.parquet import encode_parquet
from foreact.publications.contract import Kind, StoreTables
from foreact.quantiles import name_quantiles
from foreact.vocabulary import DATE, DRIVER, ITEM, MEAN, STORE, UNITS

if TYPE_CHECKING:
    from foreact.forecasting import Score, StoreResult
    from foreact.forecasting.forecast import Forecast
    from foreact.forecasting.inputs.panel import Panel


log = logging.getLogger(__name__)


def make_objects(panel: "Panel", result: "StoreResult") -> dict[Kind, bytes]:
    """Write every object of a store as Parquet; its outline is made of these."""
    tables: dict[Kind, pa.Table] = {
        "forecasts": _make_forecasts(result.forecast),
        "totals": _make_totals(result.forecast),
        "history": _make_history(panel),
        "drivers": _make_drivers(result.forecast),
    }
    if result.scorecard:
        tables["scorecard"] = _make_scorecard(result.scorecard)
    return {kind: encode_parquet(table) for kind, table in tables.items()}


def make_outline(store: str, tables: StoreTables, objects: Mapping[Kind, bytes]) -> bytes | None:
    """Return the outline of a store's objects; None if those are none that the service would show."""
    try:
        return encode_outline(store, tables, objects)
    except BadObject as problem:
        log.error("store %r has no outline: %s", store, problem)
        return None


def _make_scorecard(scores: "list[Score]") -> pa.Table:
    # Arrow takes no NumPy days among Python's values.
    rows = [{**asdict(score), "published_as_of": score.published_as_of.item()} for score in scores]
    return pa.Table.from_pylist(rows)


def _make_keys(store: str, items: np.ndarray, dates: np.ndarray) -> dict[str, pa.Array]:
    count = len(items) * len(dates)
    rows = pa.array(np.repeat(np.arange(len(items), dtype=np.int32), len(dates)))
    return {
        STORE: pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([store])),
        ITEM: pa.DictionaryArray.from_arrays(rows, pa.array(items.tolist(), pa.string())),
        DATE: pa.array(np.tile(dates.astype("datetime64[D]"), len(items)), pa.date32()),
    }


def _make_forecasts(forecast: "Forecast") -> pa.Table:
    values = {MEAN: forecast.mean, **dict(zip(name_quantiles(forecast.shares), forecast.quantiles, strict=True))}
    columns = {name: pa.array(array.astype(np.float32).ravel()) for name, array in values.items()}
    return pa.table({**_make_keys(forecast.store, forecast.items, forecast.dates), **columns})


def _make_totals(forecast: "Forecast") -> pa.Table:
    quantiles = dict(zip(name_quantiles(forecast.shares), forecast.total_quantiles, strict=True))
    values = {MEAN: forecast.total_mean, **quantiles}
    return pa.table(
        {
            STORE: pa.array([forecast.store] * len(forecast.dates)),
            DATE: pa.array(forecast.dates.astype("datetime64[D]"), pa.date32()),
            **{name: pa.array(array.astype(np.float32)) for name, array in values.items()},
        }
    )


def _make_history(panel: "Panel") -> pa.Table:
    """Return the periods just past, and those a year before them and before the horizon."""
    past, year = panel.spacing.past, panel.spacing.year
    recent = np.arange(max(0, panel.days - past), panel.days)
    last_year = np.arange(panel.days - year - past, panel.days - year + panel.horizon)
    # What a new store borrows, it has not sold.
    days = np.union1d(recent, last_year)
    days = days[(days >= panel.borrowed) & (days < panel.days)]
    units = panel.units[:, days].ravel()
    table = pa.table({**_make_keys(panel.store, panel.items, panel.dates[days]), UNITS: pa.array(units)})
    return table.filter(pa.array(np.isfinite(units)))


def _make_drivers(forecast: "Forecast") -> pa.Table:
    names = list(forecast.drivers)
    dates = np.tile(forecast.dates.astype("datetime64[D]"), len(names))
    return pa.table(
        {
            STORE: pa.array([forecast.store] * len(dates)),
            DATE: pa.array(dates, pa.date32()),
            DRIVER: pa.array(np.repeat(names, len(forecast.dates)).tolist(), pa.string()),
            UNITS: pa.array(np.concatenate([forecast.drivers[n] for n in names]) if names else np.zeros(0, np.float32)),
        }
    )
