"""Hundreds of nights on a fast clock: what is kept stops growing, and the last night is as quick as an early one."""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text

from components.publish.step import publish
from components.register.step import register
from foreact.blobs import BlobStore, connect
from foreact.blobs.ageing import delete_all, list_old
from foreact.errors import ForeactError
from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.judging.accuracy import Accuracy
from foreact.forecasting.judging.scorecard import Score
from foreact.parquet import encode_parquet
from foreact.publications import Kind, Publisher, Reader, list_named_models, prune_archive, prune_objects
from foreact.publications.retention import list_object_names
from foreact.registry import Registry, Versions, prune_registry
from foreact.runs.events import Events
from foreact.runs.owed import RunOrigin
from foreact.settings import PipelineSettings
from foreact.telemetry import scorecards
from serving.app import create_app
from serving.auth.principal import EVERYTHING, Principal, Role
from serving.auth.sessions import COOKIE
from serving.settings import ServingSettings
from tests.drills.inside import listening
from tests.drills.outcome import Outcome
from tests.services import Azurite, Process, serve_azurite, serve_mlflow, serve_postgres
from tests.trainings import write_training

FIRST = date(2026, 1, 1)
# A store's new model goes live every so many nights, each night another part of the chain's.
PROMOTED_EVERY = 3
KEPT = 30
# From then on the oldest night that is kept is one like any other.
SETTLED = KEPT + PROMOTED_EVERY
# What the service keeps goes by days of the wall clock, of which a drill spends one; nothing else grows by design.
BY_DAYS = "serving/"
MOST_SECONDS = {"register": 120.0, "publish": 15.0, "overview": 1.0}
MOST_BYTES = 2 << 30
NIGHTS = "generate_series(1, :nights) AS night"
OF_MODELS, OF_FIGURES = (
    f"experiment_id = (SELECT experiment_id FROM experiments WHERE name = '{name}')"
    for name in ("foreact", "foreact-stores")
)
# A run a night, a version a model, and a point a figure, as the first night left them.
PRELOADED = (
    f"""INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
        end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time)
    SELECT md5(run_uuid || night), name, source_type, source_name, entry_point_name, user_id, status, :begun + night,
        :begun + night, source_version, lifecycle_stage, replace(artifact_uri, run_uuid, md5(run_uuid || night)),
        experiment_id, deleted_time
    FROM runs, {NIGHTS} WHERE {OF_MODELS}""",
    f"""INSERT INTO tags (key, value, run_uuid)
    SELECT key, value || '-' || night, md5(run_uuid || night)
    FROM tags JOIN runs USING (run_uuid), {NIGHTS} WHERE {OF_MODELS} AND start_time < :begun""",
    f"""INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, description, user_id,
        current_stage, source, storage_location, run_id, run_link, status, status_message)
    SELECT workspace, name, 1 + night, :begun + night, last_updated_time, description, user_id, current_stage, source,
        storage_location, md5(run_id || night), run_link, status, status_message
    FROM model_versions, {NIGHTS}""",
    f"""INSERT INTO model_version_tags (workspace, name, version, key, value)
    SELECT workspace, name, 1 + night, key,
        CASE key WHEN 'foreact.promoted' THEN 'false' WHEN 'foreact.run' THEN value || '-' || night ELSE value END
    FROM model_version_tags, {NIGHTS}""",
    f"""INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
    SELECT key, value, :begun + night, run_uuid, step + night, is_nan
    FROM metrics JOIN runs USING (run_uuid), {NIGHTS} WHERE {OF_FIGURES}""",
)
FIGURES = Accuracy(wape=0.2, bias=0.01, scaled_error=0.8, coverage=0.8, above_p90=0.1, total_coverage=0.8)
SCORED = {"wape": 0.21, "bias": 0.02, "coverage": 0.79, "beats_naive": 0.7}


