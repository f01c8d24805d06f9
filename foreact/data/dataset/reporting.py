"""What a store's days without any row mean, by the days around them that have rows.

A till exports what was sold, so a day without a row is a day without a sale, a closed shop, or a file that did not
arrive. Two things speak for a day without a sale: that the store rarely has rows on two trading days running, or that
days without any are no more frequent than days with next to nothing, as chance would have it.
"""

import numpy as np
from numpy.typing import NDArray

# A weekday with rows this much more rarely than the best one is no trading day.
TRADING = 0.1
# If fewer of the trading days after one with rows have rows too, a store sells on few days.
RUNNING = 0.6
# A day with one unit, or this share of the mean, sold next to nothing; chance makes no more empty days than that.
LITTLE = 0.1
# Below this share of trading days, what the empty ones mean matters little: they are left unknown.
MATTERING = 0.05


def sells_on_few_days(days: NDArray[np.int64], units: NDArray[np.floating], week: int = 7) -> bool:
    """Return whether a store's days without rows are days without a sale, from the units of each of its rows."""
    if not len(days):
        return False
    place = days - days.min()
    with_rows = np.bincount(place) > 0
    total = np.bincount(place, np.nan_to_num(units).clip(min=0))
    weekday = np.arange(len(with_rows)) % week
    share = np.bincount(weekday, with_rows) / np.bincount(weekday)
    trading = share[weekday] >= TRADING * share.max()
    with_rows, total = with_rows[trading], total[trading]
    before, after = with_rows[:-1], with_rows[1:]
    running = (np.sum(before & after) + RUNNING) / (before.sum() + 1)
    sold = total[with_rows & (total > 0)]
    little = np.mean(sold <= max(1.0, LITTLE * sold.mean())) * len(sold) / len(with_rows) if len(sold) else 0.0
    empty = 1 - with_rows.mean()
    return bool(running < RUNNING or MATTERING <= empty <= little)
