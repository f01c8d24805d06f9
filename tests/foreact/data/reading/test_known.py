"""Known tables join by the keys they have, and each column is what its data says it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foreact.data.dataset.parcel import ColumnInfo
from tests.shops import days, take_in, write_rows

DAYS, AHEAD = days(40), days(47, days(1)[0].replace(month=4, day=7))
STORES, ITEMS = ("A", "B"), ("x", "y")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    rows = [(day, store, item, 5) for day in DAYS for store in STORES for item in ITEMS]
    return write_rows(tmp_path / "sales.csv", rows)


def columns(found: list[ColumnInfo]) -> dict[str, tuple[str, str]]:
    return {column.name: (column.kind, column.role) for column in found}


@pytest.mark.parametrize("keys", ["date", "date,store", "date,item", "date,store,item", "store", "item", "store,item"])
def test_any_subset_of_keys(tmp_path: Path, history: Path, keys: str) -> None:
    wanted: dict[str, list[Any]] = {"date": list(AHEAD), "store": list(STORES), "item": list(ITEMS)}
    rows: list[tuple[Any, ...]] = [()]
    for key in keys.split(","):
        rows = [(*row, value) for row in rows for value in wanted[key]]

    def value(day: int, store: int, item: int) -> int:
        return (
            (day * 10 if "date" in keys else 0)
            + (store * 2 if "store" in keys else 0)
            + (item if "item" in keys else 0)
        )

    def of(row: tuple[Any, ...]) -> int:
        places = {key: wanted[key].index(cell) for key, cell in zip(keys.split(","), row, strict=True)}
        return value(places.get("date", 0), places.get("store", 0), places.get("item", 0))

    table = write_rows(tmp_path / "known.csv", [(*row, of(row)) for row in rows][::-1], f"{keys},value")
    dataset = take_in(tmp_path, history, table)
    for place, store in enumerate(STORES):
        panel = dataset.pack_store(store).make_panel()
        if keys == "store":
            assert panel.store_attributes == {"value": str(value(0, place, 0))}
        elif "date" not in keys:
            assert panel.attributes["value"].tolist() == [str(value(0, place, item)) for item in range(2)]
        else:
            expected = [[value(day, place, item) for day in range(47)] for item in range(2)]
            wanted_array = np.array(expected if "item" in keys else expected[0], np.float32)
            np.testing.assert_array_equal(panel.known["value"], wanted_array)


def test_columns_of_the_history_are_what_their_values_say(tmp_path: Path) -> None:
    rows = [
        (
            day,
            store,
            item,
            5,
            f"dept {item}",
            f"region {store}",
            number % 3,
            "rain" if number % 2 else "sun",
            "",
            "same",
        )
        for number, day in enumerate(DAYS)
        for store in STORES
        for item in ITEMS
    ]
    path = write_rows(tmp_path / "s.csv", rows, "date,store,item,units,dept,region,visitors,weather,empty,chain")
    dataset = take_in(tmp_path, path)
    assert columns(dataset.info.columns) == {
        "dept": ("text", "item"),
        "region": ("text", "store"),
        "chain": ("text", "store"),
    }
    assert dataset.info.notes == [
        "Column 'visitors' of s.csv is left out: no known table carries it on over the horizon.",
        "Column 'weather' of s.csv is left out: no known table carries it on over the horizon.",
        "Column 'empty' of s.csv is left out: it is empty.",
    ]
    panel = dataset.pack_store("B").make_panel()
    assert panel.store_attributes == {"region": "region B", "chain": "same"}
    assert panel.attributes["dept"].tolist() == ["dept x", "dept y"]
    assert panel.known == {}
    assert panel.categories == {}


def test_a_time_zone_that_there_is_not_is_told(tmp_path: Path) -> None:
    rows = [(day, store, 5) for day in DAYS for store in "AB"]
    stores = write_rows(tmp_path / "stores.csv", [("A", "Europe/Athens"), ("B", "Athens")], "store,time_zone")
    dataset = take_in(tmp_path, write_rows(tmp_path / "s.csv", rows, "date,store,units"), stores)
    assert dataset.info.stores["A"].attributes == {"time_zone": "Europe/Athens"}
    assert dataset.info.notes == [
        "Column 'time_zone' has 'Athens', which is no IANA name as Europe/Lisbon is: the deadline of those stores is "
        "by the retailer's clocks."
    ]


def test_a_column_that_a_known_table_carries_on_is_one_regressor(tmp_path: Path) -> None:
    rows = [(day, "A", 5, number % 2, "0" if number % 3 else "a") for number, day in enumerate(DAYS)]
    history = write_rows(tmp_path / "s.csv", rows, "date,store,units,promo,holiday")
    ahead = [(day, "A", 1, number + 1, 0 if number else "b") for number, day in enumerate(AHEAD[40:])]
    known = write_rows(tmp_path / "k.csv", ahead, "date,store,promo,id,holiday")
    dataset = take_in(tmp_path, history, known)
    panel = dataset.pack_store("A").make_panel()
    assert panel.known["promo"].tolist() == [index % 2 for index in range(40)] + [1] * 7
    assert panel.categories == {"holiday": ["0", "a", "b"]}
    assert panel.known["holiday"].tolist() == [0 if index % 3 else 1 for index in range(40)] + [2] + [0] * 6
    assert dataset.info.notes == [
        "Column 'id' of k.csv is left out: without a value in the past, nothing can be learnt from it."
    ]


def test_a_promotion_by_item_is_laid_out_by_item(tmp_path: Path) -> None:
    rows = [(day, "A", item, 5, int(item == "x")) for day in DAYS for item in ITEMS]
    history = write_rows(tmp_path / "s.csv", rows, "date,store,item,units,promo")
    known = write_rows(tmp_path / "k.csv", [(day, "A", 1) for day in AHEAD[40:]], "date,store,promo")
    panel = take_in(tmp_path, history, known).pack_store("A").make_panel()
    assert panel.known["promo"].tolist() == [[1] * 47, [0] * 40 + [1] * 7]


def test_names_are_mapped_in_known_tables_too(tmp_path: Path) -> None:
    rows = [(day, 1, 5 * (day.weekday() != 6), int(day.weekday() != 6)) for day in DAYS]
    history = write_rows(tmp_path / "s.csv", rows, "Date,Store,Sales,Open")
    ahead = write_rows(
        tmp_path / "k.csv",
        [(i, day, 1, int(day.weekday() != 6)) for i, day in enumerate(AHEAD[40:])],
        "Id,Date,Store,Open",
    )
    stores = write_rows(tmp_path / "stores.csv", [(1, "c", 1270.0), (2, "a", "")], "Store,Type,Distance")
    dataset = take_in(tmp_path, history, ahead, stores, columns="date=Date,store=Store,units=Sales,open=Open")
    panel = dataset.pack_store("1").make_panel()
    assert panel.open is not None
    assert panel.open[0].tolist() == [day.weekday() != 6 for day in AHEAD]
    assert panel.store_attributes == {"Type": "c", "Distance": "1270.0"}
    assert panel.items.tolist() == ["all"]


def test_open_may_be_told_by_a_known_table_alone(tmp_path: Path, history: Path) -> None:
    shut = {AHEAD[10], AHEAD[44]}
    sold = [line for line in history.read_text().splitlines() if not line.startswith(str(AHEAD[10]))]
    history.write_text("\n".join(sold) + "\n")
    calendar = write_rows(tmp_path / "c.csv", [(day, int(day not in shut)) for day in AHEAD], "date,Open")
    panel = take_in(tmp_path, history, calendar, columns="open=Open").pack_store("A").make_panel()
    assert panel.open is not None
    assert panel.open.all(axis=0).tolist() == [day not in shut for day in AHEAD]


def test_without_a_known_row_a_cell_is_unknown(tmp_path: Path, history: Path) -> None:
    rows = [(day, "A", "x", 2.5) for day in AHEAD[20:]]
    panel = (
        take_in(tmp_path, history, write_rows(tmp_path / "p.csv", rows, "date,store,item,price"))
        .pack_store("A")
        .make_panel()
    )
    assert np.isnan(panel.known["price"][0, :20]).all()
    assert (panel.known["price"][0, 20:] == 2.5).all()
    assert np.isnan(panel.known["price"][1]).all()


def test_texts_that_are_no_categories_are_left_out(tmp_path: Path) -> None:
    rows = [
        (day, "A", f"i{item}", 5, f"note {item * 40 + index}") for index, day in enumerate(DAYS) for item in range(30)
    ]
    history = write_rows(tmp_path / "s.csv", rows, "date,store,item,units,note")
    ahead = [(day, "A", f"i{item}", "note 0") for day in AHEAD for item in range(30)]
    dataset = take_in(tmp_path, history, write_rows(tmp_path / "k.csv", ahead, "date,store,item,note"))
    assert dataset.info.columns == []
    assert "more than 1,000 different texts" in dataset.info.notes[0]


@pytest.mark.parametrize("name", ["sort_key", "series", "day", "x price", "low price", "label"])
def test_a_column_may_have_any_name(tmp_path: Path, name: str) -> None:
    rows = [(day, "A", item, 5, index) for index, day in enumerate(DAYS) for item in ITEMS]
    dataset = take_in(tmp_path, write_rows(tmp_path / "s.csv", rows, f"date,store,item,units,{name}"))
    assert columns(dataset.info.columns) == {}
    again = [(day, index % 3) for index, day in enumerate(AHEAD)] * 2
    history = write_rows(tmp_path / "h.csv", [row[:4] for row in rows])
    dataset = take_in(tmp_path, history, write_rows(tmp_path / "k.csv", again, f"date,{name}"))
    assert columns(dataset.info.columns) == {name: ("number", "known")}


def test_attributes_of_other_stores_are_told(tmp_path: Path, history: Path) -> None:
    dataset = take_in(tmp_path, history, write_rows(tmp_path / "k.csv", [("a", "North")], "store,region"))
    assert dataset.info.columns == []
    assert dataset.info.notes == [
        "Names of stores differ only in case, blanks, leading zeros or Unicode form in 1 case, such as 'A' and 'a': "
        "rows of k.csv do not join those of the history; write both alike.",
        "Column 'region' of k.csv is left out: it has a value for no store of the history.",
    ]


def test_rows_beyond_the_horizon_and_of_other_stores_are_left_out(tmp_path: Path, history: Path) -> None:
    rows = [(day, store, 1) for day in days(400, AHEAD[-1].replace(month=9)) for store in ("A", "B", "Z")]
    dataset = take_in(tmp_path, history, write_rows(tmp_path / "k.csv", rows, "date,store,promo"))
    (table,) = dataset.info.tables
    assert (table.first, table.last, table.rows) == (DAYS[0], AHEAD[-1], 2 * 47)


def test_rows_that_repeat_or_cannot_be_read_are_told(tmp_path: Path, history: Path) -> None:
    rows: list[list[Any]] = [[day, "A", item, 2.5] for day in AHEAD for item in ITEMS]
    rows += [[AHEAD[3], "A", "x", 9.5], ["one day", "A", "x", 1], [AHEAD[4], "A", "x"]]
    for order in (rows, rows[::-1]):
        known = write_rows(tmp_path / "p.csv", order, "date,store,item,price")
        dataset = take_in(tmp_path, history, known)
        assert dataset.info.notes == [
            "p.csv has 2 rows that cannot be read; they are left out.",
            "p.csv repeats 1 rows of the same date, store, item, and contradicts itself in 1 of them; the largest "
            "value counts.",
        ]
        assert dataset.pack_store("A").make_panel().known["price"][0, :5].tolist() == [2.5, 2.5, 2.5, 9.5, 2.5]
        assert dataset.info.tables[0].rows == 94


def test_a_slip_among_numbers_makes_no_text_of_them(tmp_path: Path, history: Path) -> None:
    rows = [
        [day, store, item, f"{1 + number / 100:.2f}"]
        for number, day in enumerate(AHEAD)
        for store in STORES
        for item in "xy"
    ]
    rows = [*rows, *([*row[:3], f"{number}.07"] for number, row in enumerate(rows[:40]))][40:]
    rows[5][3] = "n.a."
    dataset = take_in(tmp_path, history, write_rows(tmp_path / "p.csv", rows, "date,store,item,price"))
    assert columns(dataset.info.columns) == {"price": ("number", "known")}
