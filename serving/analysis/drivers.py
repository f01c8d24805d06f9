"""What moves a store's total, as its model says."""

from dataclasses import dataclass

import numpy as np

from foreact.forecasting.forecast import LEVEL
from foreact.outlines.tables import Floats
from serving.publication import StoreData

MOST_NAMED = 3
# Drivers that move fewer units are not worth a word.
LEAST_UNITS = 0.5


@dataclass(frozen=True)
class PeakDay:
    """The busiest period of the window ahead, and the drivers that move it most against a normal one."""

    day: str
    units: float
    drivers: list[tuple[str, float]]


def rank_drivers(arrays: StoreData) -> dict[str, Floats]:
    """Return the store's drivers but for its level, by how much they move in all."""
    others = {name: units for name, units in arrays.drivers.items() if name != LEVEL}
    return dict(sorted(others.items(), key=lambda pair: -float(np.abs(pair[1]).sum())))


def explain_peak(arrays: StoreData) -> PeakDay | None:
    """Return the window's busiest period with the drivers that move it most; None if the model names no drivers."""
    if not arrays.drivers:
        return None
    days = min(arrays.spacing.window, len(arrays.days))
    place = int(arrays.total_mean[:days].argmax())
    moved = [(name, float(units[place])) for name, units in arrays.drivers.items() if name != LEVEL]
    named = [(name, units) for name, units in moved if abs(units) >= LEAST_UNITS]
    named.sort(key=lambda pair: -abs(pair[1]))
    return PeakDay(arrays.days[place], float(arrays.total_mean[place]), named[:MOST_NAMED])
