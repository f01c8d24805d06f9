"""What moves a store's total, and what an item's days are made of."""

from dataclasses import replace

import numpy as np
import pytest

from foreact.outlines.tables import Floats
from serving.analysis.drivers import explain_peak, rank_drivers
from serving.analysis.item_parts import split_item
from serving.publication import StoreData
from tests.serving import shop
from tests.serving.analysis.conftest import Load

DAYS = np.ones(14, np.float32)


def with_drivers(arrays: StoreData, drivers: dict[str, Floats]) -> StoreData:
    """Put other drivers in the place of a store's."""
    arrays.shelf.put_detail(arrays, replace(arrays.detail, drivers=drivers))
    return arrays


def test_drivers_are_ranked_by_how_much_they_move_up_or_down(load: Load) -> None:
    drivers = {"level": 90 * DAYS, "small": DAYS, "large": -9 * DAYS, "middle": 4 * DAYS}
    arrays = with_drivers(load(["S1"])["S1"], drivers)
    assert list(rank_drivers(arrays)) == ["large", "middle", "small"]


def test_a_peak_is_explained_by_what_moves_it_most(load: Load) -> None:
    drivers = {"level": 90 * DAYS, "a": DAYS, "none": 0.4 * DAYS, "b": -9 * DAYS, "c": 4 * DAYS, "d": 2 * DAYS}
    arrays = with_drivers(load(["S1"])["S1"], drivers)
    peak = explain_peak(arrays)
    assert peak is not None
    assert (peak.day, peak.units) == ("2026-03-07", arrays.total_mean[5])
    assert peak.drivers == [("b", -9), ("c", 4), ("d", 2)]
    assert explain_peak(with_drivers(arrays, {})) is None


def test_an_items_parts_and_its_level_add_up_to_its_days(load: Load) -> None:
    arrays = load(["S1"])["S1"]
    parts = split_item(arrays, 2)
    assert parts is not None
    level = arrays.past[2][-56:].mean()
    assert level + parts.weekday + parts.rest == pytest.approx(arrays.mean[2], rel=1e-5)
    # Eight of each weekday are known, so that what they differ by adds up to nothing.
    assert parts.weekday[:7].sum() == pytest.approx(0, abs=1e-6)
    assert parts.weekday[:7] == pytest.approx(parts.weekday[7:])


def test_an_item_without_a_past_cannot_be_split(load: Load) -> None:
    tables = shop.make_tables("S1")
    del tables["history"]
    assert split_item(load(["S1"], tables={"S1": tables})["S1"], 0) is None
