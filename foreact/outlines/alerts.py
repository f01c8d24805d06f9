"""Peaks and risks of shortage among a store's items and in its total, as records.

What is at stake is the expected demand of the first week ahead less what it is compared with, so that a planner can
check it by eye.
"""

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from foreact.outlines.levels import Z90, Levels
from foreact.outlines.tables import Doubles

MOST_ALERTS = 200

_erf = np.vectorize(math.erf, otypes=[np.float64])
Kind = Literal["peak", "shortage"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Records = NDArray[np.void]
# An alert without its words; NaN: not known.
RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("row", "<i4"),
        ("expected", "<f8"),
        ("expected_high", "<f8"),
        ("recent", "<f8"),
        ("last_year", "<f8"),
        ("at_stake", "<f8"),
        ("probability", "<f8"),
        ("peak", "<i4"),
        ("normal_delivery", "<f8"),
    ]
)


def find_records(total: Levels, items: Levels) -> Records:
    """Return the alerts of a store as records, those with most at stake first."""
    found = np.concatenate([*_make_records(total, is_total=True), *_make_records(items, is_total=False)])
    return np.asarray(found[np.argsort(-found["at_stake"], kind="stable")])


def _make_records(level: Levels, *, is_total: bool) -> list[Records]:
    usual = np.fmax(level.recent, level.last_year)
    extra = level.expected - usual
    beyond = _normal_probability(extra / level.deviation)
    # A store as a whole is unusual much sooner than one of its items.
    share = 0.1 if is_total else 0.25
    peaks = (extra >= np.maximum(3, share * usual)) & (beyond >= 0.8)
    shortfall = level.expected - level.normal_delivery
    risk = _normal_probability(shortfall / level.deviation)
    short = shortfall >= np.maximum(2, share / 2 * level.normal_delivery)
    kinds: list[tuple[Kind, NDArray[np.bool_], Doubles, Doubles]] = [
        ("peak", peaks, extra, beyond),
        ("shortage", short, shortfall, risk),
    ]
    found = []
    for kind, chosen, stake, probability in kinds:
        rows = np.flatnonzero(chosen & np.isfinite(stake))
        rows = rows[np.argsort(-stake[rows], kind="stable")][:MOST_ALERTS]
        records = np.empty(len(rows), RECORD)
        records["kind"] = KINDS.index(kind)
        records["row"] = -1 if is_total else rows
        records["expected"] = level.expected[rows]
        records["expected_high"] = level.expected[rows] + Z90 * level.deviation[rows]
        records["recent"], records["last_year"] = level.recent[rows], level.last_year[rows]
        records["at_stake"] = stake[rows]
        records["probability"] = np.minimum(probability[rows], 0.99)
        records["peak"] = level.peak[rows]
        records["normal_delivery"] = level.normal_delivery[rows] if kind == "shortage" else np.nan
        found.append(records)
    return found


def _normal_probability(z: Doubles) -> Doubles:
    """Return the probability of a standard normal value below z."""
    return np.asarray((1 + _erf(z / math.sqrt(2))) / 2)
