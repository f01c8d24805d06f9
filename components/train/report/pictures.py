"""The curves and sums of one store for the backtest page, small enough to send."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Doubles

if TYPE_CHECKING:
    from foreact.forecasting import Forecast, StoreResult
    from foreact.forecasting.judging.backtest import Band, Window


@dataclass(frozen=True)
class Curve:
    """One series by day: actual, forecast, and its 80 % interval."""

    name: str
    dates: NDArray[np.datetime64]
    actual: Doubles
    mean: Doubles
    low: Doubles
    high: Doubles


@dataclass(frozen=True)
class Picture:
    """The newest window's curves, and sums over all windows by lead."""

    total: Curve
    # The item that sold most and the one with the largest error; a store of a single item has neither.
    largest: Curve | None
    worst: Curve | None
    leads: dict[str, Doubles]


def draw_store(result: "StoreResult") -> Picture | None:
    """Return the store's picture, None if it could not be backtested."""
    curves: _Curves | None = None
    leads: dict[str, Doubles] = {}
    for window in reversed(result.backtest.windows):
        if window.band is None:
            continue
        curves = _Curves(result.forecast, window, window.band)
        for name, values in curves.sum_by_lead().items():
            leads[name] = leads.get(name, 0.0) + values
    if curves is None:
        return None
    # The newest comes last.
    several = len(curves.sold) > 1
    return Picture(
        total=curves.total_curve(),
        largest=curves.item_curve(int(np.argmax(curves.sold))) if several else None,
        worst=curves.item_curve(curves.find_worst_item()) if several else None,
        leads=leads,
    )


class _Curves:
    """One window with its band."""

    def __init__(self, forecast: "Forecast", window: "Window", band: "Band") -> None:
        self.store, self.items, self.dates, self.errors = forecast.store, forecast.items, window.dates, window.errors
        self.band = band
        self.known = np.isfinite(self.errors.actual)
        self.error = np.where(self.known, self.errors.mean - self.errors.actual, 0.0)
        self.sold = np.nansum(self.errors.actual, axis=1)

    def total_curve(self) -> Curve:
        """Return the curve of the store's total."""
        errors, band = self.errors, self.band
        return self._make_curve(self.store, errors.total_actual, errors.total_mean, band.total_low, band.total_high)

    def item_curve(self, index: int) -> Curve:
        """Return the curve of one item."""
        errors, band, name = self.errors, self.band, f"{self.items[index]} in {self.store}"
        return self._make_curve(name, errors.actual[index], errors.mean[index], band.low[index], band.high[index])

    def find_worst_item(self) -> int:
        """Return the index of the item with the largest error per unit, among those that sell one a day if any do."""
        absolute = np.abs(self.error).sum(axis=1)
        often = self.sold >= min(self.known.shape[1], self.sold.max())
        return int(np.argmax(np.where(often, absolute / np.maximum(self.sold, 1e-9), -1.0)))

    def sum_by_lead(self) -> dict[str, Doubles]:
        """Return the window's errors, units and coverage by days ahead, summed over items."""
        errors, band = self.errors, self.band
        inside = (errors.actual >= band.low) & (errors.actual <= band.high)
        total_inside = (errors.total_actual >= band.total_low) & (errors.total_actual <= band.total_high)
        sums = {
            "absolute": np.abs(self.error).sum(axis=0),
            "signed": self.error.sum(axis=0),
            "sold": np.nansum(errors.actual, axis=0),
            "cells": self.known.sum(axis=0),
            "inside": inside.sum(axis=0),
            "totals": np.isfinite(errors.total_actual),
            "totals_inside": total_inside,
        }
        return {name: np.asarray(values, np.float64) for name, values in sums.items()}

    def _make_curve(self, name: str, *lines: NDArray[np.floating]) -> Curve:
        return Curve(name, self.dates, *(np.asarray(line, np.float64) for line in lines))
