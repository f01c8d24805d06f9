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
# The days of a run, and whether the item sold fast before it.
Run = tuple[Codes, bool]
# Items that are looked at together.
BLOCK = 256


def find_stockouts(units: Floats) -> Bools:
    """Mark the cells of items x days that are next to impossible without a stock-out; NaN is unknown."""
    found = resume_stockouts(units, np.zeros(units.shape, bool), np.full(len(units), -1), resumed=False)
    return np.zeros(units.shape, bool) if found is None else found


def resume_stockouts(units: Floats, settled: Bools, since: Codes, *, resumed: bool = True) -> Bools | None:
    """Mark the same cells where those of each item up to a day on which it sold are settled; its last such day is best.

    The first eight weeks of the days are there to be looked back at; None where they do not reach back to the
    beginning of a run.
    """
    doubted = settled.copy()
    if not len(units):
        return doubted
    whole: Doubles = np.nan_to_num(units).sum(axis=0, dtype=np.float64)
    total = np.where(whole > 0, whole, np.nan)
    usual = _read_usual_totals(total)
    for begin in range(0, len(units), BLOCK):
        block = np.where(np.isnan(total), np.nan, units[begin : begin + BLOCK].astype(np.float64))
        rows = slice(begin, begin + BLOCK)
        struck = np.asarray(settled[rows].any(axis=1))
        runs = _list_runs(block, since[rows], struck, resumed)
        if runs is None:
            return None
        for row, of_item in runs:
            _doubt_runs(block[row], of_item, total, usual, doubted[begin + row])
    return doubted


def _doubt_runs(sold: Doubles, runs: list[Run], total: Doubles, usual: Doubles, doubted: Bools) -> None:
    """Mark the days of an item that are doubted, out of those of its runs."""
    sold[doubted] = np.nan
    for days, fast in runs:
        if (fast or doubted.any()) and _log_chance(sold, days, total, usual) < UNLIKELY:
            struck = np.append(days, days[0] - 1) if _ran_out(sold, days[0] - 1) else days
            doubted[struck] = True
            # No days of the weeks by which a later run is judged.
            sold[struck] = np.nan


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


def _list_runs(sold: Doubles, since: Codes, struck: Bools, resumed: bool) -> list[tuple[int, list[Run]]] | None:
    """Return the items of which a run of zeros may be doubted, and those of their runs that may be.

    Days of which nothing is known do not end a run. Of some items days are struck out already.
    """
    days = sold.shape[1]
    cells = np.flatnonzero(np.isfinite(sold))
    zero, item = sold.ravel()[cells] == 0, cells // days
    goes_on = zero[1:] & zero[:-1] & (item[1:] == item[:-1])
    first, last = np.flatnonzero(zero & ~np.append(False, goes_on)), np.flatnonzero(zero & ~np.append(goes_on, False))
    length, row, start = last - first + 1, item[first], cells[first] % days
    is_open = start > since[row]
    if resumed and (is_open & (start < WEEKS * WEEK) & (length <= LONGEST)).any():
        return None
    # A cheap look first: it sold on most of the days, and so much that even three times a selling day's would do.
    before = np.maximum(start - WEEKS * WEEK, 0)
    selling, units = _sum_between(sold > 0, row, before, start), _sum_between(np.nan_to_num(sold), row, before, start)
    unlikely = length * np.log1p(3 * SPREAD * (units / np.maximum(selling, 1))) / SPREAD > -UNLIKELY
    long_known = (start >= FEWEST_WEEKS * WEEK) & (selling >= 0.7 * (start - before))
    judged = is_open & unlikely & (length <= LONGEST) & long_known
    # Before the first that is doubted it sold fast, as long as no day is struck out.
    before = start - np.minimum(WEEKS, start // WEEK) * WEEK
    known, selling = _sum_between(np.isfinite(sold), row, before, start), _sum_between(sold > 0, row, before, start)
    fast = judged & (known >= RECENT) & (selling / np.maximum(known, 1) >= SELLING)
    found = []
    for one in np.unique(row[fast | (judged & struck[row])]):
        begin, end = np.searchsorted(row, [one, one + 1])
        runs = [run for run in range(begin, end) if judged[run]]
        found.append((int(one), [(cells[first[run] : last[run] + 1] % days, bool(fast[run])) for run in runs]))
    return found


def _sum_between(cells: Bools | Doubles, row: Codes, begin: Codes, end: Codes) -> Doubles:
    """Return the sum of each row's cells from one day to before another."""
    until = np.zeros((cells.shape[0], cells.shape[1] + 1))
    np.cumsum(cells, axis=1, out=until[:, 1:])
    found: Doubles = until[row, end] - until[row, begin]
    return found


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
