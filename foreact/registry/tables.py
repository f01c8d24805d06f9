"""A workspace's registry, read and written in sets: MLflow's client takes ten transactions a store, and this takes two.

The rows are those that the client would have written, so that it, its pages and its server read them as their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, TypeVar
from uuid import uuid4

from foreact.registry.figures import SERIES, describe_series
from foreact.registry.records import (
    AS_OF,
    CHAMPION,
    PROMOTED,
    STORE,
    Champion,
    Moment,
    NewVersion,
    describe_model,
    model_name,
    read_version,
)

Row = TypeVar("Row")
# How many rows one statement names.
CHUNK = 500


def find_champions(database: str, stores: Iterable[str]) -> dict[str, Champion]:
    """Return the version that carries the alias for each store that has one."""
    with _begin(database) as connection:
        return _find_champions(connection, list(stores))


def add_versions(
    database: str, versions: Sequence[NewVersion], existing: Mapping[str, str], promoted: Mapping[str, str]
) -> dict[str, str]:
    """Make versions beside existing ones, move the aliases of what was promoted, and return all by store.

    What was promoted is given as the date of its data by store. All comes to be, or nothing.
    """
    with _begin(database) as connection:
        numbers = {**existing, **_add_versions(connection, versions)}
        _promote_newest(connection, {store: (as_of, int(numbers[store])) for store, as_of in promoted.items()})
    return numbers


def add_points(database: str, experiment: str, figures: Mapping[str, Mapping[str, float]], moment: Moment) -> None:
    """Add a point to each store's figures, in a run that is begun for a store that has none."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric
    from sqlalchemy import tuple_
    from sqlalchemy.dialects.sqlite import insert

    at = {"timestamp": moment.timestamp, "step": moment.step, "is_nan": False}
    with _begin(database) as connection:
        runs = _ensure_series(connection, experiment, list(figures))
        points = [
            {"run_uuid": runs[store], "key": name, "value": value, **at}
            for store, named in figures.items()
            for name, value in named.items()
            if isfinite(value)
        ]
        if not points:
            return
        connection.execute(insert(SqlMetric).on_conflict_do_nothing(), points)
        latest, old = insert(SqlLatestMetric), SqlLatestMetric
        new = latest.excluded
        connection.execute(
            latest.on_conflict_do_update(
                index_elements=[old.key, old.run_uuid],
                set_={name: new[name] for name in ("value", *at)},
                where=tuple_(new.step, new.timestamp, new.value) > tuple_(old.step, old.timestamp, old.value),
            ),
            points,
        )


