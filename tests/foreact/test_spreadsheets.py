"""Text in CSV that people open: nothing of it is a formula, and nothing else is changed."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.app import app
from foreact.blobs import connect
from foreact.publications import Publisher
from foreact.settings import PlaceSettings
from foreact.spreadsheets import guard_text
from serving.api.tabular import csv_chunks
from tests.foreact.publications.stores import put

FORMULAS = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\tplain",
    "\rplain",
    "\nplain",
    "  =1",
    "\N{NO-BREAK SPACE}=1",
    "\N{ZERO WIDTH NO-BREAK SPACE}@SUM(A1)",
    "\N{FULLWIDTH EQUALS SIGN}1",
    "\N{FULLWIDTH PLUS SIGN}a",
    "\N{FULLWIDTH HYPHEN-MINUS}a",
    "\N{FULLWIDTH COMMERCIAL AT}a",
    "\N{SMALL EQUALS SIGN}1",
    "\N{MINUS SIGN}a",
    "-",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_a_text_that_can_be_had_back(text: str) -> None:
    assert guard_text(text) == f"'{text}"
    assert guard_text(f"'{text}") == f"''{text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Kiel",
        "4711",
        "-5",
        "+5",
        "-1.5e-05",
        "-1,234.5",
        "-.5",
        "'s-Hertogenbosch",
        "a=b",
        "Köln",
        "\N{BULLET} x",
        " x",
    ],
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert guard_text(text) == text


def test_csv_of_the_api_keeps_its_numbers() -> None:
    rows = [{"store": "=1+1", "item": "-5", "mean": -2.5, "p50": None}]
    (written,) = csv_chunks(("store", "item", "mean", "p50"), rows)
    assert written.decode().splitlines() == ["store,item,mean,p50", "'=1+1,-5,-2.5,"]


def test_exported_csv_is_guarded_and_parquet_has_texts_as_they_are(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = connect(PlaceSettings(workspace=tmp_path))
    Publisher(store).publish({"@home": put(store, "@home", "r1", 1)}, by="run r1")
    for name in ("out.csv", "out.parquet"):
        done = CliRunner().invoke(app, ["export", "--out", str(tmp_path / name), "--workspace", str(tmp_path)])
        assert done.exit_code == 0, done.output
    with (tmp_path / "out.csv").open(newline="") as file:
        assert {row["store"] for row in csv.DictReader(file)} == {"'@home"}
    assert set(pq.read_table(tmp_path / "out.parquet")["store"].to_pylist()) == {"@home"}
