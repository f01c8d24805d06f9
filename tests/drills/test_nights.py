"""A few nights of the drill that spends hundreds, with a clock on which few are kept."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from foreact.publications import Reader
from tests.drills.nights import PROMOTED_EVERY, count_kept, find_growth, find_missing, furnish, spend_night
from tests.services import Azurite, serve_mlflow

KEEP = 2
STORES = ["Kiel", "Bad Tölz", "7"]


@pytest.fixture
def database(postgres: str) -> str:
    """Return a database of this test alone, because what is old is deleted from the whole of it."""
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE nights"))
    engine.dispose()
    return f"{postgres.rpartition('/')[0]}/nights"


@pytest.mark.postgres
@pytest.mark.azurite
def test_nothing_grows_and_what_is_named_is_there(database: str, azurite: Azurite, tmp_path: Path) -> None:
    with (
        serve_mlflow(database, azurite, tmp_path) as server,
        furnish(tmp_path, azurite, database, server, KEEP) as place,
    ):
        kept = []
        for night in range(2 * PROMOTED_EVERY + 1):
            spend_night(place, night, STORES)
            kept.append(count_kept(place))
        missing = find_missing(place)
        archived = Reader(place.blobs).list_versions()
    assert missing == []
    # One turn, in which each store's model has been replaced once, leaves what the turn before left.
    before, after, a_night = kept[PROMOTED_EVERY], kept[2 * PROMOTED_EVERY], kept[0]
    assert find_growth(before, after, a_night) == []
    # While as many nights as are kept had not been spent, each added to it.
    assert "rows of model_versions" in find_growth(a_night, before, a_night)
    assert a_night["rows of model_versions"] < after["rows of model_versions"] < 2 * len(kept)
    assert 1 not in archived
