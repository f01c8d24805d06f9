"""What a store's days without any row mean, by the days around them that have rows.

A till exports what was sold, so a day without a row is a day without a sale, a closed shop, or a file that did not
arrive. Two things speak for a day without a sale: that the store rarely has rows on two trading days running, or that
days without any are no more frequent than days with next to nothing, as chance would have it.

Days are periods here, weeks or months where the history has those: far fewer, so that one of them proves nothing.
"""

import numpy as np
from numpy.typing import NDArray

from foreact.spacing import Spacing

# A weekday with rows this much more rarely than the best one is no trading day.
TRADING = 0.1
# If fewer of the trading days after one with rows have rows too, a store sells on few days.
RUNNING = 0.6
# A day with one unit, or this share of the mean, sold next to nothing; chance makes no more empty days than that.
LITTLE = 0.1
# Below this share of trading days, what the empty ones mean matters little: they are left unknown.
MATTERING = 0.05
# Of fewer periods nobody can say whether a store sells in few of them: they are left unknown.
FEWEST = {Spacing.DAILY: 1, Spacing.WEEKLY: 26, Spacing.MONTHLY: 24}


def sells_on_few_days(days: NDArray[np.int64], units: NDArray[np.floating], spacing: Spacing) -> bool:
    """Return whether a store's days without rows are days without a sale, from the units of each of its rows."""
    if not len(days):
        return False
    place = days - days.min()
    with_rows = np.bincount(place) > 0
    if len(with_rows) < FEWEST[spacing]:
        return False
    total = np.bincount(place, np.nan_to_num(units).clip(min=0))
    weekday = np.arange(len(with_rows)) % spacing.week
    share = np.bincount(weekday, with_rows) / np.bincount(weekday)
    trading = share[weekday] >= TRADING * share.max()
    with_rows, total = with_rows[trading], total[trading]
    before, after = with_rows[:-1], with_rows[1:]
    running = (np.sum(before & after) + RUNNING) / (before.sum() + 1)
    # The first and the last may be cut short.
    sold = total[1:-1][total[1:-1] > 0]
    little = np.sum(sold <= max(1.0, LITTLE * sold.mean())) / len(with_rows) if len(sold) else 0.0
    empty = 1 - with_rows.mean()
    return bool(running < RUNNING or MATTERING <= empty <= little)
