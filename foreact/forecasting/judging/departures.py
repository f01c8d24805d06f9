"""Whether a store's numbers depart from its sales and from the last publication beyond what its history makes likely.

The bounds are measured: docs/decisions/held-stores.md has the table, tests/benchmarks/departures.py makes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foreact.spacing import Spacing

# Expectations for the same days change within a night by a smaller factor than this, or than so many half widths of the
# last publication's interval come to (as logarithms).
STEP_FACTOR, STEP_WIDTHS = 2.5, 3.0
# Less than this share of the least that weeks sell is as good as closed.
NEGLIGIBLE = 0.1
# The same of all stores together, whose chances even out.
CHAIN_FACTOR = 1.6
# The next days beside the lowest and highest of the past weeks, those of last year's season too.
LEVEL_FACTOR = 3.0
# The share of the sales of days already published that later corrections change, and the most that may go missing.
RESTATED, MISSING = 0.25, 0.5
# How many windows of sales there have to be to say what is likely.
FEWEST_LEVELS = 4
# No interval is taken to reach further down than this share of its mean.
LOWEST_SHARE = 0.1
# A chain that sold on most days sells nothing on so many of its last days, if that never happened before.
FEWEST_EMPTY, MOST_EMPTY_SHARE = 2, 0.2


@dataclass(frozen=True)
class Outlook:
    """What one publication says of a store: units sold by day, and the total expected of days ahead."""

    spacing: Spacing
    # By date.
    sold: pd.Series
    # By date; columns mean, low and high.
    ahead: pd.DataFrame


def find_departure(new: Outlook, last: Outlook | None) -> str | None:
    """Return what departs, as a clause; None while all is likely."""
    step = None if last is None else compare_expectations(new, last)
    if step is not None and last is not None and abs(step.log_ratio) > step.bound and not _was_usual(step, last):
        return (
            f"they expect {format_units(step.new)} units a {new.spacing.period} where the last publication expects "
            f"{format_units(step.last)}"
        )
    return _find_unlikely_level(new)


@dataclass(frozen=True)
class Step:
    """How far the expectations of the same days moved since the last publication, and how far they may."""

    new: float
    last: float
    bound: float

    @property
    def log_ratio(self) -> float:
        """The logarithm of the factor."""
        return float(np.log(self.new / self.last))


def compare_expectations(new: Outlook, last: Outlook) -> Step | None:
    """Compare what is expected of the days that both publications forecast, but for those that are planned closed."""
    both = new.ahead.add_suffix("_new").join(last.ahead.add_suffix("_last"), how="inner")
    both = both[(both["mean_new"] > 0) & (both["mean_last"] > 0)]
    if both.empty:
        return None
    mean = both["mean_last"].mean()
    low, high = max(both["low_last"].mean(), LOWEST_SHARE * mean), max(both["high_last"].mean(), mean)
    width = np.log(high / low) / 2
    return Step(both["mean_new"].mean(), mean, max(np.log(STEP_FACTOR), STEP_WIDTHS * width))


def find_chain_departure(steps: Sequence[Step]) -> str | None:
    """Return how all stores together depart from the last publication, as a clause; None while that is likely."""
    factor = sum(step.new for step in steps) / sum(step.last for step in steps) if steps else 1.0
    if abs(np.log(factor)) <= np.log(CHAIN_FACTOR):
        return None
    return f"all stores together expect {factor:.2g} times what they do in the last publication"


def is_part_of_departure(step: Step, steps: Sequence[Step]) -> bool:
    """Return whether a store moves as far as all stores together may, in the direction in which these depart."""
    upwards = sum(step.new for step in steps) > sum(step.last for step in steps)
    return bool((step.log_ratio if upwards else -step.log_ratio) > np.log(CHAIN_FACTOR))


def find_empty_days(sold: Iterable[pd.Series], spacing: Spacing) -> str | None:
    """Return that no store sold anything on the last days, as a clause, if such a stretch was never seen before."""
    together = pd.concat(list(sold)).groupby(level=0).sum().sort_index()
    empty = (together <= 0).to_numpy()
    if empty.all():
        return None
    last = len(empty) - 1 - int(np.flatnonzero(~empty)[-1])
    before = int((np.diff(np.flatnonzero(np.concatenate([[True], ~empty]))) - 1).max(initial=0))
    share = empty[: len(empty) - last].mean()
    if last < FEWEST_EMPTY or last <= before or share > MOST_EMPTY_SHARE:
        return None
    return f"in all stores nothing was sold on the last {last} {spacing.period}s, which was never so before"


def find_restated(new: pd.DataFrame, last: pd.DataFrame, spacing: Spacing) -> str | None:
    """Return how sales of days already published changed, as a clause; None if no more than corrections do.

    Both have a row for each item and date with units, of the same days.
    """
    before, after = last.groupby("date")["units"].sum(), new.groupby("date")["units"].sum()
    if len(before) < spacing.window or before.sum() <= 0:
        return None
    after = after.reindex(before.index, fill_value=0.0)
    both = last.merge(new, on=["item", "date"], suffixes=("_last", "_new"))
    if both["units_last"].sum() < MISSING * before.sum():
        # Items by other names.
        both = pd.DataFrame({"units_last": before, "units_new": after})
    changed = (both["units_new"] - both["units_last"]).abs().sum()
    share = changed / max(both["units_last"].sum(), both["units_new"].sum())
    if share <= RESTATED and after.sum() >= MISSING * before.sum():
        return None
    first, final = (f"{day:%Y-%m-%d}" for day in (before.index.min(), before.index.max()))
    return (
        f"the sales of {first} to {final} were {format_units(before.mean())} units a {spacing.period} in the last "
        f"publication and are {format_units(after.mean())} now"
        + (", of other items or days" if share > RESTATED else "")
    )


def _find_unlikely_level(new: Outlook) -> str | None:
    """Return that the next days are far above or below all that was sold in past weeks; None if they are not."""
    found, expected = find_range(new), expect_window(new)
    if found is None or expected is None:
        return None
    if found.lowest / LEVEL_FACTOR <= expected <= found.highest * LEVEL_FACTOR:
        return None
    return (
        f"they expect {format_units(expected)} units a {new.spacing.period} where {format_units(found.low)} to "
        f"{format_units(found.high)} were sold in past {new.spacing.period}s"
    )


@dataclass(frozen=True)
class Range:
    """The least and the most that past windows sold a day."""

    low: float
    high: float
    # The same with as much of a season as last year had.
    lowest: float
    highest: float


def find_range(outlook: Outlook) -> Range | None:
    """Return what past windows sold; None where there are too few of them."""
    count, sold = outlook.spacing.window, outlook.sold.sort_index()
    if sold.empty:
        return None
    begins = sold.index.max() - pd.Timedelta(days=outlook.spacing.past * outlook.spacing.days)
    levels = _list_levels(sold[sold.index > begins], count)
    if len(levels) < FEWEST_LEVELS:
        return None
    season = _list_levels(sold[sold.index <= begins], count)
    swing = max(season) / min(season) if season else 1.0
    return Range(min(levels), max(levels), min(levels) / swing, max(levels) * swing)


def expect_window(outlook: Outlook) -> float | None:
    """Return what is expected of a day of the next window, but for those planned closed; None if it has no other."""
    ahead = outlook.ahead["mean"].sort_index().iloc[: outlook.spacing.window]
    ahead = ahead[ahead > 0]
    return None if ahead.empty else float(ahead.mean())


def _was_usual(step: Step, last: Outlook) -> bool:
    """Return whether so much was sold before the last publication, as by a store that opens again, or next to nothing.

    What opens again begins below its usual level. A store that sold in few weeks has no usual level.
    """
    found = find_range(last)
    if found is None:
        return True
    closed = max(step.new, step.last) < NEGLIGIBLE * found.lowest
    return closed or found.lowest / STEP_FACTOR <= step.new <= found.highest


def _list_levels(sold: pd.Series, count: int) -> list[float]:
    """Return the mean of the selling days of each whole stretch of so many days."""
    stretches = sold.to_numpy(np.float64)[len(sold) % count :].reshape(-1, count)
    return [float(one[one > 0].mean()) for one in stretches if (one > 0).any()]


def format_units(units: float) -> str:
    """Write units as a person reads them."""
    return f"{units:,.0f}" if units >= 10 else f"{units:.2g}"
