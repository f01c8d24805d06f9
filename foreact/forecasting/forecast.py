"""A store's forecast."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Floats

# The driver that is a normal day; all others are what a day differs from it by.
LEVEL = "level"
# A day that sold what a bound says is inside the interval, whatever rounding did to either.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Forecast:
    """A store's forecast over the horizon: every item's mean and quantiles, and the total with its interval."""

    store: str
    items: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    # items x dates
    mean: Floats
    p10: Floats
    p50: Floats
    p90: Floats
    # dates
    total_mean: Floats
    total_p10: Floats
    total_p90: Floats
    # By driver (level, weekday, event, promotion, price ...): the units it adds to each day's total; they sum to it.
    drivers: dict[str, Floats] = field(default_factory=dict)
