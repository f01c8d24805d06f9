"""Numbers that may not be known: NaN inside arrays, None outside them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def known_or_none(value: float) -> float | None:
    """Return a number, or None for one that is not known."""
    return float(value) if math.isfinite(value) else None


def list_known(values: NDArray[Any]) -> list[float | None]:
    """Return an array's numbers, with None for unknown ones."""
    return [known_or_none(value) for value in values]


def round_known(values: NDArray[Any]) -> list[float | None]:
    """Return an array's numbers rounded to what a chart can show, with None for unknown ones."""
    return [round(float(value), 2) if np.isfinite(value) else None for value in values]


def relative_change(value: float, base: float | None) -> float | None:
    """Return how far a value is above or below a base, as a share of the base; None without one."""
    return value / base - 1 if base else None
