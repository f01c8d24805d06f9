"""What is kept of a store's slices gives the same as reading all of them."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foreact.data.checks.tally import Tally
from foreact.data.checks.tallying import Tallier
from foreact.data.dataset.kept import prune_datasets
from foreact.data.dataset.parts import name_tally
from foreact.data.dataset.slices import Slices
from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError
from tests.shops import TODAY, days, take_in, write_rows

FIRST = days(1)[0] - timedelta(days=500)


def tally(dataset: Dataset, store: str, code: str) -> Tally:
    slices = Slices.cut(min(info.first for info in dataset.info.stores.values()), dataset.info.as_of)
    return Tallier(dataset, slices, code).tally(store)


def assert_same(one: Tally, other: Tally) -> None:
    def doubted(each: Tally) -> set[tuple[int, int]]:
        return set(zip(each.doubted_item.tolist(), each.doubted_day.tolist(), strict=True))

    assert doubted(one) == doubted(other)
    for field in fields(Tally):
        if not field.name.startswith("doubted"):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


@pytest.fixture
def units() -> NDArray[np.float64]:
    """Return what nine items sell on 540 days, each with runs of days on which it is sold out or nothing is known."""
    rng = np.random.default_rng(7)
    units = rng.poisson(np.array([12, 30, 25, 20, 14, 9, 5, 1, 0.3])[:, None], (9, 540)).astype(float)
    for row in units:
        for start in rng.integers(60, 535, 14):
            row[start : start + rng.integers(1, 7)] = 0 if rng.random() < 0.8 else np.nan
    # Across the end of a quarter, and up to the last day of some night.
    units[0, 498:504], units[1, 519:523] = 0, 0
    return units


def take_night(folder: Path, units: NDArray[np.float64], end: int, begin: int = 0) -> Dataset:
    """Bring the days up to `end` and read what is new."""
    rows = [
        (
            FIRST + timedelta(days=day),
            store,
            f"item {item}",
            "" if np.isnan(units[item, day]) else int(units[item, day]),
        )
        for day in range(begin, end)
        for store in "AB"
        for item in range(len(units))
    ]
    (folder / "sales").mkdir(exist_ok=True)
    write_rows(folder / "sales" / f"{end}.csv", rows)
    return take_in(folder, folder / "sales", today=TODAY + timedelta(days=60), code_version="1")


def test_going_on_from_what_is_kept_finds_what_all_rows_give(tmp_path: Path, units: NDArray[np.float64]) -> None:
    ends = [495, 500, 501, 503, 504, 505, 510, 522, 540]
    found = 0
    for begin, end in zip([0, *ends], ends, strict=False):
        dataset = take_night(tmp_path, units, end, begin)
        went_on, whole = tally(dataset, "A", "1"), tally(dataset, "A", "")
        assert_same(went_on, whole)
        found = len(whole.doubted_item)
    assert found > 50


def test_slices_long_gone_are_not_read_again(tmp_path: Path, units: NDArray[np.float64]) -> None:
    dataset = take_night(tmp_path, units, 540)
    whole = tally(dataset, "A", "1")
    dataset.place.connect().delete(dataset.list_slices("A")[0])
    assert_same(tally(dataset, "A", "1"), whole)
    with pytest.raises(ForeactError, match="is no longer in"):
        tally(dataset, "A", "")


def test_what_is_kept_of_a_store_goes_with_it(tmp_path: Path, units: NDArray[np.float64]) -> None:
    dataset = take_night(tmp_path, units, 540)
    tally(dataset, "A", "1")
    blobs = dataset.place.connect()
    blobs.write(name_tally("closed long ago"), blobs.read(name_tally("A")).data)
    assert prune_datasets(blobs) == [name_tally("closed long ago")]


@pytest.mark.parametrize("spoilt", [b"", b"PK\x03\x04 no archive", b"text"])
def test_what_cannot_be_read_is_made_anew(tmp_path: Path, units: NDArray[np.float64], spoilt: bytes) -> None:
    dataset = take_night(tmp_path, units, 540)
    whole = tally(dataset, "A", "1")
    blobs = dataset.place.connect()
    blobs.write("dataset/tallies/A", spoilt)
    assert_same(tally(dataset, "A", "1"), whole)
    assert blobs.read("dataset/tallies/A").data != spoilt


@pytest.mark.parametrize("change", ["code", "correction", "missing"])
def test_what_does_not_fit_is_not_used(tmp_path: Path, units: NDArray[np.float64], change: str) -> None:
    dataset = take_night(tmp_path, units, 540)
    tally(dataset, "A", "1")
    blobs = dataset.place.connect()
    before = blobs.read("dataset/tallies/A").data
    if change == "correction":
        write_rows(tmp_path / "sales" / "late.csv", [(FIRST + timedelta(days=200), "A", "item 0", 100)])
    options = {"missing": "unknown"} if change == "missing" else {}
    dataset = take_in(tmp_path, tmp_path / "sales", today=TODAY + timedelta(days=60), code_version="1", **options)
    code = "2" if change == "code" else "1"
    assert_same(tally(dataset, "A", code), tally(dataset, "A", ""))
    if change != "correction":
        assert blobs.read("dataset/tallies/A").data != before
