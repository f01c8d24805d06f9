"""A store's items, each with its coming week beside what was before."""

from typing import Any

import numpy as np

from serving.analysis.comparison import compare_levels
from serving.analysis.known import list_known, round_known
from serving.publication import StoreData

ItemTable = dict[str, list[Any]]


def tabulate_items(arrays: StoreData) -> ItemTable:
    """Return the items' table by column, computed once for a store's arrays."""
    derived = arrays.detail.derived
    found = derived.get("item_table")
    if found is None:
        found = derived["item_table"] = _compute_table(arrays)
    result: ItemTable = found
    return result


def _compute_table(arrays: StoreData) -> ItemTable:
    level = compare_levels(arrays, total=False)
    rows = np.arange(len(arrays.items))
    with np.errstate(all="ignore"):
        change = np.where(level.recent > 0, level.expected / level.recent - 1, np.nan)
    return {
        "item": list(arrays.items),
        "expected": round_known(level.expected),
        "recent": round_known(level.recent),
        "change": [None if value is None else round(value, 4) for value in list_known(change)],
        "last_year": round_known(level.last_year),
        "peak_day": [arrays.days[place] for place in level.peak],
        "peak": round_known(arrays.mean[rows, level.peak]),
        "peak_high": round_known(arrays.p90[rows, level.peak]),
    }
