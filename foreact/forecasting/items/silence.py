"""Items that have fallen silent: what remains of them, unless their season or the plan says that they come back."""

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.items.history import PanelHistory

# After two weeks, and thrice its usual gap between sales, what remains of an item halves every week and a half.
GRACE_WEEKS = 2.0
USUAL_GAPS = 3.0
HALVING_WEEKS = 1.5
# An item without any evidence, sold or not, fades after a week.
UNREPORTED_WEEKS = 1.0
# A silence is the season's if a year ago the item sold less than this share of its usual then, and more than it after.
QUIET_SHARE = 0.1


def remaining_shares(history: PanelHistory, usual: Doubles, columns: Columns) -> Doubles:
    """Return each item's share that remains after its silence; `usual` is what items that never sold would sell."""
    silent, grace = _measure_silences(history, usual)
    shares = 0.5 ** (np.maximum(silent - grace, 0.0) / (HALVING_WEEKS * history.panel.spacing.week))
    expected = find_returning(history, usual) | _is_planned(history, columns)
    return np.where(expected, 1.0, shares) * _reported_shares(history)


def _measure_silences(history: PanelHistory, usual: Doubles) -> tuple[Doubles, Doubles]:
    """Return how long each item has been silent, and how long it may be by chance."""
    panel = history.panel
    items, end = np.arange(len(panel.items)), panel.days
    since = history.last_sale[:, end] + 1
    silent = (history.evidence[items, end] - history.evidence[items, since]).astype(np.float64)
    silent = np.where(since > 0, silent, history.waiting[:, end])
    start = np.maximum(since - panel.spacing.year, 0)
    selling = history.selling[items, since] - history.selling[items, start]
    seen = history.evidence[items, since] - history.evidence[items, start]
    rate = np.where(since > 0, selling / np.maximum(seen, 1), np.minimum(usual, 1.0))
    return silent, np.maximum(GRACE_WEEKS * panel.spacing.week, USUAL_GAPS / np.maximum(rate, 1e-3))


def _reported_shares(history: PanelHistory) -> Doubles:
    """Return each item's share that remains after days without any evidence: an item delisted without notice fades."""
    panel = history.panel
    known = np.isfinite(panel.units[:, : panel.days])
    from_end = np.flip(known, axis=1).argmax(1)
    last = np.where(known.any(1), panel.days - 1 - from_end, panel.days - 1)
    # Days on which nothing at all is known say nothing about a single item.
    reported = np.flip(np.cumsum(np.flip(known.any(0))))
    silent = np.array([reported[day + 1] if day + 1 < panel.days else 0 for day in last], float)
    weeks = silent / panel.spacing.week
    return np.asarray(0.5 ** (np.maximum(weeks - UNREPORTED_WEEKS, 0) / HALVING_WEEKS))


def find_returning(history: PanelHistory, usual: Doubles) -> Bools:
    """Mark the items that are out of season now, as they were a year ago, and then sold.

    A silence that chance explains is none: an item that sells once in three weeks is often silent for two.
    """
    panel = history.panel
    then, week = panel.days - panel.spacing.year, panel.spacing.week
    items = np.arange(len(panel.items))
    if then <= 0:
        return np.zeros(len(items), bool)
    silent, grace = _measure_silences(history, usual)
    begin = np.maximum(then - silent.astype(np.int64), 0)
    until = np.full(len(items), min(panel.days, then + panel.horizon + 2 * week))
    mean = _mean_units(history, items, np.zeros_like(begin), np.full_like(begin, panel.days))
    before = _mean_units(history, items, begin, np.full_like(begin, then))
    after = _mean_units(history, items, np.full_like(begin, then), until)
    was_silent = (silent >= grace) & (before < QUIET_SHARE * mean)
    return np.asarray(was_silent & (after > QUIET_SHARE * mean))


def repeat_last_year(history: PanelHistory) -> Doubles:
    """Return items x horizon: what sold a day around the same date last year."""
    panel = history.panel
    reach = panel.spacing.week // 2
    items = np.arange(len(panel.items))[:, None]
    days = (panel.days - panel.spacing.year + np.arange(panel.horizon))[None, :]
    return _mean_units(history, items, np.clip(days - reach, 0, panel.days), np.clip(days + reach + 1, 0, panel.days))


def _mean_units(history: PanelHistory, items: Codes, begin: Codes, end: Codes) -> Doubles:
    sold = history.units[items, end] - history.units[items, begin]
    return np.asarray(sold / np.maximum(history.evidence[items, end] - history.evidence[items, begin], 1))


def _is_planned(history: PanelHistory, columns: Columns) -> Bools:
    """Mark the items with a promotion ahead."""
    panel = history.panel
    planned = np.zeros(len(panel.items), bool)
    for name in columns.item_flags:
        if name in panel.known:
            values = panel.known[name]
            planned |= (values[:, panel.days :] == np.nanmax(values)).any(1)
    return planned