def in_chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Return the rows in parts that one statement can name."""
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


@contextmanager
def _begin(database: str) -> Iterator[Any]:
    from sqlalchemy import NullPool, create_engine

    with create_engine(database, poolclass=NullPool).begin() as connection:
        yield connection


def _insert(connection: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    from sqlalchemy import insert

    if rows:
        connection.execute(insert(table), rows)


def _find_champions(connection: Any, stores: Sequence[str]) -> dict[str, Champion]:
    from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModelAlias
    from sqlalchemy import and_, select

    table, tag, alias = SqlModelVersion, SqlModelVersionTag, SqlRegisteredModelAlias
    query = (
        select(table.name, table.version, table.run_id, table.source, tag.key, tag.value)
        .join(alias, and_(alias.name == table.name, alias.version == table.version))
        .join(tag, and_(tag.name == table.name, tag.version == table.version), isouter=True)
        .where(alias.alias == CHAMPION)
    )
    tags: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for chunk in in_chunks([model_name(store) for store in stores]):
        for *version, key, value in connection.execute(query.where(table.name.in_(chunk))):
            tags[tuple(version)].append(ModelVersionTag(key, value))
    champions = {
        name: read_version(ModelVersion(name, str(number), 0, run_id=run, source=source, tags=of_version))
        for (name, number, run, source), of_version in tags.items()
    }
    return {store: champions[name] for store in stores if (name := model_name(store)) in champions}


def _add_versions(connection: Any, versions: Sequence[NewVersion]) -> dict[str, str]:
    from mlflow.store.model_registry.dbmodels.models import (
        SqlModelVersion,
        SqlModelVersionTag,
        SqlRegisteredModel,
        SqlRegisteredModelTag,
    )
    from mlflow.utils.time import get_current_time_millis
    from sqlalchemy import func, select, update

    now, model, table = get_current_time_millis(), SqlRegisteredModel, SqlModelVersion
    times = {"creation_time": now, "last_updated_time": now}
    last: dict[str, int] = {}
    known: set[str] = set()
    for chunk in in_chunks([each.name for each in versions]):
        known |= set(connection.scalars(select(model.name).where(model.name.in_(chunk))))
        found = select(table.name, func.max(table.version)).where(table.name.in_(chunk)).group_by(table.name)
        last |= dict(connection.execute(found).all())
        connection.execute(update(model).where(model.name.in_(chunk)).values(last_updated_time=now))
    stores = {each.name: each.store for each in versions if each.name not in known}
    _insert(
        connection,
        model,
        [{"name": name, "description": describe_model(store), **times} for name, store in stores.items()],
    )
    _insert(
        connection,
        SqlRegisteredModelTag,
        [{"name": name, "key": STORE, "value": store} for name, store in stores.items()],
    )
    numbers = {each.name: last.get(each.name, 0) + 1 for each in versions}
    rows = [
        {
            "name": each.name,
            "version": numbers[each.name],
            "source": each.source,
            "storage_location": each.source,
            "run_id": each.mlflow_run,
            "description": each.description,
            **times,
        }
        for each in versions
    ]
    _insert(connection, table, rows)
    tags = [
        {"name": each.name, "version": numbers[each.name], "key": key, "value": value}
        for each in versions
        for key, value in each.tags.items()
    ]
    _insert(connection, SqlModelVersionTag, tags)
    return {each.store: str(numbers[each.name]) for each in versions}


def _promote_newest(connection: Any, promoted: Mapping[str, tuple[str, int]]) -> None:
    """Put each alias on the promoted version of the newest data, and of those on the latest; never back."""
    from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModelAlias
    from sqlalchemy import and_, insert, select
    from sqlalchemy.orm import aliased

    table, flag, as_of = SqlModelVersion, aliased(SqlModelVersionTag), aliased(SqlModelVersionTag)

    def tagged(tag: Any, key: str) -> Any:
        return and_(tag.name == table.name, tag.version == table.version, tag.key == key)

    query = (
        select(table.name, as_of.value, table.version)
        .join(flag, and_(tagged(flag, PROMOTED), flag.value == "true"))
        .join(as_of, tagged(as_of, AS_OF))
        .where(table.current_stage != STAGE_DELETED_INTERNAL)
    )
    live = {
        each.name: (each.as_of, int(each.version))
        for store, each in _find_champions(connection, list(promoted)).items()
        if each.store == store
    }
    newest = live | {
        name: max(version, live.get(name, version))
        for name, version in ((model_name(store), version) for store, version in promoted.items())
    }
    for chunk in in_chunks(list(newest)):
        for name, *version in connection.execute(query.where(table.name.in_(chunk))):
            newest[name] = max(newest[name], tuple(version))
    moved = [
        {"name": name, "alias": CHAMPION, "version": number}
        for name, (_, number) in newest.items()
        if newest[name] != live.get(name)
    ]
    if moved:
        connection.execute(insert(SqlRegisteredModelAlias).prefix_with("OR REPLACE"), moved)


def _ensure_series(connection: Any, experiment: str, stores: Sequence[str]) -> dict[str, str]:
    """Return the run that holds each store's figures: the oldest, should two have begun at once."""
    from mlflow.entities import LifecycleStage, RunStatus, SourceType
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun, SqlTag
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
    from mlflow.utils.time import get_current_time_millis
    from sqlalchemy import select

    found = connection.execute(
        select(SqlTag.value, SqlRun.run_uuid)
        .join(SqlRun, SqlRun.run_uuid == SqlTag.run_uuid)
        .where(
            SqlTag.key == SERIES,
            SqlRun.experiment_id == int(experiment),
            SqlRun.lifecycle_stage == LifecycleStage.ACTIVE,
        )
        .order_by(SqlRun.start_time.desc())
    )
    runs = dict(found.all())
    begun = {store: uuid4().hex for store in stores if model_name(store) not in runs}
    location = connection.scalar(
        select(SqlExperiment.artifact_location).where(SqlExperiment.experiment_id == int(experiment))
    )
    now = get_current_time_millis()
    rows, tags = [], []
    for store, run in begun.items():
        name, described = describe_series(store)
        rows.append(
            {
                "run_uuid": run,
                "name": name,
                "experiment_id": int(experiment),
                "artifact_uri": f"{location}/{run}/artifacts",
                "source_type": SourceType.to_string(SourceType.UNKNOWN),
                # It takes figures for ever, and nothing is under way in it.
                "status": RunStatus.to_string(RunStatus.FINISHED),
                "start_time": now,
                "end_time": now,
                "lifecycle_stage": LifecycleStage.ACTIVE,
                "source_name": "",
                "entry_point_name": "",
                "source_version": "",
                "user_id": "unknown",
            }
        )
        tags += [
            {"run_uuid": run, "key": key, "value": value} for key, value in {**described, MLFLOW_RUN_NAME: name}.items()
        ]
    _insert(connection, SqlRun, rows)
    _insert(connection, SqlTag, tags)
    return {store: begun.get(store) or runs[model_name(store)] for store in stores}
