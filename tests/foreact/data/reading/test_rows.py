"""What becomes of each row: used, blanked, left out, and told."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from foreact.data.dataset.stored import Dataset
from foreact.errors import ForeactError
from tests.shops import days, take_in, write_rows

DAYS = days(40)


def units(dataset: Dataset, store: str = "A") -> list[float]:
    """Return the history of a store's only item."""
    panel = dataset.pack_store(store).make_panel()
    return [float(value) for value in panel.units[0, : panel.days]]


def rejected(dataset: Dataset) -> list[dict[str, Any]]:
    return dataset.read_rejected().to_pylist()


def test_faulty_rows_are_kept_with_their_own_text(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[day, "A", "x", 5] for day in DAYS]
    rows[3][3] = "five"
    rows[4][0] = "2025-02-30"
    rows[5][1] = ""
    rows[6][2] = ""
    rows[7][0] = "2031-01-01"
    rows[8][0] = "1925-03-03"
    rows[9][3] = "1e300"
    dataset = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows))
    assert dataset.info.rejected == {
        "units that are not a number, or beyond 1e12": 2,
        "date before 1990": 1,
        "date in the future": 1,
        "no date that can be read": 1,
        "no item": 1,
        "no store": 1,
    }
    assert dataset.info.rows_read == 40
    assert dataset.info.rows == 35
    told = {(row["rule"], row["date"], row["units"]) for row in rejected(dataset)}
    assert ("units that are not a number, or beyond 1e12", str(DAYS[3]), "five") in told
    assert ("no date that can be read", "2025-02-30", "5") in told


def test_a_day_whose_units_cannot_be_read_is_unknown_not_zero(tmp_path: Path) -> None:
    rows = [[day, "A", item, 5] for day in DAYS for item in ("x", "y")]
    rows[20][3] = "n/v"
    panel = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows)).pack_store("A").make_panel()
    assert np.isnan(panel.units[0, 10])
    assert panel.units[1, 10] == 5


@pytest.mark.parametrize("nothing", ["", "NA", "NaN", "null"])
def test_units_left_empty_are_unknown_and_no_fault(tmp_path: Path, nothing: str) -> None:
    rows: list[list[Any]] = [[day, "A", "x", 5] for day in DAYS]
    rows[10][3] = nothing
    dataset = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows))
    assert dataset.info.rejected == {}
    assert np.isnan(units(dataset)[10])


def test_lines_that_are_no_rows(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", [(day, "A", "x", 5) for day in DAYS])
    with path.open("ab") as file:
        file.write(b'2025-03-31,A\n2025-03-31,A,x,1,too much\n"2025-03-31,never closed\n')
    dataset = take_in(tmp_path, path)
    assert dataset.info.rejected == {"line that is not a row": 3}
    assert {row["detail"].strip() for row in rejected(dataset)} >= {"2025-03-31,A", "2025-03-31,A,x,1,too much"}
    assert dataset.info.rows == 40


def test_a_quote_that_is_never_closed_counts_every_line_that_it_takes(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", [(day, "A", "x", 5) for day in DAYS])
    with path.open("ab") as file:
        file.write(b'2025-03-31,"B,x,1\n' + b"2025-03-31,C,x,1\r\n" * 50)
    dataset = take_in(tmp_path, path)
    assert dataset.info.rejected == {"line that is not a row": 51}
    assert {row["detail"] for row in rejected(dataset)} == {'2025-03-31,"B,x,1', "2025-03-31,C,x,1"}
    assert dataset.info.rows_read == 40 + 51
    with path.open("ab") as file:
        file.write(b"2025-03-31,C,x,1\n" * 10_000)
    with pytest.raises(
        ForeactError, match=r"A quote in line 42 of sales.csv is opened and never closed.*2025-03-31,\"B"
    ):
        take_in(tmp_path, path)


def test_bytes_that_are_no_text_deep_in_the_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", [(day, store, "x", 5) for store in ["A" * 900] for day in days(1300)])
    assert path.stat().st_size > 1 << 20
    with path.open("ab") as file:
        file.write("2025-03-31,Köln,x,1\n".encode("latin-1"))
    dataset = take_in(tmp_path, path)
    assert dataset.info.rejected == {"line that is not a row": 1}
    assert dataset.info.rows == 1300


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
)
def test_dates_in_many_ways_of_writing(tmp_path: Path, form: str) -> None:
    rows = [
        (datetime.combine(day, datetime.min.time()).strftime(form), "A", "x", index) for index, day in enumerate(DAYS)
    ]
    dataset = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows))
    assert dataset.info.as_of == DAYS[-1]
    assert units(dataset) == list(range(40))


