"""What MLflow may forget: versions that nothing names, their files, runs that hold none, and old points of figures.

MLflow only marks a version as deleted, and keeps its row and tags; of figures it deletes none. So this works on its
tables, in sets: a night costs as much as the one that has grown too old.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from foreact.registry.client import SERVER_THREADS, RegistryUnavailable, explain_mlflow_errors, map_concurrently
from foreact.registry.figures import STORES_EXPERIMENT
from foreact.registry.records import CHAIN, EXPERIMENT, RUN, STORE_MODELS, model_folder, model_name
from foreact.registry.tables import in_chunks

log = logging.getLogger(__name__)
PROXIED = "mlflow-artifacts"


@dataclass(frozen=True)
class Pruned:
    """How much was deleted."""

    versions: int
    runs: int
    points: int


@dataclass(frozen=True)
class _Version:
    workspace: str
    name: str
    version: int
    mlflow_run: str | None
    # The tag that says which of our runs it is of; a version without is somebody else's.
    run: str | None


def prune_registry(database: str, artifacts: str, *, named: Set[tuple[str, str]], before: datetime) -> Pruned:
    """Delete what was registered before a moment, but for what an alias names, or what is named by number or by run.

    A model's newest version stays, so that no number is given twice, but after a restore. `artifacts` is where the
    server keeps files.
    """
    from sqlalchemy import create_engine

    with explain_mlflow_errors("the database"):
        engine = create_engine(database)
        try:
            with engine.begin() as connection:
                files = _find_files(connection, artifacts)
                old = _find_old_versions(connection, named, before)
            versions = []
            for chunk in in_chunks(old):
                with engine.begin() as connection:
                    versions += _delete_versions(connection, chunk)
            # Rows first: a version never points at nothing. Files of a run that is cut short go with the run.
            _delete_files(files, versions)
            with engine.begin() as connection:
                points = _delete_points(connection, before)
                empty = _find_empty_runs(connection, before)
            _delete_files(files, [_Version("", "", 0, run, None) for run in empty])
            with engine.begin() as connection:
                _delete_runs(connection, empty)
            if engine.dialect.name == "postgresql":
                _reuse_space(engine)
        finally:
            engine.dispose()
    return Pruned(len(versions), len(empty), points)


def _find_files(connection: Any, artifacts: str) -> dict[str, str]:
    """Return where the files of each of our runs are."""
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun
    from sqlalchemy import select

    found = connection.execute(
        select(SqlRun.run_uuid, SqlRun.artifact_uri)
        .join(SqlExperiment, SqlExperiment.experiment_id == SqlRun.experiment_id)
        .where(SqlExperiment.name == EXPERIMENT)
    )
    return {run: _resolve_place(uri, artifacts).removesuffix("/artifacts") for run, uri in found}


def _resolve_place(uri: str, artifacts: str) -> str:
    """Return where the server keeps what it names to its clients by a path of its own, with or without its host."""
    parts = urlsplit(uri)
    return f"{artifacts.rstrip('/')}/{parts.path.lstrip('/')}" if parts.scheme == PROXIED else uri


def _find_old_versions(connection: Any, named: Set[tuple[str, str]], before: datetime) -> list[_Version]:
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModelAlias
    from sqlalchemy import and_, or_, select
    from sqlalchemy.orm import aliased

    table, tag, newer = SqlModelVersion, SqlModelVersionTag, aliased(SqlModelVersion)

    def same(other: Any) -> Any:
        return and_(other.workspace == table.workspace, other.name == table.name)

    alias = SqlRegisteredModelAlias
    is_live = select(alias.name).where(same(alias), alias.version == table.version).exists()
    has_newer = select(newer.name).where(same(newer), newer.version > table.version).exists()
    found = connection.execute(
        select(table.workspace, table.name, table.version, table.run_id, tag.value)
        .join(tag, and_(same(tag), tag.version == table.version, tag.key == RUN))
        .where(
            table.creation_time < _in_milliseconds(before),
            or_(table.name.startswith(STORE_MODELS, autoescape=True), table.name == model_name(CHAIN)),
            ~is_live,
            has_newer,
        )
    )
    old = [_Version(*row) for row in found]
    return [
        each for each in old if (each.name, str(each.version)) not in named and (each.name, each.run or "") not in named
    ]


def _delete_versions(connection: Any, versions: Sequence[_Version]) -> list[_Version]:
    """Delete those that no alias has come to name meanwhile, and return them."""
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModelAlias
    from sqlalchemy import delete, select, text, tuple_

    def are(rows: Any, keys: Set[tuple[str, str, int]]) -> Any:
        return tuple_(rows.workspace, rows.name, rows.version).in_(keys)

    if connection.dialect.name == "postgresql":
        # No alias is set between the look and the end; a workspace's registry is locked as a whole.
        connection.execute(text("LOCK TABLE registered_model_aliases IN SHARE MODE"))
    alias, keys = SqlRegisteredModelAlias, {(each.workspace, each.name, each.version) for each in versions}
    live = connection.execute(select(alias.workspace, alias.name, alias.version).where(are(alias, keys)))
    keys -= {tuple(row) for row in live}
    for rows in (SqlModelVersionTag, SqlModelVersion):
        connection.execute(delete(rows).where(are(rows, keys)))
    return [each for each in versions if (each.workspace, each.name, each.version) in keys]


def _delete_points(connection: Any, before: datetime) -> int:
    """Delete old points of the stores' figures; the latest of each stays in a table of its own."""
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlMetric, SqlRun
    from sqlalchemy import delete, select

    series = (
        select(SqlRun.run_uuid)
        .join(SqlExperiment, SqlExperiment.experiment_id == SqlRun.experiment_id)
        .where(SqlExperiment.name == STORES_EXPERIMENT)
    )
    old = SqlMetric.timestamp < _in_milliseconds(before)
    return int(connection.execute(delete(SqlMetric).where(old, SqlMetric.run_uuid.in_(series))).rowcount)


