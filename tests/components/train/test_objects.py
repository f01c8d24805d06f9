"""What a worker publishes of a store beside its tables."""

from components.train.objects import make_outline
from foreact.parquet import encode_parquet
from foreact.publications.contract import Kind, PublishedObject, StoreTables
from tests.serving.shop import make_tables


def test_a_store_that_the_service_would_not_show_is_published_without_an_outline() -> None:
    tables = make_tables("S1")
    objects: dict[Kind, bytes] = {kind: encode_parquet(table) for kind, table in tables.items()}
    rows = {kind: table.num_rows for kind, table in tables.items()}

    def describe(rows: dict[Kind, int]) -> StoreTables:
        return StoreTables(
            objects={kind: PublishedObject(name=kind, sha256=kind, size=1, rows=count) for kind, count in rows.items()}
        )

    assert make_outline("S1", describe(rows), objects)
    assert make_outline("S1", describe({**rows, "totals": 1}), objects) is None