def test_mixed_dates_are_read_in_the_way_of_most(tmp_path: Path) -> None:
    rows = [(day, "A", "x", 5) for day in DAYS] + [("01.02.2025", "A", "x", 1), ("02/13/2025", "A", "x", 1)]
    dataset = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows))
    assert dataset.info.rejected == {"no date that can be read": 2}


def test_a_comma_may_be_the_decimal_sign_where_it_parts_no_columns(tmp_path: Path) -> None:
    rows = [(day, "A", "x", "2,5") for day in DAYS]
    path = write_rows(tmp_path / "sales.csv", rows, header="date;store;item;units", sign=";")
    assert units(take_in(tmp_path, path))[0] == 2.5
    quoted = write_rows(tmp_path / "quoted.csv", [(day, "A", "x", '"1,250"') for day in DAYS])
    assert take_in(tmp_path / "quoted", quoted).info.rejected == {"units that are not a number, or beyond 1e12": 40}


def test_as_of_cuts_what_came_after(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", [(day, "A", "x", 5) for day in DAYS])
    dataset = take_in(tmp_path, path, as_of=str(DAYS[29]))
    assert dataset.info.as_of == DAYS[29]
    assert (dataset.info.rows, dataset.info.rows_after_as_of) == (30, 10)
    panel = dataset.pack_store("A").make_panel()
    assert (panel.days, panel.horizon) == (30, 7)
    assert np.isnan(panel.units[:, 30:]).all()


def test_one_store_is_taken_in_as_of_the_whole_history(tmp_path: Path) -> None:
    rows = [(day, "A", "x", 5) for day in DAYS] + [(day, "B", "x", 5) for day in DAYS[:-3]]
    path = write_rows(tmp_path / "sales.csv", rows)
    whole, alone = take_in(tmp_path / "all", path), take_in(tmp_path / "one", path, store="B")
    assert alone.stores == ["B"]
    assert alone.info.as_of == whole.info.as_of == DAYS[-1]
    assert alone.info.stores["B"] == whole.info.stores["B"]
    assert alone.pack_store("B") == whole.pack_store("B")


def test_flags_in_words_and_numbers(tmp_path: Path) -> None:
    words = ["1", "0", "true", "FALSE", "yes", "No", "1.0", "", "perhaps"]
    units = [0 if word in ("0", "FALSE", "No") else 5 for word in words]
    rows = [
        (day, "A", "x", units[index % 9], words[index % 9], words[(index + 1) % 9]) for index, day in enumerate(DAYS)
    ]
    dataset = take_in(
        tmp_path,
        write_rows(tmp_path / "sales.csv", rows, "date,store,item,units,Offen,Out"),
        columns="open=Offen,stockout=Out",
    )
    assert dataset.info.rejected == {"open that is neither 0 nor 1": 4, "stockout that is neither 0 nor 1": 4}
    panel = dataset.pack_store("A").make_panel()
    assert panel.open is not None
    assert panel.stockout is not None
    assert panel.open[0, :9].tolist() == [True, False, True, False, True, False, True, True, True]
    assert panel.stockout[0, :8].tolist() == [False, True, False, True, False, True, False, False]
    assert panel.open[:, 40:].all()
    assert not panel.stockout[:, 40:].any()


@pytest.mark.parametrize(
    ("policy", "with_items", "gap", "outage"),
    [
        ("auto", True, 0, None),
        ("zero", True, 0, 0),
        ("unknown", True, None, None),
        ("auto", False, None, None),
        ("zero", False, 0, 0),
    ],
)
def test_missing_rows(tmp_path: Path, policy: str, with_items: bool, gap: float | None, outage: float | None) -> None:
    """The store has no row on day 30; the item none on day 20, none before day 10, and none after day 35."""
    rows = [(day, "A", "x", 5) for index, day in enumerate(DAYS) if index not in (20, 30) and 10 <= index < 36]
    if with_items:
        rows += [(day, "A", "y", 1) for index, day in enumerate(DAYS) if index != 30]
    else:
        rows += [(DAYS[0], "A", "x", 5), (DAYS[-1], "A", "x", 5)]
    header = "date,store,item,units" if with_items else "date,store,ignored,units"
    found = units(take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows, header), missing=policy))

    def is_(value: float, wanted: float | None) -> bool:
        return bool(np.isnan(value)) if wanted is None else value == wanted

    assert is_(found[20], gap)
    assert is_(found[30], outage)
    assert is_(found[37], gap), "a series lives on until as_of"
    if with_items:
        assert np.isnan(found[:10]).all(), "before its first row it was not there"