def _find_empty_runs(connection: Any, before: datetime) -> list[str]:
    """Return the old runs of ours in which no version lies."""
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun, SqlTag
    from sqlalchemy import select

    holds_version = select(SqlModelVersion.run_id).where(SqlModelVersion.run_id == SqlRun.run_uuid).exists()
    found = connection.execute(
        select(SqlRun.run_uuid)
        .join(SqlExperiment, SqlExperiment.experiment_id == SqlRun.experiment_id)
        .join(SqlTag, SqlTag.run_uuid == SqlRun.run_uuid)
        .where(
            SqlExperiment.name == EXPERIMENT,
            SqlTag.key == RUN,
            SqlRun.start_time < _in_milliseconds(before),
            ~holds_version,
        )
    )
    return [str(run) for (run,) in found]


def _delete_runs(connection: Any, runs: list[str]) -> None:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
    from sqlalchemy import delete

    for chunk in in_chunks(runs):
        for rows in (SqlMetric, SqlLatestMetric, SqlParam, SqlTag, SqlRun):
            connection.execute(delete(rows).where(rows.run_uuid.in_(chunk)))


def _delete_files(places: dict[str, str], versions: list[_Version]) -> None:
    """Delete the files of versions, or, of one without a name, those of its whole run."""
    from azure.core.exceptions import AzureError
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    from foreact.blobs.azure_errors import error_reason

    folders: dict[str, list[str | None]] = defaultdict(list)
    for each in versions:
        if each.mlflow_run in places:
            folder = f"artifacts/{model_folder(each.name)}" if each.name else None
            folders[places[each.mlflow_run]].append(folder)

    def delete_folder(repository_and_folder: tuple[Any, str | None]) -> None:
        repository, folder = repository_and_folder
        try:
            repository.delete_artifacts(folder)
        except MlflowException as error:
            # It may have gone before; what is left goes with the run.
            log.info("%s", error)

    for place, chosen in folders.items():
        repository = get_artifact_repository(place)
        try:
            for _ in map_concurrently(delete_folder, [(repository, folder) for folder in chosen], SERVER_THREADS):
                pass
        except AzureError as error:
            raise RegistryUnavailable(
                f"Cannot delete files in {place} ({error_reason(error)}): check that the account can be reached and "
                "that this identity may delete there, then run again; what is left goes with its run."
            ) from None


def _reuse_space(engine: Any) -> None:
    """Let PostgreSQL fill the space of what was deleted, whenever it would have come to that itself."""
    from sqlalchemy import text

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("model_version_tags", "model_versions", "metrics", "latest_metrics", "params", "tags", "runs"):
            connection.execute(text(f"VACUUM (ANALYZE) {table}"))


def _in_milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
