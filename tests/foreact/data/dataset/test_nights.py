"""A night reads the files that it must, and what comes out is what reading everything gives."""

from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreact.blobs.folder import FolderStore
from foreact.data.dataset.made_of import can_tell_files_apart
from foreact.data.dataset.parts import read_checksum
from foreact.data.dataset.stored import Dataset, DatasetInfo
from foreact.data.reading.engine import Engine
from foreact.data.reading.schema import FILE_DAYS, STORE_DAYS
from foreact.errors import ForeactError
from tests.shops import TODAY, days, take_in, write_rows

HEADER = "date,store,item,units,brand"
Rows = list[tuple[Any, ...]]


def name_contents(info: DatasetInfo) -> DatasetInfo:
    """Return a record whose parts are named by their checksums alone."""
    return info.model_copy(update={"parts": {name: read_checksum(part) for name, part in info.parts.items()}})


class Shop:
    """A folder of files, and the nights that read it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files, self.today = folder, folder / "sales", TODAY
        self.known: list[Path] = []
        self.files.mkdir()

    def bring(self, name: str, rows: Rows, header: str = HEADER, sign: str = ",") -> None:
        write_rows(self.files / f"{name}.csv", rows, header, sign)

    def remove(self, name: str) -> None:
        (self.files / f"{name}.csv").unlink()

    def read(self, *, full: bool) -> Dataset | str:
        try:
            return take_in(self.folder, self.files, *self.known, full=full, today=self.today, code_version="1")
        except ForeactError as error:
            return str(error)

    def spend_night(self) -> DatasetInfo | str:
        """Read what is new, and check that reading everything gives the same."""
        night = self.read(full=False)
        everything = self.read(full=True)
        if isinstance(night, str) or isinstance(everything, str):
            assert night == everything
            return str(night)
        assert name_contents(night.info) == name_contents(everything.info)
        return night.info

    def list_notes(self) -> list[str]:
        lines = (self.folder / "events").read_text().splitlines()
        return [line for line in lines if "are new, and read" in line or "everything is read" in line]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Return a shop of two stores and 500 days, in a file for each year."""
    shop = Shop(tmp_path)
    for year in (2023, 2024, 2025):
        dates = [day for day in days(500) if day.year == year]
        shop.bring(str(year), [(day, store, item, 5, "own") for day in dates for store in "AB" for item in "xy"])
    shop.read(full=False)
    return shop


def test_a_new_day_changes_the_last_quarter_of_its_stores(shop: Shop) -> None:
    before = shop.spend_night()
    shop.today += timedelta(days=1)
    shop.bring("2", [(TODAY, "A", item, 6, "own") for item in "xyz"])
    after = shop.spend_night()
    assert isinstance(before, DatasetInfo)
    assert isinstance(after, DatasetInfo)
    assert (after.as_of, after.stores["A"].items, after.rows_read) == (TODAY, 3, 2003)
    rows = {name for name, part in after.parts.items() if name.startswith("stores/") and part != before.parts.get(name)}
    assert rows == {"stores/A/2025-q2.parquet"}
    assert shop.list_notes() == [line for line in shop.list_notes() if "1 of 4 files of the history are new" in line]


