"""What the charts' scripts draw, apart from series by day."""

from typing import Any

from foreact.forecasting.forecast import LEVEL
from serving.analysis.drivers import rank_drivers
from serving.analysis.item_parts import split_item
from serving.analysis.known import round_known
from serving.dashboard.formatting import format_driver
from serving.publication import StoreData


def driver_chart(arrays: StoreData) -> dict[str, Any]:
    """Return the store's total and its drivers by day: the level apart, the others by how much they move."""
    level = arrays.drivers.get(LEVEL)
    return {
        "dates": list(arrays.days),
        "total": round_known(arrays.total_mean),
        "level": None if level is None else round_known(level),
        "drivers": [
            {"name": format_driver(name), "units": round_known(units)} for name, units in rank_drivers(arrays).items()
        ],
    }


def item_parts_chart(arrays: StoreData, row: int) -> dict[str, Any] | None:
    """Return what makes up an item's days, as drivers are charted; None if nothing of its past is known."""
    parts = split_item(arrays, row)
    if parts is None:
        return None
    return {
        "dates": list(arrays.days),
        "total": round_known(arrays.mean[row]),
        "level": None,
        "drivers": [
            *([] if parts.weekday is None else [{"name": "weekday", "units": round_known(parts.weekday)}]),
            {"name": "season, events, price and trend", "units": round_known(parts.rest)},
        ],
    }
