"""Days that are marked as closed and have sales all the same."""

import numpy as np
from numpy.typing import NDArray

from foreact.data.checks.findings import SHOWN, Finding, Sample
from foreact.data.checks.partition import EPOCH, Partition
from foreact.data.checks.rules import CLOSED
from foreact.data.dataset import arrays
from foreact.data.dataset.stored import Dataset
from foreact.vocabulary import DATE, OPEN


def list_contradictions(dataset: Dataset, partition: Partition) -> list[Sample]:
    """Return the days of a store that the history or a table by day marks as closed, and that sold something."""
    sold = partition.units > 0
    shut = [partition.day[sold & (_read_flags(partition) == 0)]]
    for table in dataset.info.tables:
        if OPEN not in table.columns or table.by_item:
            continue
        rows = dataset.read_known(table, partition.store, [DATE, OPEN])
        if rows is not None:
            days = arrays.read_days(rows[DATE]).astype(np.int64)[arrays.read_floats(rows[OPEN]) == 0]
            shut.append(np.intersect1d(days, partition.day[sold]))
    found = np.unique(np.concatenate(shut))
    return [Sample(store=partition.store, date=str(EPOCH + day)) for day in found]


def describe_contradictions(days: int, found: list[Sample]) -> Finding:
    """Return the finding of all stores' days."""
    detail = "what sold was open: the mark is not believed" if found else ""
    return Finding(
        rule=CLOSED,
        severity="warning",
        kept=not found,
        checked=days,
        broken=len(found),
        detail=detail,
        samples=found[:SHOWN],
    )


def _read_flags(partition: Partition) -> NDArray[np.float32]:
    if OPEN not in partition.table.column_names:
        return np.full(len(partition.day), np.nan, np.float32)
    return arrays.read_floats(partition.table[OPEN])[partition.order]
