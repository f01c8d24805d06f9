"""A workspace's tables, beside what MLflow's own client writes into them."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime

from foreact.registry import CHAIN, Moment, Registry
from foreact.registry.figures import STORES_EXPERIMENT
from foreact.settings import PipelineSettings
from tests.foreact.registry.conftest import candidate

RANDOM = re.compile(r"[0-9a-f]{32}")


def read_rows(workspace):
    """Return every row of every table, without when it was written, ids that were drawn, and the folder."""
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection:
        connection.row_factory = sqlite3.Row
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(
                str(
                    [
                        (key, RANDOM.sub("", str(row[key])).replace(str(workspace), ""))
                        for key in row.keys()  # noqa: SIM118
                        if not (key.endswith("_time") and row[key])
                    ]
                )
                for row in connection.execute(f'SELECT * FROM "{table}"')
            )
            for table in tables
        }


def register_nights(registry):
    """Register two nights, of which the second refuses a store, brings another and runs twice; return all answers."""
    first = [candidate(store, as_of="2024-03-30") for store in (CHAIN, "1", "Köln/Süd")]
    second = [candidate("1"), candidate("Köln/Süd", promoted=False), candidate("3")]
    answers = [registry.register_models("first", first)]
    for day, hour, value in ((30, 20, 0.5), (31, 20, 0.25), (31, 20, 0.25), (29, 8, 1.0)):
        figures = {store: {"wape": value, "bias": -value} for store in (CHAIN, "1", "3")[: day - 28]}
        registry.chart_figures(figures, Moment(date(2024, 3, day), datetime(2024, 3, day, hour, tzinfo=UTC)))
    answers += [registry.register_models("second", second) for _ in range(2)]
    return [*answers, registry.find_champions([CHAIN, "1", "Köln/Süd", "3", "4"])]


def test_the_tables_hold_what_the_client_would_have_written(tmp_path):
    together, one_by_one = tmp_path / "together", tmp_path / "one"
    by_tables, by_client = (Registry.connect(PipelineSettings(workspace=place)) for place in (together, one_by_one))
    by_client._ensure_experiment(STORES_EXPERIMENT)
    # As for a server, whose tables are out of reach.
    by_client.artifacts = None
    answers = [register_nights(registry) for registry in (by_tables, by_client)]
    hidden = [re.sub(r"mlflow_run='\w+'", "", repr(answer)) for answer in answers]
    assert hidden[0] == hidden[1]
    assert read_rows(together) == read_rows(one_by_one)
