"""A store's forecast."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Floats

# The driver that is a normal day; all others are what a day differs from it by.
LEVEL = "level"
# A day that sold what a bound says is inside the interval, whatever rounding did to either.
ROUNDING = 1e-6
# The quantiles that every forecast has: the interval of 80 % and the median.
SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Forecast:
    """A store's forecast over the horizon: every item's mean and quantiles, and the total with its interval."""

    store: str
    items: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    # items x dates
    mean: Floats
    # shares x items x dates: what so large a share of outcomes stays below.
    quantiles: Floats
    # dates
    total_mean: Floats
    # shares x dates
    total_quantiles: Floats
    shares: tuple[float, ...] = SHARES
    # By driver (level, weekday, event, promotion, price ...): the units it adds to each day's total; they sum to it.
    drivers: dict[str, Floats] = field(default_factory=dict)

    @property
    def p10(self) -> Floats:
        """What a cell stays below with a probability of 10 %."""
        return self._pick(self.quantiles, 0.1)

    @property
    def p50(self) -> Floats:
        """What a cell stays below with a probability of 50 %."""
        return self._pick(self.quantiles, 0.5)

    @property
    def p90(self) -> Floats:
        """What a cell stays below with a probability of 90 %."""
        return self._pick(self.quantiles, 0.9)

    @property
    def total_p10(self) -> Floats:
        """What the total stays below with a probability of 10 %."""
        return self._pick(self.total_quantiles, 0.1)

    @property
    def total_p90(self) -> Floats:
        """What the total stays below with a probability of 90 %."""
        return self._pick(self.total_quantiles, 0.9)

    def _pick(self, quantiles: Floats, share: float) -> Floats:
        found: Floats = quantiles[self.shares.index(share)]
        return found
