"""Files that cannot be what they should be: one clear sentence each."""

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.ingest.step import ingest
from foreact.blobs import BlobPlace
from foreact.data.reading.headers import SAMPLE
from foreact.data.reading.shapes import LONGEST_LINE, check_shape
from foreact.errors import ForeactError
from foreact.runs.events import Events
from tests.parts import unavailable
from tests.shops import days, take_in, write_rows

GOOD = [(day, "A", "x", 3) for day in days(40)]


def refused(folder: Path, history: Path | str, *known: Path, says: str, **options: object) -> None:
    """Take in what must be refused, with a sentence that says why."""
    with pytest.raises(ForeactError) as caught:
        take_in(folder, history, *known, **options)
    sentence = str(caught.value)
    assert re.search(says, sentence), sentence
    assert "\n" not in sentence


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path, tmp_path / "sales.csv", says=r"There is no file .*sales\.csv")


def test_folder_without_tables(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    refused(tmp_path, tmp_path / "in", says="has no files that end in")


def test_a_folder_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").mkdir()
    refused(tmp_path, tmp_path / "sales.csv", says="has no files")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(content)
    refused(tmp_path, path, says=r"sales\.csv is empty")


def test_header_only(tmp_path: Path) -> None:
    refused(tmp_path, write_rows(tmp_path / "sales.csv", []), says=r"sales\.csv has a header but no rows")


def test_blank_first_line(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text("\n" + write_rows(tmp_path / "good.csv", GOOD).read_text())
    refused(tmp_path, path, says="The first line of .*sales.csv is blank")


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_other_delimiters_are_read(tmp_path: Path, sign: str) -> None:
    path = write_rows(tmp_path / "sales.csv", GOOD, header=sign.join(["date", "store", "item", "units"]), sign=sign)
    assert take_in(tmp_path, path).info.rows == 40


def test_an_unknown_delimiter(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", GOOD, header="date:store:item:units", sign=":")
    refused(tmp_path, path, says="sales.csv has no column 'date'.*'date:store:item:units'")


def test_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(write_rows(tmp_path / "good.csv", GOOD).read_text(), encoding="utf-16")
    refused(tmp_path, path, says="UTF-16; save it as UTF-8")


def test_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes("date,store,item,units\n2025-03-01,Köln,x,1\n".encode("latin-1"))
    refused(tmp_path, path, says=r"not UTF-8 \(byte 0xF6 in line 2\); save it as UTF-8")


def test_zip(tmp_path: Path) -> None:
    path = tmp_path / "sales.xlsx"
    path.write_bytes(b"PK\x03\x04 and so on")
    refused(tmp_path, path, says="ZIP or Excel file; save it as CSV")


def test_broken_gzip(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv.gz"
    path.write_bytes(gzip.compress(b"date,store,item,units\n" * 9)[:-20])
    refused(tmp_path, path, says=r"sales\.csv\.gz is cut off or damaged: upload it again")


def test_broken_parquet(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    path.write_bytes(b"PAR1 but no more")
    refused(tmp_path, path, says="broken Parquet file")


def test_a_parquet_file_whose_columns_have_no_readable_names(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    pq.write_table(pa.table({"date": ["2025-03-31"], "store": ["A"], "quux": [5]}), path)
    path.write_bytes(path.read_bytes().replace(b"quux", b"\x80uux"))
    with pytest.raises(ForeactError, match=r"sales.parquet is a broken Parquet file; write it again\."):
        take_in(tmp_path, path)


def test_an_absent_column_suggests_the_nearest(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", GOOD, header="Date,store,item,unit")
    refused(tmp_path, path, says=r"has no column 'date'; did you mean 'Date'\? Map it with --columns date=NAME")
    refused(tmp_path, path, columns="date=Date", says=r"has no column 'units'; did you mean 'unit'\? Map")
    refused(
        tmp_path, path, columns="date=Date,units=uints", says=r"no column 'uints' \(for units\); did you mean 'unit'?"
    )
    refused(tmp_path, path, columns="date=Date,units=unit,item=sku", says=r"no column 'sku' \(for item\)")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("day=Date", "names 'day'.*the names are date, store"),
        ("unitz=Sales", "did you mean 'units'"),
        ("date", "should read like date=Day,store=Shop"),
        ("date=a,date=b", "has a name twice"),
        ("{date}", "not a JSON object"),
    ],
)
def test_a_mapping_that_is_none(tmp_path: Path, columns: str, says: str) -> None:
    refused(tmp_path, write_rows(tmp_path / "sales.csv", GOOD), columns=columns, says=says)


def test_a_mapping_as_json_may_hold_commas(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", GOOD, header='"day, of sale",store,item,units')
    assert take_in(tmp_path, path, columns='{"date": "day, of sale"}').info.rows == 40


@pytest.mark.parametrize("header", ["date,store,item,units,units", "date,store,item,units,Units"])
def test_a_column_twice(tmp_path: Path, header: str) -> None:
    refused(
        tmp_path, write_rows(tmp_path / "sales.csv", [(*row, 1) for row in GOOD], header), says="more than one column"
    )


def test_day_or_month_first_nobody_can_tell(tmp_path: Path) -> None:
    rows = [(f"{day:02d}/{month:02d}/2024", "A", "x", 1) for month in range(1, 4) for day in range(1, 13)]
    refused(
        tmp_path,
        write_rows(tmp_path / "sales.csv", rows),
        says="may be day/month or month/day; write them as YYYY-MM-DD",
    )


@pytest.mark.parametrize("horizon", [-1, 100_000])
def test_an_impossible_horizon(tmp_path: Path, horizon: int) -> None:
    refused(
        tmp_path,
        write_rows(tmp_path / "sales.csv", GOOD),
        horizon=horizon,
        says="horizon is .* periods; it must be at least 1",
    )


def test_an_unknown_store_suggests_the_nearest(tmp_path: Path) -> None:
    rows = [(day, store, "x", 1) for day in days(40) for store in ("Kiel", "Bremen")]
    path = write_rows(tmp_path / "sales.csv", rows)
    refused(tmp_path, path, store="Keil", says="The history has no store 'Keil'; did you mean 'Kiel'?")
    refused(tmp_path, path, store="Zug", says="no store 'Zug'; the 2 stores are 'Bremen', 'Kiel'")


@pytest.mark.parametrize(
    ("as_of", "says"),
    [
        ("31.03.2025", "must be a date like 2025-03-31"),
        ("2026-01-01", "in the future"),
        ("2019-01-01", "begins on 2025-02-20; choose a later day"),
    ],
)
def test_an_impossible_as_of(tmp_path: Path, as_of: str, says: str) -> None:
    refused(tmp_path, write_rows(tmp_path / "sales.csv", GOOD), as_of=as_of, says=says)


def test_a_policy_that_is_none(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sales.csv", GOOD)
    refused(tmp_path, path, missing="zeros", says="missing is 'zeros'; it must be one of auto, zero, unknown")


def test_known_tables_that_cannot_be_joined(tmp_path: Path) -> None:
    history = write_rows(tmp_path / "sales.csv", GOOD)
    no_key = write_rows(tmp_path / "a.csv", [(1, 2)], "price,promo")
    refused(tmp_path, history, no_key, says="a.csv has no column of the names date, store, item")
    other = write_rows(tmp_path / "b.csv", [(day, "1.0", 2) for day in days(60)], "date,store,price")
    refused(tmp_path, history, other, says="b.csv shares no store with the history: it has '1.0', the history 'A'")
    once = write_rows(tmp_path / "c.csv", [(day, 1) for day in days(60)], "date,price")
    again = write_rows(tmp_path / "d.csv", [(day, 1) for day in days(60)], "date,price")
    refused(tmp_path, history, once, again, says="'price' is in c.csv and in d.csv")
    store_level = write_rows(tmp_path / "e.csv", [(day, "A", 1) for day in days(40)], "date,store,units")
    by_item = write_rows(tmp_path / "f.csv", [("x", 1)], "item,price")
    refused(tmp_path, store_level, by_item, says="f.csv goes by item, but the history has no items")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with next to no space."""
    folder = tmp_path / "small"
    folder.mkdir()
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mounted = subprocess.run(  # noqa: PLW1510
        [*sudo, "mount", "-t", "tmpfs", "-o", "size=24k,mode=777", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        unavailable("needs to mount a small file system: run as root, or let sudo ask for no password")
    yield folder
    subprocess.run([*sudo, "umount", folder], check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    rows = [
        (day, "A", f"item {item}", (item * 37 + day.toordinal() * 101) % 1009)
        for day in days(60)
        for item in range(1000)
    ]
    path = write_rows(tmp_path / "sales.csv", rows)
    with pytest.raises(ForeactError, match=r"no space left|disk is full"):
        take_in(small_disk, path)
    with pytest.raises(ForeactError, match=r"no space left|disk is full"):
        take_in(tmp_path, path, scratch=small_disk)


@pytest.fixture
def nobody() -> Iterator[Path]:
    """Return a folder of somebody else's, and let the test be nobody in particular."""
    folder = Path(tempfile.mkdtemp(prefix="foreact-"))
    owner = os.geteuid()
    folder.chmod(0o755)
    (folder / "own").mkdir()
    (folder / "own").chmod(0o777)
    (folder / "locked").mkdir()
    (folder / "locked").chmod(0o555)
    write_rows(folder / "sales.csv", GOOD).chmod(0o644)
    write_rows(folder / "secret.csv", GOOD).chmod(0o000)
    if owner == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(owner)
    shutil.rmtree(folder)


def test_an_unreadable_file(nobody: Path) -> None:
    refused(nobody / "own", nobody / "secret.csv", says="secret.csv cannot be read: Permission denied")


def test_a_read_only_folder(nobody: Path) -> None:
    place = {"history": str(nobody / "sales.csv"), "known": [], "columns": "", "country": "", "as_of": "", "horizon": 7}
    given = {**place, "missing": "auto", "store": "", "events": Events(nobody / "own" / "events")}
    for where in (
        {"place": BlobPlace(nobody / "locked"), "scratch": nobody / "own"},
        {"place": BlobPlace(nobody / "own"), "scratch": nobody / "locked"},
    ):
        with pytest.raises(ForeactError, match=r"cannot be written|Cannot write"):
            ingest(**given, **where)


def test_a_table_with_a_column_a_day_is_told(tmp_path: Path) -> None:
    header = ",".join(["date", "store", "item", "units", *(f"day {number}" for number in range(1_000))])
    path = write_rows(tmp_path / "wide.csv", [("2025-03-31", "A", "x", *range(1_001))], header)
    refused(tmp_path, path, says=r"wide\.csv has 1,004 columns, .* a history has a row, not a column, for each date")


def test_a_header_without_an_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text("date,store,item," + "u" * SAMPLE)
    refused(tmp_path, path, says=r"The first line of .*sales\.csv goes on for more than 1 MB")


@pytest.mark.parametrize("cell", ['"' + "note\n" * (LONGEST_LINE // 5 + 300_000), "n" * (LONGEST_LINE + 2_000_000)])
def test_a_cell_without_an_end_is_told(tmp_path: Path, cell: str) -> None:
    path = write_rows(
        tmp_path / "sales.csv", [(day, "A", "x", 5, "") for day in days(40)], "date,store,item,units,note"
    )
    with path.open("a") as file:
        file.write(f"2025-03-31,A,y,5,{cell}")
    refused(tmp_path, path, says=r"ine 42 of .*sales\.csv is (opened and not closed within|longer than) 4 MB")


def test_long_files_of_old_line_endings_and_stray_quotes_are_read(tmp_path: Path) -> None:
    """A quote within a name opens nothing, though no other follows for megabytes."""
    rows = "".join(f"{day},A,x{number},5\r" for number in range(7_000) for day in days(40))
    path = tmp_path / "sales.csv"
    path.write_bytes(f'date,store,item,units\r2025-03-31,A,5" pipe,5\r{rows}'.encode())
    assert path.stat().st_size > LONGEST_LINE + (1 << 20)
    check_shape(path, "sales.csv", ",", gzipped=False)


def test_a_file_that_unpacks_to_far_more_than_it_is_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv.gz"
    # The size that the last bytes promise is all that is looked at.
    path.write_bytes(gzip.compress(b"date,store,item,units\n") + bytes(1 << 20) + (1 << 30).to_bytes(4, "little"))
    with pytest.raises(ForeactError, match=r"sales\.csv\.gz unpacks to 1,023 times its size"):
        check_shape(path, "sales.csv.gz", ",", gzipped=True)


def test_line_endings_of_several_kinds_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(
        b"date,store,item,units\r\n" + b"2025-03-30,A,x,5\r\n" * 9 + b"2025-03-31,A,x,5\r2025-03-31,A,y,5\n"
    )
    refused(tmp_path, path, says=r"sales\.csv cannot be read as CSV .* with one kind of line ending, or as Parquet")


def test_stores_as_many_as_rows_are_told(tmp_path: Path) -> None:
    rows = [("2025-03-31", f"S{number}", "x", 5) for number in range(1_100)]
    refused(tmp_path, write_rows(tmp_path / "sales.csv", rows), says="1,100 of the 1,100 stores of sales.csv have rows")
