"""Ids may be any text: no id leaves its folder, meets another's file or is changed."""

import re
from datetime import date
from pathlib import Path

import pytest

from foreact.data.dataset.stored import Dataset
from tests.shops import days, take_in, write_rows

IDS = [
    "two words",
    " padded ",
    'it\'s "quoted"',
    "a/b\\c",
    "../../etc/passwd",
    "..",
    ".",
    "007",
    "7",
    "7.0",
    "NA",
    "null",
    "~",
    "é",
    "e\u0301",
    "🥛 milk",
    "line\nbreak",
    "comma, semicolon; tab\t",
    "<script>alert(1)</script>",
    "'; DROP TABLE series; --",
    "%s {0} $HOME",
    "-",
    "İstanbul",
    "CON",
    "a" * 300,
    "a" * 299 + "b",
]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("ids")
    lines = ["date,store,item,units"]
    lines += [f"{day},{quoted(store)},{quoted(store)},{index}" for day in days(30) for index, store in enumerate(IDS)]
    lines += [f"{day},first,{quoted(item)},{index}" for day in days(30) for index, item in enumerate(IDS)]
    (folder / "sales.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    known = ["date,store,item,price"]
    known += [f"{day},{quoted(store)},{quoted(store)},{index}" for day in days(60) for index, store in enumerate(IDS)]
    (folder / "prices.csv").write_text("\n".join(known) + "\n", encoding="utf-8", newline="")
    return take_in(folder, folder / "sales.csv", folder / "prices.csv")


def test_every_store_is_found_under_its_own_id(dataset: Dataset) -> None:
    assert sorted(dataset.stores) == sorted([*IDS, "first"])
    for index, store in enumerate(IDS):
        panel = dataset.pack_store(store).make_panel()
        assert panel.store == store
        assert panel.items.tolist() == [store]
        assert (panel.units[0, :30] == index).all()
        assert (panel.known["price"][0, :30] == index).all()


def test_every_item_is_found_under_its_own_id(dataset: Dataset) -> None:
    panel = dataset.pack_store("first").make_panel()
    assert panel.items.tolist() == sorted(IDS)
    for row, item in enumerate(panel.items):
        assert (panel.units[row, :30] == IDS.index(item)).all()


def test_no_id_is_in_the_name_of_an_object(dataset: Dataset) -> None:
    workspace = dataset.place.workspace
    assert {path.name for path in workspace.iterdir()} == {"blobs", "events", "sales.csv", "prices.csv"}
    names = [info.name for info in dataset.place.connect().list("")]
    assert all(re.fullmatch(r"dataset/(manifest\.json|\d{4}-\d\d-\d\d/[0-9a-f]{64})", name) for name in names)
    assert set(dataset.info.parts.values()) < set(names)


def test_one_store_alone(dataset: Dataset, tmp_path: Path) -> None:
    source = dataset.place.workspace
    for store in (IDS[2], IDS[4], IDS[15], IDS[19], IDS[24]):
        alone = take_in(tmp_path / str(IDS.index(store)), source / "sales.csv", source / "prices.csv", store=store)
        assert alone.stores == [store]
        assert alone.info.stores[store].sha256 == dataset.info.stores[store].sha256


def test_an_id_with_a_zero_byte_is_a_fault(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    history = days(40)
    table = pa.table({"date": [*history, history[0]], "store": ["A"] * 40 + ["A\0"], "units": [1] * 41})
    pa.parquet.write_table(table, tmp_path / "sales.parquet")
    dataset = take_in(tmp_path, tmp_path / "sales.parquet")
    assert dataset.stores == ["A"]
    assert dataset.info.rejected == {"store with a zero byte": 1}


def test_names_that_look_alike_are_told(tmp_path: Path) -> None:
    names = ("Kiel", "kiel", "Ko\u0308ln", "K\u00f6ln", "01", "1", "A", "A ")
    rows = [(day, name, "x", 5) for day in days(40) for name in names]
    ahead = [(day, name, 1) for day in days(60, date(2025, 4, 20)) for name in ("Kiel", "KIEL")]
    known = write_rows(tmp_path / "known.csv", ahead, "date,store,promotion")
    dataset = take_in(tmp_path / "out", write_rows(tmp_path / "sales.csv", rows), known)
    assert len(dataset.stores) == len(names)
    told = [note for note in dataset.info.notes if note.startswith("Names of stores differ only in case")]
    assert "in 4 cases, such as '01' and '1', 'A' and 'A ', 'Kiel' and 'kiel': they are taken" in told[0]
    assert "'Kiel' and 'KIEL': rows of known.csv do not join those of the history" in told[1]


def test_points_that_may_be_thousands_are_told(tmp_path: Path) -> None:
    def note(*units: str) -> list[str]:
        rows = [(day, "A", "x", units[number % len(units)]) for number, day in enumerate(days(40))]
        path = write_rows(tmp_path / "sales.csv", rows, "date;store;item;units", ";")
        return [one for one in take_in(tmp_path / "out", path).info.notes if "decimal" in one]

    assert note("7.000") == [
        "40 rows of sales.csv have units such as '7.000', whose point is taken for a decimal one; if thousands are "
        "meant, write them without a point."
    ]
    assert note("7.000", "7.5") == note("7,000") == note("7000") == []
