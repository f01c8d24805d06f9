"""A table with a column `like` says whose past a new item or a new store borrows."""

from pathlib import Path

import numpy as np
import pytest

from foreact.forecasting import train_store
from tests.shops import days, take_in, write_rows

DAYS = days(60)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return sales of an old store A, and of B with its last ten days; the item `new` has three days in A."""
    rows = [(day, "A", item, 10 * (number + 1)) for day in DAYS for number, item in enumerate(("x", "y"))]
    rows += [(day, "A", "new", 1) for day in DAYS[-3:]]
    rows += [(day, "B", "x", 5) for day in DAYS[-10:]]
    return write_rows(tmp_path / "sales.csv", rows)


@pytest.mark.parametrize(("header", "share"), [("item,like", 1.0), ("item,like,share", 0.5)])
def test_an_item_is_like_another(tmp_path: Path, history: Path, header: str, share: float) -> None:
    table = write_rows(tmp_path / "likes.csv", [("new", "y", share)[: header.count(",") + 1]], header)
    panel = take_in(tmp_path, history, table).pack_store("A").make_panel()
    assert panel.items.tolist() == ["new", "x", "y"]
    assert panel.likes is not None
    assert panel.likes.items.tolist() == [2, -1, -1]
    assert panel.likes.shares[0] == share
    assert not panel.attributes


def test_a_store_borrows_the_days_before_its_first(tmp_path: Path, history: Path) -> None:
    given = write_rows(tmp_path / "given.csv", [("B", "A", 0.8)], "store,like,share")
    dataset = take_in(tmp_path / "given", history, given)
    panel = dataset.pack_store("B").make_panel()
    assert (panel.days, panel.borrowed, dataset.info.stores["B"].rows) == (60, 50, 10)
    np.testing.assert_allclose(panel.units[0, :60], [8.0] * 50 + [5.0] * 10)
    assert dataset.pack_store("A").make_panel().borrowed == 0
    assert not panel.store_attributes


@pytest.mark.parametrize("store", ["", "B"])
def test_a_share_is_found_from_the_days_of_both(tmp_path: Path, history: Path, store: str) -> None:
    table = write_rows(tmp_path / "likes.csv", [("B", "A")], "store,like")
    dataset = take_in(tmp_path, history, table, store=store)
    panel = dataset.pack_store("B").make_panel()
    np.testing.assert_allclose(panel.units[0, :60], 5.0)
    assert panel.items.tolist() == ["x"]
    assert any("'B' borrows what 'A' sold" in note and "times 0.5" in note for note in dataset.info.notes)


def test_both_tables_and_names_that_nobody_knows(tmp_path: Path, history: Path) -> None:
    items = write_rows(tmp_path / "items.csv", [("new", "zebra"), ("later", "x")], "item,like")
    stores = write_rows(tmp_path / "stores.csv", [("B", "Kiel"), ("C", "A")], "store,like")
    dataset = take_in(tmp_path, history, items, stores)
    told = " ".join(dataset.info.notes)
    assert "items.csv names 1 item as 'like' that the history does not have, 'zebra'" in told
    assert "items.csv names 1 item as 'item' that the history does not have, 'later'" in told
    assert "stores.csv names 1 store as 'like' that the history does not have, 'Kiel'" in told
    panel = dataset.pack_store("B").make_panel()
    assert panel.borrowed == 0
    assert panel.likes is not None
    assert panel.likes.items.tolist() == [-1]


def test_shares_that_are_no_numbers_above_zero_count_as_not_given(tmp_path: Path, history: Path) -> None:
    items = write_rows(tmp_path / "items.csv", [("new", "x", "-2"), ("x", "new", "half")], "item,like,share")
    dataset = take_in(tmp_path, history, items)
    assert any("shares that are no numbers above 0, '-2', 'half'" in note for note in dataset.info.notes)
    likes = dataset.pack_store("A").make_panel().likes
    assert likes is not None
    assert set(likes.shares.tolist()) == {1.0}


def test_several_likes_and_oneself_are_told(tmp_path: Path, history: Path) -> None:
    rows = [("new", "x"), ("new", "new"), ("x", "x"), ("x", "x")]
    dataset = take_in(tmp_path, history, write_rows(tmp_path / "items.csv", rows, "item,like"))
    told = " ".join(dataset.info.notes)
    assert "items.csv gives 1 item, 'new', several likes, of which the first by name counts" in told
    assert "items.csv gives 1 item, 'x', itself as the like, which says nothing" in told


def test_a_new_store_has_the_weekdays_of_the_one_that_it_is_like(tmp_path: Path) -> None:
    week = (10, 20, 30, 40, 50, 90, 0)
    rows = [(day, "A", item, week[day.weekday()]) for day in days(200) for item in ("x", "y")]
    rows += [(day, "B", item, week[day.weekday()] // 2) for day in days(8) for item in ("x", "y")]
    table = write_rows(tmp_path / "likes.csv", [("B", "A")], "store,like")
    dataset = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows), table)
    forecast = train_store(dataset.pack_store("B").make_panel()).forecast
    # The horizon begins on a Tuesday.
    np.testing.assert_allclose(forecast.mean[0, :5], [10, 15, 20, 25, 45], rtol=0.2)
