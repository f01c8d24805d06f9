"""The coming week of some stores in a few numbers; of weekly data four weeks, of monthly three months."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foreact.outlines.levels import Z90
from serving.analysis.comparison import compare_levels
from serving.analysis.known import known_or_none, relative_change
from serving.analysis.series import Series
from serving.publication import StoreData


@dataclass(frozen=True)
class WeekSummary:
    """Expected units of the coming week with their band, what the same days brought before, and the busiest day."""

    days: int
    first: str
    last: str
    expected: float
    low: float
    high: float
    recent: float | None
    last_year: float | None
    peak_day: str
    peak: float

    @property
    def against_recent(self) -> float | None:
        """Return the change against the last four weeks."""
        return relative_change(self.expected, self.recent)

    @property
    def against_last_year(self) -> float | None:
        """Return the change against the same days last year."""
        return relative_change(self.expected, self.last_year)


def summarize_week(stores: Sequence[StoreData], series: Series) -> WeekSummary:
    """Add up the coming week of a series.

    The deviations of its stores are taken to move together, which is the cautious side.
    """
    levels = [compare_levels(arrays, total=True) for arrays in stores]
    days = min(series.spacing.window, len(series.dates))
    mean = [value or 0.0 for value in series.mean[:days]]
    expected = sum(mean)
    deviation = float(sum(level.deviation[0] for level in levels))
    peak = int(np.argmax(mean))
    return WeekSummary(
        days=days,
        first=series.dates[0],
        last=series.dates[days - 1],
        expected=expected,
        low=max(0.0, expected - Z90 * deviation),
        high=expected + Z90 * deviation,
        recent=known_or_none(sum(level.recent[0] for level in levels)),
        last_year=known_or_none(sum(level.last_year[0] for level in levels)),
        peak_day=series.dates[peak],
        peak=mean[peak],
    )
