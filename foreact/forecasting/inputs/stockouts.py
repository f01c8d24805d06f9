"""Stock-outs that no flag tells of: runs of days on which an item that sells fast sold nothing at all.

A run is judged by the item's rates on the same weekdays of the eight weeks before it, lowered to those of its last two
weeks where it fades, and to the day's where the store's other items sold little. Sales vary more than by chance alone;
the variance of those weeks says by how much. Where the whole store sold nothing, it was closed.
"""

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles, Floats

WEEK, WEEKS, FEWEST_WEEKS, RECENT = 7, 8, 4, 14
# An item sells fast if it sold on this share of the days.
SELLING = 0.9
# The log of the chance below which a run is doubted, and its most days: after more, an item is off the shelf.
UNLIKELY, LONGEST = float(np.log(1e-6)), 21
# A day before a run that sold less than this share of its rate was cut short by it.
HALF = 0.5
# The least variance beyond chance, as a share of the squared rate.
SPREAD = 0.1


def find_stockouts(units: Floats) -> Bools:
    """Mark the cells of items x days that are next to impossible without a stock-out; NaN is unknown."""
    doubted = np.zeros(units.shape, bool)
    if not len(units):
        return doubted
    whole: Doubles = np.nan_to_num(units).sum(axis=0, dtype=np.float64)
    total = np.where(whole > 0, whole, np.nan)
    usual = _read_usual_totals(total)
    for row in np.flatnonzero((units == 0).any(axis=1)):
        sold = np.where(np.isnan(total), np.nan, units[row].astype(np.float64))
        for days in _list_runs(sold):
            if _log_chance(sold, days, total, usual) < UNLIKELY:
                struck = np.append(days, days[0] - 1) if _ran_out(sold, days[0] - 1) else days
                doubted[row, struck] = True
                # No days of the weeks by which a later run is judged.
                sold[struck] = np.nan
    return doubted


def _ran_out(sold: Doubles, day: int) -> bool:
    """Return whether the day before a run sold so little that the shelf was empty for a part of it."""
    before = sold[day - WEEK : max(0, day - WEEKS * WEEK) : -WEEK]
    known = before[np.isfinite(before)]
    return bool(len(known) and sold[day] < HALF * known.mean())


def _read_usual_totals(total: Doubles) -> Doubles:
    """Return each day's mean total of the same weekday in the weeks before."""
    padded = np.concatenate([np.full(WEEKS * WEEK, np.nan), total])
    before = np.stack([padded[WEEK * week : len(total) + WEEK * week] for week in range(WEEKS)])
    seen = np.isfinite(before).sum(0)
    usual: Doubles = np.nan_to_num(before).sum(0) / np.maximum(seen, 1)
    return usual


def _list_runs(sold: Doubles) -> list[Codes]:
    """Return the days of each run of zeros that may be doubted; days of which nothing is known do not end it."""
    known = np.flatnonzero(np.isfinite(sold))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sold[known] == 0, [False]])))
    length, start = edges[1::2] - edges[::2], known[edges[::2]]
    since = np.maximum(start - WEEKS * WEEK, 0)
    # A cheap look first: it sold on most of the days, and so much that even three times a selling day's would do.
    days = np.concatenate([[0], np.cumsum(sold > 0)])
    units = np.concatenate([[0], np.cumsum(np.nan_to_num(sold))])
    selling = days[start] - days[since]
    rate = (units[start] - units[since]) / np.maximum(selling, 1)
    unlikely = length * np.log1p(3 * SPREAD * rate) / SPREAD > -UNLIKELY
    judged = unlikely & (length <= LONGEST) & (start >= FEWEST_WEEKS * WEEK) & (selling >= 0.7 * (start - since))
    return [known[edges[2 * run] : edges[2 * run + 1]] for run in np.flatnonzero(judged)]


def _log_chance(sold: Doubles, days: Codes, total: Doubles, usual: Doubles) -> float:
    """Return the log of the chance of a run of zeros; 0 where the item did not sell fast before."""
    start = days[0]
    weeks = min(WEEKS, start // WEEK)
    past = sold[start - weeks * WEEK : start]
    known = np.isfinite(past)
    if known.sum() < RECENT or np.mean(past[known] > 0) < SELLING:
        return 0.0
    by_weekday = past.reshape(weeks, WEEK)
    seen = np.maximum(np.isfinite(by_weekday).sum(0), 1)
    rate = np.nansum(by_weekday, axis=0) / seen
    variance = np.nansum((by_weekday - rate) ** 2, axis=0) / np.maximum(seen - 1, 1)
    spread = max(SPREAD, float((variance - rate).sum() / (rate**2).sum()))
    recent = past[-RECENT:][known[-RECENT:]]
    fading = min(1.0, recent.mean() / past[known].mean()) if len(recent) else 0.0
    expected = rate[(days - start) % WEEK]
    others = usual[days] - expected
    business = np.divide(total[days], others, out=np.zeros(len(days)), where=others > 0)
    return -float(np.log1p(spread * expected * fading * np.minimum(1.0, business)).sum() / spread)
