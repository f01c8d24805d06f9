"""Units that no day can have sold: of a slip of the hand, a code in the wrong column, or a unit that is not ours.

The bounds are measured on eleven retailers' sets, of 21 million cells (docs/decisions/held-stores.md): none is beyond
them, though single cells reach 200 times an item's own, or 60 times a day of a very small store's.
"""

import numpy as np
from numpy.typing import NDArray

# No less than this is doubted.
FEWEST_UNITS = 100.0
# A cell is impossible beyond so many times what the item sells on its better days, and a whole day of the store.
ITEM_TIMES, STORE_TIMES = 20.0, 5.0
# An item that has sold on fewer days says nothing about itself, and its store has to say more.
FEWEST_DAYS, ALONE_TIMES = 10, 100.0
# All of a day is impossible beyond so many times the store's better days, or if so many of its items are.
DAY_TIMES, FEWEST_STORE_DAYS = 10.0, 20
FEWEST_CELLS, SHARE_OF_CELLS = 2, 0.1
BETTER = 0.95


def find_impossible(item: NDArray[np.int64], day: NDArray[np.int64], units: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which of a store's rows, ordered by item, no day can have sold."""
    sold: NDArray[np.float64] = np.nan_to_num(units).clip(min=0).astype(np.float64)
    impossible = np.zeros(len(sold), bool)
    place = day - day.min(initial=0)
    totals = np.bincount(place, weights=sold)
    selling = np.sort(totals[totals > 0]).astype(np.float64)
    if not len(selling):
        return impossible
    usual = float(np.median(selling))
    candidates = np.flatnonzero(sold > max(FEWEST_UNITS, STORE_TIMES * usual))
    for one in np.unique(item[candidates]):
        begin, end = np.searchsorted(item, [one, one + 1])
        own = sold[begin:end]
        days = np.sort(own[own > 0])
        bound = ITEM_TIMES * _pick_better(days) if len(days) >= FEWEST_DAYS else ALONE_TIMES * usual
        impossible[begin:end] = own > max(FEWEST_UNITS, STORE_TIMES * usual, bound)
    count = len(totals)
    left = np.bincount(place, weights=np.where(impossible, 0.0, sold), minlength=count)
    cells = np.bincount(place[sold > 0], minlength=count)
    wrong = np.bincount(place[impossible], minlength=count)
    whole = (wrong >= FEWEST_CELLS) & (wrong > SHARE_OF_CELLS * cells)
    if len(selling) >= FEWEST_STORE_DAYS:
        whole |= left > max(FEWEST_UNITS, DAY_TIMES * _pick_better(selling))
    return np.asarray(impossible | (whole[place] & (sold > 0)))


def may_be_impossible(largest: float, totals: NDArray[np.float64]) -> bool:
    """Return whether any of a store's rows can be impossible, from its largest units and its days' totals."""
    selling = np.sort(totals[totals > 0])
    if not len(selling):
        return False
    whole = len(selling) >= FEWEST_STORE_DAYS and selling[-1] > max(FEWEST_UNITS, DAY_TIMES * _pick_better(selling))
    return bool(whole or largest > max(FEWEST_UNITS, STORE_TIMES * float(np.median(selling))))


def _pick_better(ordered: NDArray[np.float64]) -> float:
    """Return what the better days sell; never the best, which may be the one in question."""
    return float(ordered[int(BETTER * (len(ordered) - 1))])