@dataclass
class Place:
    """The parts, all of them real."""

    folder: Path
    settings: PipelineSettings
    database: str
    artifacts: str
    keep: int
    moments: list[datetime] = field(default_factory=list)
    live: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def blobs(self) -> BlobStore:
        return connect(self.settings)

    def tell_day(self) -> datetime:
        """Return the time of the fast clock, a day later each night."""
        return datetime.combine(FIRST + timedelta(days=len(self.moments)), datetime.min.time(), UTC)

    @property
    def since(self) -> datetime:
        """When the oldest night that is kept began."""
        return self.moments[-self.keep :][0]


@contextmanager
def furnish(folder: Path, azurite: Azurite, postgres: str, mlflow: Process, keep: int) -> Iterator[Place]:
    """Make a place of servers that run; files are deleted by what MLflow itself goes by."""
    settings = PipelineSettings(workspace=folder, mlflow_uri=mlflow.url, keep_versions=keep, **azurite.settings())
    artifacts = mlflow.command[mlflow.command.index("--artifacts-destination") + 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
        yield Place(folder, settings, postgres, artifacts, keep)


def spend_night(place: Place, night: int, stores: list[str]) -> dict[str, float]:
    """Register and publish a training, delete what is too old by the fast clock, and return what each took."""
    place.moments.append(datetime.now(UTC))
    run, day = f"night-{night:04d}", FIRST + timedelta(days=night)
    trained, versions = place.folder / "trained", place.folder / "versions.json"
    events, took = Events(place.folder / "events"), {}
    with _timed(took, "write"):
        _train(place, trained, run, night, day, stores)
    with _timed(took, "register"):
        origin = RunOrigin(run=run, pipeline="retrain-all")
        register(trained=trained, versions=versions, origin=origin, settings=place.settings, events=events)
    with _timed(took, "publish"):
        publish(trained=trained, versions=versions, settings=place.settings, events=events, now=place.tell_day)
        _prune_blobs(place)
    with _timed(took, "prune"):
        named = list_named_models(place.blobs)
        prune_registry(place.database, place.artifacts, named=named, before=place.since)
    for store, registered in Versions.read(versions).stores.items():
        place.live[store] = {"champion_run": registered.run, "champion_version": registered.version}
    return took


def _train(place: Place, path: Path, run: str, night: int, day: date, stores: list[str]) -> None:
    """Leave what the train step leaves; a few stores get a new model, the others keep theirs."""
    same = {
        "accuracy": FIGURES,
        "challenger_accuracy": FIGURES,
        "champion_accuracy": FIGURES,
        "baselines": dict.fromkeys(Simple, FIGURES),
        "scorecard": SCORED,
    }
    fields = {}
    for number, store in enumerate(stores):
        kept = night and (night + number) % PROMOTED_EVERY
        fields[store] = same | ({"outcome": "kept", "reason": "no better", **place.live[store]} if kept else {})
    trained = write_training(path, place.settings, run, fields, as_of=day, horizon=14, more=_make_tables)
    trained.model_copy(update={"generated_at": place.moments[-1]}).write(path)


@cache
def _make_tables(store: str) -> dict[Kind, bytes]:
    """Return a store's tables that say nothing of the night."""
    days = [FIRST - timedelta(days=ago) for ago in range(56)]
    score = Score(store, np.datetime64(FIRST), 0, 100, 500.0, 0.2, 0.01, 0.8, 0.7)
    rows: dict[Kind, list[dict[str, Any]]] = {
        "history": [{"store": store, "item": item, "date": day, "units": 5.0} for item in ("a", "b") for day in days],
        "drivers": [{"store": store, "date": FIRST, "driver": "promotion", "units": 1.0}],
        "scorecard": [{**asdict(score), "published_as_of": FIRST}],
    }
    return {kind: encode_parquet(pa.Table.from_pylist(each)) for kind, each in rows.items()}


def _prune_blobs(place: Place) -> None:
    """Do what the step does, with a day that lasts as long as a night of this drill."""
    age = datetime.now(UTC) - place.since
    blobs = place.blobs
    prune_objects(blobs, grace=timedelta(0))
    prune_archive(blobs, keep=age)
    delete_all(blobs, list_old(blobs.list(scorecards.FOLDER), age, datetime.now(UTC)))


@contextmanager
def _timed(took: dict[str, float], what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    took[what] = time.monotonic() - begun


def count_kept(place: Place) -> Counter[str]:
    """Return how many blobs of each kind there are, and rows in each of MLflow's tables that nights add to."""
    kept = Counter("/".join(info.name.split("/")[:2]) for info in place.blobs.list())
    engine = create_engine(place.database)
    with engine.connect() as connection:
        for table in ("model_versions", "model_version_tags", "runs", "tags", "params", "metrics", "latest_metrics"):
            kept[f"rows of {table}"] = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return kept


def find_growth(before: Counter[str], after: Counter[str], a_night: Counter[str]) -> list[str]:
    """Return the kinds that grew though as many nights were kept.

    Of rows a tenth of what the first night left is allowed, for stores do not replace their models in equal parts;
    of blobs a night, because Azure tells their age in whole seconds.
    """
    most = {kind: math.ceil(a_night[kind] * (0.1 if kind.startswith("rows") else 1)) for kind in after}
    return [kind for kind in after if not kind.startswith(BY_DAYS) and after[kind] > before[kind] + most[kind]]


def measure_database(place: Place) -> int:
    """Return how large MLflow's database is."""
    engine = create_engine(place.database)
    with engine.connect() as connection:
        size = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    engine.dispose()
    return size


def find_missing(place: Place) -> list[str]:
    """Return what retained manifests or aliases name and is not there."""
    blobs, missing = place.blobs, []
    present = {info.name for info in blobs.list("forecasts/data/")}
    named: set[tuple[str, str]] = set()
    for manifest in Reader(blobs).read_history(retained=True):
        missing += list_object_names(manifest) - present
        named |= {(store, entry.model.version or "") for store, entry in manifest.stores.items()}
    registry = Registry.connect(place.settings)
    for store, version in sorted(named):
        try:
            registry.load_version(store, version)
        except ForeactError as error:
            missing.append(str(error))
    champions = registry.load_champions(place.live)
    missing += [each.problem for each in champions.values() if each.problem]
    return missing + [f"no champion of {store}" for store in place.live.keys() - champions.keys()]


@contextmanager
def open_overview(place: Place) -> Iterator[Callable[[], float]]:
    """Run the service and yield a function that says how long the overview took, once the last night is loaded."""
    settings = ServingSettings(workspace=place.folder, **_blob_settings(place.settings), _env_file=None)  # type: ignore[call-arg]
    app = create_app(settings, place.blobs)
    somebody = Principal("drill", "Drill", Role.admin, EVERYTHING)
    cookie = app.state.service.sessions.issue_cookie(somebody)

    def look() -> float:
        app.state.service.publications.refresh()
        begun = time.monotonic()
        client.get("/").raise_for_status()
        return time.monotonic() - begun

    with listening(app) as url, httpx.Client(base_url=url, cookies={COOKIE: cookie}, timeout=120) as client:
        yield look


def _blob_settings(settings: PipelineSettings) -> dict[str, Any]:
    return {"blob_url": settings.blob_url, "blob_connection_string": settings.blob_connection_string}


def drill(folder: Path, nights: float = 400, stores: float = 1115, rows: float = 0) -> Outcome:
    """Spend the nights, and compare the last with the promise; before the second, add MLflow's rows of some nights."""
    names, told, counted = [f"{number}" for number in range(int(stores))], [], []
    with (
        serve_azurite(folder) as azurite,
        serve_postgres() as postgres,
        serve_mlflow(postgres, azurite, folder, workers=2) as server,
        furnish(folder, azurite, postgres, server, KEPT) as place,
        open_overview(place) as look,
    ):
        for night in range(int(nights)):
            if night and rows:
                leave_night(place, night, names)
            took = spend_night(place, night, names)
            took["overview"] = look()
            size = measure_database(place)
            told.append((took, size))
            seconds = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in took.items())
            sys.stderr.write(f"night {night}: {seconds}, database {size / 2**20:,.0f} MiB\n")
            if night in (0, SETTLED):
                counted.append(count_kept(place))
            if night == 0 and rows:
                preload(place, int(rows))
        counted.append(count_kept(place))
        missing = find_missing(place)
        sizes = measure_blobs(place)
    settled, kept = counted[-2:]
    grown = find_growth(settled, kept, counted[0]) if nights > SETTLED else []
    last = max(told[-5:], key=lambda night: sum(night[0].values()))[0]
    shown = sorted({0, 1, KEPT, int(nights) // 2, int(nights) - 1} & set(range(int(nights))))
    columns = [*MOST_SECONDS, "prune"]
    lines = [
        ("stores, nights, nights of rows added", f"{int(stores):,}, {int(nights):,}, {int(rows):,}"),
        *(
            (
                f"night {night + 1}: {', '.join(columns)}; database",
                f"{', '.join(f'{told[night][0][what]:.2f} s' for what in columns)}; {told[night][1] / 2**20:,.0f} MiB",
            )
            for night in shown
        ),
        *(
            (f"{kind}, after {SETTLED + 1} nights and at last", f"{settled[kind]:,}, {kept[kind]:,}")
            for kind in kept
            if nights > SETTLED
        ),
        ("grew although nights went on", ", ".join(grown) or ("nothing" if nights > SETTLED + 1 else "not seen")),
        *((kind, size) for kind, size in sizes.items()),
        ("named by a retained manifest or an alias, and gone", f"{len(missing)}"),
    ]
    held = all(last[what] <= most for what, most in MOST_SECONDS.items()) and told[-1][1] <= MOST_BYTES
    held &= not missing and not grown
    return Outcome("nights", held, lines, "The last night was as quick as an early one, and nothing grew any more.")


def preload(place: Place, nights: int) -> None:
    """Add to MLflow's tables what so many nights would have, by copying the rows of the first."""
    begun = int(datetime.now(UTC).timestamp() * 1000)
    place.moments += [datetime.fromtimestamp((begun + night) / 1000, UTC) for night in range(1, nights + 1)]
    engine = create_engine(place.database)
    with engine.begin() as connection:
        for statement in PRELOADED:
            connection.execute(text(statement), {"nights": nights, "begun": begun})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
    entries = Reader(place.blobs).read_current().manifest.stores
    for night in range(1, place.keep):
        day = datetime.combine(FIRST + timedelta(days=night), datetime.min.time(), UTC)
        publisher = Publisher(place.blobs, keep_versions=place.keep, now=lambda day=day: day)
        made = {"generated_at": place.moments[0] + timedelta(milliseconds=night)}
        publisher.publish({store: entry.model_copy(update=made) for store, entry in entries.items()}, by="preload")


def leave_night(place: Place, night: int, stores: list[str]) -> None:
    """Leave the objects of a night that no retained version names any more."""
    run = f"forgotten-{night}"
    write_training(place.folder / run, place.settings, run, {store: {} for store in stores}, more=_make_tables)


def measure_blobs(place: Place) -> dict[str, str]:
    """Return how many blobs there are, and their bytes, of each kind."""
    found: dict[str, list[int]] = {}
    for info in place.blobs.list():
        found.setdefault("/".join(info.name.split("/")[:2]), []).append(info.size)
    return {f"{kind}: blobs, size": f"{len(each):,}, {sum(each) / 2**20:,.1f} MiB" for kind, each in found.items()}
