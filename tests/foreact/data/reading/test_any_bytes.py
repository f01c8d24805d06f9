"""Whatever the bytes, the answer is a dataset or one sentence."""

import gzip
import io
import tempfile
from contextlib import suppress
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreact.data.reading.columns import parse_columns
from foreact.data.reading.dates import read_dates
from foreact.errors import ForeactError
from tests.shops import days, take_in

CELLS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "2025-03-01",
            "2025-03-02",
            "01/02/2025",
            "A",
            "x",
            "1",
            "-1",
            "1e5",
            "nan",
            "inf",
            "",
            '"',
            '""',
            "'",
            "\0",
            "\r",
        ]
    ),
    st.dates().map(str),
    st.floats().map(str),
)
LINES = st.lists(CELLS, max_size=6).map(",".join)
TEXTS = (
    st.lists(LINES, max_size=12)
    .map(lambda lines: "date,store,item,units,extra\n" + "\n".join(lines))
    .map(lambda text: text.encode("utf-8", "surrogatepass"))
)
FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def try_to_take_in(content: bytes, known: bytes | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sales.csv"
        path.write_bytes(content)
        tables = []
        if known is not None:
            tables = [Path(folder) / "known.csv"]
            tables[0].write_bytes(known)
        try:
            dataset = take_in(Path(folder), path, *tables)
        except ForeactError as error:
            sentence = str(error)
        else:
            for store in dataset.stores:
                dataset.pack_store(store).make_panel()
            return
        assert "\n" not in sentence


@FEW
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    try_to_take_in(content)


@FEW
@given(TEXTS | st.binary(max_size=60).map(lambda tail: b"date,store,item,units,extra\n2025-03-01,A,x,1,2\n" + tail))
def test_any_cells(content: bytes) -> None:
    try_to_take_in(content)


@FEW
@given(TEXTS)
def test_any_known_table(content: bytes) -> None:
    rows = [f"2025-03-{day:02d},A,x,1" for day in range(1, 31)]
    try_to_take_in("\n".join(["date,store,item,units", *rows]).encode(), content)


DAMAGE = st.lists(st.tuples(st.integers(4, 10_000), st.integers(0, 255)), min_size=1, max_size=6)


@FEW
@given(st.sampled_from(["parquet", "gzip"]), DAMAGE)
def test_any_damage(form: str, damage: list[tuple[int, int]]) -> None:
    rows = [[day, "A", "x", index] for index, day in enumerate(days(30))]
    if form == "gzip":
        lines = ["date,store,item,units", *(",".join(map(str, row)) for row in rows)]
        content = bytearray(gzip.compress("\n".join(lines).encode()))
    else:
        names = ("date", "store", "item", "units")
        buffer = io.BytesIO()
        pa.parquet.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), buffer)
        content = bytearray(buffer.getvalue())
    for place, byte in damage:
        content[4 + place % (len(content) - 4)] = byte
    try_to_take_in(bytes(content))


@given(st.dictionaries(st.text(max_size=12) | st.dates().map(str), st.integers(1, 99), max_size=8))
def test_any_texts_as_dates(counts: dict[str, int]) -> None:
    try:
        found = read_dates(counts, "Day")
    except ForeactError:
        return
    assert set(found) <= set(counts)
    assert all(isinstance(day, date) for day in found.values())


@given(st.text(max_size=40) | st.text(max_size=20).map(lambda text: "{" + text))
def test_any_text_as_a_mapping(text: str) -> None:
    with suppress(ForeactError):
        parse_columns(text)
