"""What stands in the schema is what an intake makes."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from foreact.data.dataset.plan import list_series, plan_columns
from foreact.data.dataset.slices import Slices
from foreact.data.reading import schema
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import open_history
from foreact.data.reading.known import open_known
from foreact.data.reading.periods import find_periods
from foreact.data.reading.tables import open_table

HISTORY = """date,store,item,units,open,stockout,brand,mood
2026-01-01,A,x,1,1,0,own,2
2026-01-02,A,x,2,1,0,own,3
never,A,x,2,1,0,own,3
"""
PLAN = "date,store,open,mood\n2026-01-01,A,1,2\n2026-01-03,A,0,1\n"
RELATIONS = [value for value in vars(schema).values() if isinstance(value, schema.Relation)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with closing(Engine(tmp_path)) as engine:
        (tmp_path / "history.csv").write_text(HISTORY)
        (tmp_path / "plan.csv").write_text(PLAN)
        table = open_table(engine, "history", [("history.csv", tmp_path / "history.csv")], schema.name_source())
        history = open_history(engine, table, {}, date(2026, 2, 1), None)
        periods = find_periods(engine, history, date(2026, 2, 1), None)
        list_series(engine, history, None, Slices.cut(date(2026, 1, 1), date(2026, 2, 1)))
        plan = open_table(engine, "plan", [("plan.csv", tmp_path / "plan.csv")], schema.name_source(0))
        known = open_known(engine, plan, schema.name_known(0), {}, True, None, periods)
        plan_columns(engine, history, [known], 13_149)
        yield engine


def list_columns(engine: Engine, relation: str) -> set[str]:
    return {str(row[0]) for row in engine.execute(f"DESCRIBE {relation}")}


@pytest.mark.parametrize("relation", RELATIONS, ids=str)
def test_a_relation_has_the_columns_that_it_names_and_no_others(engine: Engine, relation: schema.Relation) -> None:
    columns = list_columns(engine, relation.name)
    assert columns >= set(relation.columns) | set(relation.optional)
    others = columns - set(relation.columns) - set(relation.optional)
    assert {prefix for prefix in relation.prefixes if any(name.startswith(prefix) for name in others)} == set(
        relation.prefixes
    )
    assert all(name.startswith(relation.prefixes) for name in others)


def test_there_is_no_relation_beside_those_of_the_schema(engine: Engine) -> None:
    made = {str(row[0]) for row in engine.execute("SHOW TABLES")}
    views = [
        schema.name_source(),
        schema.name_known(0),
        schema.name_rows(schema.name_known(0)),
        schema.name_source(0),
    ]
    dates = [schema.name_dates(schema.HISTORY.name), schema.name_dates(schema.name_known(0))]
    files = [schema.name_files(view, 0) for view in (schema.name_source(), schema.name_source(0))]
    # The engine's own lists of what its CSV reader refused.
    refused = {"reject_errors", "reject_scans"}
    assert made - refused == {relation.name for relation in RELATIONS} | {
        *views,
        *files,
        *dates,
        *map(schema.name_texts, dates),
    }
