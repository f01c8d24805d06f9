"""Zeros of fast items that seem to be stock-outs: when they are doubted, and what is told of them."""

from collections.abc import Sequence

from foreact.data.checks.findings import SHOWN, Finding, Sample
from foreact.data.checks.rules import NO_DOUBTS
from foreact.data.dataset.stored import DatasetInfo
from foreact.errors import count_noun
from foreact.spacing import Spacing


def may_doubt(info: DatasetInfo) -> bool:
    """Return whether zeros may be stock-outs: where a flag says which are, other zeros are what they are."""
    return not info.stockout and info.spacing is Spacing.DAILY


def explain_no_doubts(info: DatasetInfo) -> list[str]:
    """Return why zeros that should be doubted are not."""
    if info.stockouts != "doubt" or may_doubt(info):
        return []
    why = "a flag says what was sold out" if info.stockout else f"its rows are {info.spacing}"
    return [f"--stockouts doubt strikes nothing out of this history: {why}."]


def describe_doubts(info: DatasetInfo, doubted: Sequence[tuple[int, Sample]]) -> list[Finding]:
    """Return the finding of all doubted items, each with how many days and a sample."""
    if not may_doubt(info):
        return []
    days = sum(days for days, _ in doubted)
    means = (
        "no evidence of demand"
        if info.stockouts == "doubt"
        else "days of low demand, unless --stockouts doubt strikes them out"
    )
    detail = (
        f"{count_noun(days, 'day')} of {count_noun(len(doubted), 'item')} sold next to nothing where the "
        f"weeks before make that next to impossible: they seem sold out, and count as {means}"
    )
    return [
        Finding(
            rule=NO_DOUBTS,
            severity="warning",
            kept=not days,
            checked=info.rows,
            broken=days,
            detail=detail if days else "",
            samples=[sample for _, sample in doubted[:SHOWN]],
        )
    ]
