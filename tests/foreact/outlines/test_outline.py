"""A store's outline as bytes: what is in it, and what is none."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from foreact.outlines.alerts import RECORD
from foreact.outlines.names import ItemNames
from foreact.outlines.outline import decode_outlines, encode_outline, encode_outlines, name_content
from foreact.outlines.tables import BadObject
from foreact.parquet import encode_parquet
from foreact.publications.contract import Kind, PublishedObject, StoreTables
from tests.serving.shop import make_tables


def describe(objects: Mapping[Kind, bytes], tables: Mapping[Kind, pa.Table]) -> StoreTables:
    """Return what a manifest would say of objects."""
    return StoreTables(
        objects={
            kind: PublishedObject(name=kind, sha256=kind, size=len(data), rows=tables[kind].num_rows)
            for kind, data in objects.items()
        }
    )


def test_an_outline_has_what_the_tables_have_but_the_items_numbers() -> None:
    tables = make_tables("S1")
    objects = {kind: encode_parquet(table) for kind, table in tables.items()}
    described = describe(objects, tables)
    data = encode_outline("S1", described, objects)
    assert data == encode_outline("S1", described, objects)
    key = name_content("S1", described)
    keys, found = decode_outlines(data, {key}, ItemNames())
    assert keys == [key]
    outline = found[key]
    assert outline.dates.tolist() == tables["totals"]["date"].to_pylist()
    assert outline.totals["p90"].tolist() == tables["totals"]["p90"].to_pylist()
    assert outline.past_total.sum() == pc.sum(tables["history"]["units"]).as_py()
    assert [outline.index.name_item(row) for row in range(6)] == sorted(set(tables["forecasts"]["item"].to_pylist()))
    alerts = np.frombuffer(outline.alerts or b"", RECORD)
    # The item that is about to peak, and the store by it.
    assert set(alerts["row"].tolist()) == {-1, 0}
    # The outline itself is no part of what it was made from.
    described.objects["outline"] = PublishedObject(name="outline", sha256="s", size=len(data))
    assert name_content("S1", described) == key


def test_an_outline_of_another_format_is_none() -> None:
    table = pa.table({"key": ["a format that nobody knows"], "else": [1]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert decode_outlines(sink.getvalue().to_pybytes(), {"key"}, ItemNames())[1] == {}


@pytest.mark.parametrize("data", [b"", b"torn", encode_outlines({})[:-9]])
def test_another_file_is_told(data: bytes) -> None:
    with pytest.raises(BadObject, match="outlines cannot be read"):
        decode_outlines(data, {"key"}, ItemNames())


def test_objects_that_the_service_would_not_show_have_no_outline() -> None:
    tables = make_tables("S1")
    tables["totals"] = tables["totals"].slice(1)
    objects = {kind: encode_parquet(table) for kind, table in tables.items()}
    with pytest.raises(BadObject, match="does not cover the same days"):
        encode_outline("S1", describe(objects, tables), objects)
