"""What a model says of the days ahead."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.panel import Floats


@dataclass(frozen=True)
class Forecast:
    """A store's days ahead: every item's mean and quantiles, and the daily total with its own interval."""

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
    # By driver (level, weekday, event, promotion, price ...) what it adds to the day's total; they add up to it.
    drivers: dict[str, Floats] = field(default_factory=dict)
