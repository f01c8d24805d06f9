"""The levels of a published store, of its items or its total, each computed once."""

from collections.abc import Iterable, Sequence

import numpy as np

from foreact.outlines.levels import Levels, compute_levels
from foreact.outlines.tables import Floats
from serving.publication import StoreData


def compare_levels(arrays: StoreData, *, total: bool) -> Levels:
    """Compare the first week ahead with before, for the store's items or for its total."""
    derived = arrays.derived if total else arrays.detail.derived
    found = derived.get("levels")
    if found is None:
        numbers = _stack_totals([arrays]) if total else (arrays.mean, arrays.p10, arrays.p90, arrays.past)
        found = derived["levels"] = compute_levels(arrays, *numbers)
    result: Levels = found
    return result


def prepare_totals(stores: Iterable[StoreData]) -> None:
    """Compare the totals of many stores at once, which takes a tenth of the time of one after the other."""
    alike: dict[tuple[object, ...], list[StoreData]] = {}
    for arrays in stores:
        if "levels" not in arrays.derived:
            dates = (arrays.spacing, arrays.dates.tobytes(), arrays.past_dates.tobytes())
            alike.setdefault(dates, []).append(arrays)
    for some in alike.values():
        levels = compute_levels(some[0], *_stack_totals(some))
        for row, arrays in enumerate(some):
            arrays.derived["levels"] = levels.select_row(row)


def _stack_totals(stores: Sequence[StoreData]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the mean, both ends of the interval, and what was sold before, of stores' totals."""
    rows = [(arrays.total_mean, arrays.total_p10, arrays.total_p90, arrays.past_total) for arrays in stores]
    mean, p10, p90, past = (np.array(column) for column in zip(*rows, strict=True))
    return mean, p10, p90, past
