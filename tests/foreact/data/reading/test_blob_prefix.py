"""Histories and known tables below a prefix of a real container."""

from datetime import date
from functools import partial
from pathlib import Path

import pytest

from foreact.blobs import open_url
from foreact.data.reading.sources import fingerprint_sources
from foreact.errors import ForeactError
from foreact.settings import PlaceSettings
from tests.services import Azurite
from tests.shops import days, take_in, write_rows

ROWS = [(day, "Köln/1", "x", 1) for day in days(40)]


@pytest.mark.azurite
def test_a_history_below_a_prefix_of_a_container(azurite: Azurite, tmp_path: Path) -> None:
    settings = PlaceSettings(**azurite.settings())
    opened = partial(open_url, settings=settings)
    uri = f"{settings.blob_url}/sales/2025"
    store, prefix = opened(uri)
    assert prefix == "sales/2025"
    store.write("sales/2025/a.csv", write_rows(tmp_path / "a.csv", ROWS[:20]))
    store.write("sales/2025/b.csv", write_rows(tmp_path / "b.csv", ROWS[20:]))
    store.write("sales/20250/c.csv", b"another folder")
    before = fingerprint_sources([uri], opened)
    assert take_in(tmp_path / "all", uri, open_url=opened).info.rows == 40
    assert take_in(tmp_path / "one", f"{uri}/b.csv", open_url=opened).info.rows == 20
    assert fingerprint_sources([uri], opened) == before
    store.write("sales/2025/b.csv", write_rows(tmp_path / "b.csv", ROWS[20:30]))
    assert fingerprint_sources([uri], opened) != before
    with pytest.raises(ForeactError, match="has no files that end in"):
        take_in(tmp_path / "none", f"{settings.blob_url}/nothing", open_url=opened)


@pytest.mark.azurite
def test_known_tables_below_a_prefix_of_a_container(azurite: Azurite, tmp_path: Path) -> None:
    """They are found, joined and part of what a run's data is known by, like those of a folder."""
    settings = PlaceSettings(**azurite.settings())
    opened = partial(open_url, settings=settings)
    store, _ = opened(f"{settings.blob_url}/x")
    plan = [f"{day},{price}" for day, price in zip(days(47, date(2025, 4, 7)), range(47), strict=True)]
    halves = {"a.csv": ["date,price", *plan[:30]], "b.csv": ["date,price", *plan[30:]]}
    (tmp_path / "plan").mkdir()
    for name, lines in halves.items():
        (tmp_path / "plan" / name).write_text("\n".join(lines) + "\n")
        store.write(f"plans/prices/{name}", tmp_path / "plan" / name)
    store.write("plans/prices-of-others/c.csv", b"date,price\n2025-01-01,9999\n")
    write_rows(tmp_path / "sales.csv", ROWS)
    history, uri = str(tmp_path / "sales.csv"), f"{settings.blob_url}/plans/prices"

    remote = take_in(tmp_path / "remote", history, uri, open_url=opened)
    local = take_in(tmp_path / "local", history, tmp_path / "plan")
    assert remote.info.stores["Köln/1"].sha256 == local.info.stores["Köln/1"].sha256
    assert remote.pack_store("Köln/1").make_panel().known["price"].tolist() == [float(price) for price in range(47)]

    before = fingerprint_sources([history, uri], opened)
    store.write("plans/prices/b.csv", b"date,price\n")
    assert fingerprint_sources([history, uri], opened) != before
