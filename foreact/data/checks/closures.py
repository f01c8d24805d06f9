"""Days that are marked as closed and have sales all the same."""

import numpy as np

from foreact.data.checks.findings import SHOWN, Finding, Sample
from foreact.data.checks.rules import CLOSED
from foreact.data.checks.tally import EPOCH, Tally
from foreact.data.dataset import arrays
from foreact.data.dataset.stored import Dataset
from foreact.vocabulary import DATE, OPEN


def list_contradictions(dataset: Dataset, store: str, tally: Tally) -> list[Sample]:
    """Return the days of a store that the history or a table by day marks as closed, and that sold something."""
    shut = [tally.contradicted]
    for table in dataset.info.tables:
        if OPEN not in table.columns or table.by_item:
            continue
        rows = dataset.read_known(table, store, [DATE, OPEN])
        if rows is not None:
            days = arrays.read_days(rows[DATE]).astype(np.int64)[arrays.read_floats(rows[OPEN]) == 0]
            shut.append(np.intersect1d(days, tally.days[tally.totals > 0]))
    found = np.unique(np.concatenate(shut))
    return [Sample(store=store, date=str(EPOCH + day)) for day in found]


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
