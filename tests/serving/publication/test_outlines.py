"""Outlines of stores, kept for who starts later."""

import numpy as np

from foreact.blobs.folder import FolderStore
from foreact.outlines.names import ItemIndex, ItemNames
from foreact.outlines.outline import Outline, encode_outlines
from serving.publication.outlines import FOLDER, MOST_OBJECTS, Outlines

DATES = np.arange("2026-03-01", "2026-03-08", dtype="datetime64[D]")


def make_outline(outlines: Outlines, number: int) -> Outline:
    """Make a small store's outline."""
    totals = {name: np.full(7, number + place, np.float32) for place, name in enumerate(("mean", "p10", "p90"))}
    rows = outlines.names.number_names(sorted({"ä", "common", f"own-{number}"}))
    return Outline(DATES, totals, DATES - 9, np.full(7, np.nan, np.float32), ItemIndex(outlines.names, rows), b"alerts")


def test_an_outline_is_found_as_it_was_written(store: FolderStore) -> None:
    mine = Outlines(store, ItemNames())
    made = {f"key-{number}": make_outline(mine, number) for number in range(3)}
    mine.write_outlines(made, made.keys())
    found = Outlines(store, ItemNames()).find_outlines({"key-1", "key-9"})
    assert found.keys() == {"key-1"}
    outline = found["key-1"]
    assert outline.totals.keys() == {"mean", "p10", "p90"}
    assert outline.totals["p90"].tolist() == [3.0] * 7
    assert outline.dates.tolist() == DATES.tolist()
    assert np.isnan(outline.past_total).all()
    assert outline.alerts == b"alerts"
    assert [outline.index.name_item(row) for row in range(3)] == ["common", "own-1", "ä"]
    assert (outline.index.find_row("ä"), outline.index.find_row("own-2")) == (2, None)
    assert encode_outlines(found) == encode_outlines({"key-1": made["key-1"]})


def test_many_small_objects_become_one_of_what_is_current(store: FolderStore) -> None:
    mine = Outlines(store, ItemNames())
    keys = [f"key-{number}" for number in range(MOST_OBJECTS + 1)]
    for number, key in enumerate(keys):
        # The first is of a store that is published otherwise since.
        mine.write_outlines({key: make_outline(mine, number)}, keys[1:])
    (info,) = store.list(FOLDER)
    assert Outlines(store, ItemNames()).find_outlines(set(keys)).keys() == set(keys[1:])
    assert info.size == len(store.read(info.name).data)


def test_what_is_damaged_is_passed_over(store: FolderStore) -> None:
    mine = Outlines(store, ItemNames())
    for number in range(2):
        mine.write_outlines({f"key-{number}": make_outline(mine, number)}, [])
    first, second = sorted(store.list(FOLDER), key=lambda info: info.modified)
    store.write(second.name, store.read(second.name).data[:-20])
    assert Outlines(store, ItemNames()).find_outlines({"key-0", "key-1"}).keys() == {"key-0"}
    store.write(first.name, b"")
    assert Outlines(store, ItemNames()).find_outlines({"key-0", "key-1"}) == {}