def test_a_closed_day_closes_the_items_without_a_row_too(tmp_path: Path) -> None:
    rows = [(day, "A", "x", 0 if index == 20 else 5, int(index != 20)) for index, day in enumerate(DAYS)]
    rows += [(day, "A", "y", 1, 1) for index, day in enumerate(DAYS) if index != 20]
    panel = (
        take_in(tmp_path, write_rows(tmp_path / "s.csv", rows, "date,store,item,units,open"))
        .pack_store("A")
        .make_panel()
    )
    assert panel.open is not None
    assert panel.open[:, 20].tolist() == [False, False]
    assert panel.open.sum() == panel.open.size - 2


def test_parquet_of_many_types(tmp_path: Path) -> None:
    """Ids that are numbers in the file are texts here, and 1.0 is still store 1."""
    for number, (kind, store) in enumerate(
        [(pa.int64(), "7"), (pa.float64(), "7"), (pa.string(), "07"), (pa.binary(), "7")]
    ):
        value = {pa.string(): "07", pa.binary(): b"7"}.get(kind, 7)
        for moment in (pa.date32(), pa.timestamp("ms"), pa.timestamp("ns", "UTC"), pa.string()):
            table = pa.table(
                {
                    "date": pa.array([str(day) if moment == pa.string() else day for day in DAYS]).cast(moment),
                    "store": pa.array([value] * 40, kind),
                    "units": pa.array(range(40), pa.decimal128(8, 2))
                    if number % 2
                    else pa.array(range(40), pa.int16()),
                }
            )
            folder = tmp_path / f"{number}-{moment}".replace("[", "-").replace("]", "").replace("/", "")
            folder.mkdir()
            pa.parquet.write_table(table, folder / "sales.parquet")
            dataset = take_in(folder, folder / "sales.parquet")
            assert dataset.stores == [store]
            assert units(dataset, store) == list(range(40))
            assert not dataset.info.with_items


def test_many_files_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_rows(folder / "a.csv", [(day, "A", "x", 1) for day in DAYS[:20]])
    write_rows(folder / "b.csv", [(2, "x", "A", day) for day in DAYS[20:30]], "units;item;store;date", ";")
    (folder / "sub").mkdir()
    table = pa.table(
        {"date": pa.array(DAYS[30:], pa.date32()), "store": ["A"] * 10, "item": ["x"] * 10, "units": [3] * 10}
    )
    pa.parquet.write_table(table, folder / "sub" / "c.parquet")
    (folder / "README.md").write_text("not a table")
    expected = [1.0] * 20 + [2.0] * 10 + [3.0] * 10
    assert units(take_in(tmp_path / "1", folder)) == expected
    assert units(take_in(tmp_path / "2", str(folder / "**" / "*.[cp]*"))) == expected
    assert units(take_in(tmp_path / "3", str(folder / "a.cs?"))) == [1.0] * 20


def test_gzip_whatever_its_name(tmp_path: Path) -> None:
    import gzip

    plain = write_rows(tmp_path / "plain.csv", [(day, "A", "x", 1) for day in DAYS])
    for name in ("sales.csv.gz", "sales.csv"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        assert take_in(tmp_path / f"of-{name}", tmp_path / name).info.rows == 40


def test_the_same_data_has_the_same_hash_and_other_data_another(tmp_path: Path) -> None:
    rows = [(day, store, "x", 1) for day in DAYS for store in ("A", "B")]
    first = take_in(tmp_path / "1", write_rows(tmp_path / "a.csv", rows)).info.stores
    second = take_in(tmp_path / "2", write_rows(tmp_path / "b.csv", rows[::-1])).info.stores
    assert first == second
    rows[0] = (DAYS[0], "A", "x", 2)
    third = take_in(tmp_path / "3", write_rows(tmp_path / "c.csv", rows)).info.stores
    assert third["B"] == first["B"]
    assert third["A"].sha256 != first["A"].sha256


def test_one_row_items_and_all_zero_series_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [(day, "A", "zero", 0) for day in DAYS] + [(DAYS[-1], "A", "new", 4)]
    panel = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows)).pack_store("A").make_panel()
    assert panel.items.tolist() == ["new", "zero"]
    assert panel.units[0, 39] == 4
    assert np.isnan(panel.units[0, :39]).all()
    assert (panel.units[1, :40] == 0).all()
    assert panel.dates[39].tolist() == date(2025, 3, 31)


@pytest.mark.parametrize("name", ["Day", "day", "TEXT", "history"])
def test_the_date_column_may_have_any_name(tmp_path: Path, name: str) -> None:
    rows = [[day, "A", "x", 5] for day in DAYS]
    path = write_rows(tmp_path / "sales.csv", rows)
    path.write_text(path.read_text().replace("date", name, 1))
    assert units(take_in(tmp_path, path, columns=f"date={name}")) == [5.0] * len(DAYS)