def test_a_year_that_ends_becomes_one_part(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.bring("1", [(day, store, "x", 5, "") for day in days(500, date(2024, 12, 31)) for store in "AB"])
    assert isinstance(shop.spend_night(), DatasetInfo)
    shop.bring("2", [(date(2025, 1, 1), "A", "x", 5, "")])
    info = shop.spend_night()
    assert isinstance(info, DatasetInfo)
    assert {store: found.slices for store, found in info.stores.items()} == {
        "A": ["2023", "2024", "2025-q1"],
        "B": ["2023", "2024"],
    }


def test_of_known_tables_only_what_has_changed_is_written(shop: Shop, tmp_path: Path) -> None:
    prices = [
        (day, store, item, 2.5) for day in days(400, TODAY + timedelta(days=40)) for store in "AB" for item in "xyz"
    ]
    campaigns = [(day, store, "fair") for day in days(400, TODAY + timedelta(days=40))[::9] for store in "AB"]

    def bring(prices: Rows, campaigns: Rows) -> DatasetInfo:
        shop.known = [
            write_rows(tmp_path / "prices.csv", prices, "date,store,item,price"),
            write_rows(tmp_path / "campaigns.csv", campaigns, "date,store,campaign"),
        ]
        info = shop.spend_night()
        assert isinstance(info, DatasetInfo)
        return info

    def list_changes(before: DatasetInfo, after: DatasetInfo) -> set[str]:
        parts = {name for name, part in after.parts.items() if part != before.parts.get(name)}
        return {name for name in parts if name.startswith("known/")}

    first = bring(prices, campaigns)
    dearer = [
        (day, store, item, 3.5 if (day, store) == (days(1)[0], "B") else price) for day, store, item, price in prices
    ]
    # In another order they are the same rows.
    second = bring(dearer[::-1], campaigns[::-1])
    assert list_changes(first, second) == {"known/known_0/B/2025-q1.parquet"}
    third = bring(dearer, [*campaigns, (days(3)[0], "A", "sale")])
    assert list_changes(second, third) == {"known/known_1/A/2025-q1.parquet"}
    assert third.stores["A"].known == {name: ["2024", "2025-q1"] for name in ("known_0", "known_1")}
    # Rows of the same keys are told and made one, whatever was there before.
    fourth = bring([*dearer, dearer[0]], campaigns)
    assert any("repeats 1 rows of the same date, store, item" in note for note in fourth.notes)
    assert list_changes(second, fourth) == set()
    shop.bring("2", [(TODAY, store, item, 6, "own") for store in "AB" for item in "xyz"])
    bring(dearer, campaigns)
    # Without their first days the stores have fewer rows of known tables, too.
    shop.remove("2023")
    last = bring(dearer, campaigns)
    assert last.stores["A"].first == date(2024, 1, 1)
    assert not [note for note in shop.list_notes() if "everything" in note]


@pytest.mark.parametrize(
    ("rows", "header", "sign"),
    [
        ([("2025-03-31", "A", "x", 5)], "date,store,item,units", ","),
        ([("2025-03-31", "A", "x", 5, "own", 1)], f"{HEADER},more", ","),
        ([("31.03.2025", "A", "x", 5, "own")] * 3000, HEADER, ","),
        ([("2025-03-31", "A", "x", "5,5", "own")], HEADER.replace(",", ";"), ";"),
        ([("2030-01-01", "A", "x", 5, "own")], HEADER, ","),
        ([("2025-03-31", "A", "x", 5, "other")], HEADER, ","),
        (
            [("2025-03-31", "A", "x", 7, "own"), ("2024-02-01", "", "x", 5, "own"), ("2024-02-01", "C", "x")],
            HEADER,
            ",",
        ),
        ([], HEADER, ","),
    ],
    ids=["fewer columns", "more columns", "other dates", "commas", "future", "no attribute", "repeated", "no rows"],
)
def test_what_all_rows_decide_is_decided_by_all(shop: Shop, rows: Rows, header: str, sign: str) -> None:
    shop.bring("2", rows, header, sign)
    shop.spend_night()
    shop.today += timedelta(days=1)
    shop.bring("3", [(day, "A", "x", 5, "own") for day in days(2, TODAY)])
    shop.spend_night()
    shop.remove("2")
    shop.spend_night()
    shop.bring("2025", rows, header, sign)
    shop.spend_night()


class Recorder(FolderStore):
    """Remembers which objects were opened."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.opened: set[str] = set()

    def open(self, name: str) -> BinaryIO:
        self.opened.add(name.removesuffix(".csv"))
        return super().open(name)


def name_months(first: str, last: str) -> set[str]:
    return {name for day in days(600, date(2025, 4, 30)) if first <= (name := f"{day:%Y-%m}") <= last}


Bring = Callable[[str, int], None]


@pytest.mark.parametrize(
    ("change", "read"),
    [
        (lambda store, bring: bring("2024-05", 6), name_months("2024-01", "2024-12")),
        (lambda store, bring: store.delete("2024-05.csv"), name_months("2024-01", "2024-12") - {"2024-05"}),
        (lambda store, bring: bring("2025-03", 6), name_months("2025-01", "2025-03") | {"late"}),
        # The year of 2024 is the last one again.
        (
            lambda store, bring: [store.delete(f"{name}.csv") for name in ("late", *name_months("2025-01", "2025-03"))],
            name_months("2023-10", "2024-12"),
        ),
        (
            lambda store, bring: store.delete("late.csv"),
            name_months("2023-10", "2023-12") | name_months("2025-01", "2025-03"),
        ),
        (lambda store, bring: bring("2025-04", 6), {"2025-04"}),
    ],
    ids=["changed", "deleted", "newest", "last year", "other slices by store", "new"],
)
def test_files_are_read_that_have_rows_in_what_has_changed(
    tmp_path: Path, change: Callable[[Recorder, Bring], None], read: set[str]
) -> None:
    store = Recorder(tmp_path / "blobs")

    def bring(month: str, units: int) -> None:
        dates = [day for day in days(600, date(2025, 4, 30)) if f"{day:%Y-%m}" == month]
        rows = [(day, name, "x", units) for day in dates for name in "AB"]
        store.write(f"{month}.csv", write_rows(tmp_path / "part.csv", rows))

    def take(*, full: bool) -> DatasetInfo:
        store.opened.clear()
        url = "https://shop.blob.core.windows.net/sales"
        dataset = take_in(
            tmp_path, url, open_url=lambda _: (store, ""), full=full, code_version="1", today=date(2025, 5, 1)
        )
        return name_contents(dataset.info)

    for month in name_months("2023-10", "2025-03"):
        bring(month, 5)
    late = [(date(2023, 12, 24), "A", "x", 2), (date(2025, 1, 1), "B", "x", 2)]
    store.write("late.csv", write_rows(tmp_path / "part.csv", late))
    take(full=False)
    change(store, bring)
    night = take(full=False)
    assert store.opened == read
    assert night == take(full=True)


def test_a_row_that_was_in_the_future_counts_once_it_is_past(shop: Shop) -> None:
    shop.bring(
        "2", [(TODAY + timedelta(days=2), "A", "x", 6, "own"), (TODAY + timedelta(days=900), "A", "x", 6, "own")]
    )
    for _ in range(2):
        shop.spend_night()
        shop.today += timedelta(days=1)
    info = shop.spend_night()
    assert isinstance(info, DatasetInfo)
    assert (info.as_of, info.rejected) == (TODAY + timedelta(days=2), {"date in the future": 1})
    assert not [line for line in shop.list_notes() if "everything is read" in line]
    # A clock that is set back.
    shop.today -= timedelta(days=2)
    shop.spend_night()


FILE = st.tuples(
    st.sampled_from([*"abcdef", "A 2024", "A 2025", "B 2023", "B 2024"]),
    st.lists(
        st.tuples(
            st.sampled_from([*days(460)[::20], *days(20, TODAY + timedelta(days=1)), "31.03.2025", "never"]),
            st.sampled_from(["A", "B", "C", ""]),
            st.sampled_from(["x", "y", "z"]),
            st.sampled_from([0, 5, -2, 7.5, "", "many"]),
            st.sampled_from(["own", "own", "other", ""]),
        ),
        max_size=12,
    ),
    st.sampled_from([False, False, True]),
)


@settings(max_examples=12, deadline=None)
@given(nights=st.lists(st.lists(FILE, max_size=2), min_size=2, max_size=4))
def test_any_nights_give_what_reading_everything_gives(
    nights: list[list[tuple[str, Rows, bool]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop = Shop(tmp_path_factory.mktemp("nights"))
    for store, year in product("AB", (2023, 2024, 2025)):
        dates = [day for day in days(500)[::3] if day.year == year]
        shop.bring(f"{store} {year}", [(day, store, item, 5, "own") for day in dates for item in "xy"])
    shop.spend_night()
    for files in nights:
        shop.today += timedelta(days=1)
        for name, rows, goes in files:
            if goes:
                (shop.files / f"{name}.csv").unlink(missing_ok=True)
            else:
                shop.bring(name, rows)
        shop.spend_night()


def test_files_that_each_have_most_stores_and_days_are_not_kept_apart(tmp_path: Path) -> None:
    """Sums by file are as large as the history if each file is an item's."""
    with closing(Engine(tmp_path)) as engine:

        def keep(files: int, days: int) -> bool:
            engine.execute(
                f"CREATE OR REPLACE TABLE {STORE_DAYS} AS SELECT 'A' AS store, day FROM range({days}) _(day)"
            )
            engine.execute(f"CREATE OR REPLACE TABLE {FILE_DAYS} AS SELECT * FROM {STORE_DAYS}, range({files}) _(file)")
            return can_tell_files_apart(engine)

        assert keep(files=300, days=3_000)
        assert keep(files=3, days=500_000)
        assert not keep(files=400, days=3_000)
