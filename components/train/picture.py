"""What the backtest page draws of one store, small enough to travel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from foreact.forecasting import StoreResult

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Picture:
    """The newest window's daily totals, and the error of all windows by lead."""

    dates: NDArray[np.datetime64]
    actual: Doubles
    mean: Doubles
    low: Doubles
    high: Doubles
    # By lead, over all items and windows: absolute error, signed error, and units sold.
    absolute: Doubles
    signed: Doubles
    sold: Doubles


def draw(result: "StoreResult") -> Picture | None:
    """Take what there is to draw, if the store could be backtested."""
    from foreact.forecasting.intervals import apply_totals

    windows = [window for window in result.backtest.windows if window.has_items]
    if not windows:
        return None
    newest = windows[0]
    others = [window for window in result.backtest.windows if window is not newest]
    from foreact.forecasting.backtest import intervals_from

    low, high = apply_totals(intervals_from(others), newest.misses.total_mean)
    error = np.stack([np.nan_to_num(w.misses.mean - w.misses.actual) for w in windows])
    sold = np.stack([np.nan_to_num(w.misses.actual) for w in windows])
    panel = newest.reading.panel
    return Picture(
        dates=panel.dates[panel.days :],
        actual=newest.misses.total_actual,
        mean=newest.misses.total_mean,
        low=np.asarray(low, np.float64),
        high=np.asarray(high, np.float64),
        absolute=np.abs(error).sum((0, 1)),
        signed=error.sum((0, 1)),
        sold=sold.sum((0, 1)),
    )
