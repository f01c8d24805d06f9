"""What a store's days without rows are taken for."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from foreact.data.dataset.reporting import sells_on_few_days
from foreact.spacing import Spacing
from tests.shops import days, take_in, write_rows

DAYS = 400
RNG = np.random.default_rng(3)
SLOW = RNG.poisson(RNG.gamma(2, 1.5, DAYS))
ORDERS = RNG.lognormal(5, 1, DAYS) * (RNG.uniform(size=DAYS) < 0.2)
STEADY = RNG.normal(40, 8, DAYS).clip(10)
OPEN = RNG.uniform(size=DAYS) < 0.75
DAY = np.arange(DAYS)


@pytest.mark.parametrize(
    ("sold", "few"),
    [
        (SLOW, True),
        (ORDERS, True),
        (ORDERS * (DAY % 7 < 5), True),
        (STEADY * (DAY % 7 > 0), False),
        (STEADY * (DAY % 7 < 2), False),
        (STEADY * (DAY % 91 > 1), False),
        (STEADY * OPEN, False),
        (STEADY * ((DAY < 100) | (DAY > 280)), False),
        (SLOW * ((DAY < 100) | (DAY > 280)), False),
        (STEADY * (DAY < 1), False),
    ],
    ids=[
        "a slow machine",
        "orders on some days",
        "orders on some weekdays",
        "closed on Mondays",
        "market days",
        "holidays",
        "closed at will",
        "half a year lost",
        "a slow machine out of order",
        "one day alone",
    ],
)
def test_days_without_rows(sold: np.ndarray, few: bool) -> None:
    day = np.flatnonzero(sold)
    # Several rows a day, as of several items.
    assert sells_on_few_days(np.repeat(day + 20_000, 2), np.repeat(sold[day] / 2, 2), Spacing.DAILY) is few


@pytest.mark.parametrize("spacing", [Spacing.WEEKLY, Spacing.MONTHLY])
@pytest.mark.parametrize(
    ("sold", "few"),
    [
        (STEADY[:4] * (DAY[:4] != 1), False),
        (STEADY[:30] * ~np.isin(DAY[:30], [9, 20]) * np.where(np.isin(DAY[:30], [0, 29]), 0.01, 1), False),
        (STEADY[:60] * (DAY[:60] % 5 < 1), True),
    ],
    ids=["a new store with a hole", "cut short at both ends, with two holes", "orders at times"],
)
def test_longer_periods_without_rows(spacing: Spacing, sold: np.ndarray, few: bool) -> None:
    day = np.flatnonzero(sold)
    assert sells_on_few_days(day, sold[day], spacing) is few


def test_auto_takes_a_slow_stores_empty_days_for_zero_and_says_so(tmp_path: Path) -> None:
    every = days(DAYS, date(2025, 3, 31))
    rows = [(every[day], "slow", "x", SLOW[day]) for day in np.flatnonzero(SLOW)]
    rows += [(every[day], "shop", "x", round(STEADY[day])) for day in DAY if day % 7]
    path = write_rows(tmp_path / "sales.csv", rows)
    taken = {policy: take_in(tmp_path / policy, path, missing=policy) for policy in ("auto", "unknown", "zero")}
    empty = {
        (policy, store): float(np.nansum(panel.units[0, : panel.days] == 0))
        for policy, dataset in taken.items()
        for store in dataset.stores
        for panel in [dataset.pack_store(store).make_panel()]
    }
    assert empty["auto", "slow"] == empty["zero", "slow"] > 0
    assert empty["auto", "shop"] == empty["unknown", "shop"] == 0
    assert "1 of 2 stores, 'slow', sell on few days" in taken["auto"].info.notes[0]
    assert [len(taken[policy].info.notes) for policy in ("auto", "unknown", "zero")] == [1, 0, 0]
    hashes = {dataset.pack_store("slow").data_hash for dataset in taken.values()}
    assert len(hashes) == 3
