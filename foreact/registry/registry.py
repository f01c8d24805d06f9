"""Registered models: a version per store and run, all files of a run uploaded together, the alias on the live one."""

import fcntl
import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from foreact.errors import ForeactError
from foreact.packing import compute_checksum
from foreact.registry.client import (
    SERVER_THREADS,
    display_address,
    explain_mlflow_errors,
    is_missing,
    is_unknown,
    make_client,
    map_concurrently,
    reach_server,
    sqlite_uri,
)
from foreact.registry.figures import STORES_EXPERIMENT, log_series, make_metrics
from foreact.registry.files import fetch_model
from foreact.registry.pruning import Pruned, prune_registry
from foreact.registry.records import (
    AS_OF,
    CHAMPION,
    CHECKSUM,
    EXPERIMENT,
    LONGEST_NAME,
    NOTE,
    PACKED,
    PROMOTED,
    RUN,
    STORE,
    Candidate,
    Champion,
    LoadedModel,
    Moment,
    NewVersion,
    Note,
    RunNotes,
    UnusableModel,
    describe_model,
    model_folder,
    model_name,
    read_version,
)
from foreact.registry.tables import add_points, add_versions, find_champions
from foreact.settings import PipelineSettings

log = logging.getLogger(__name__)
# How many of a store's latest promoted versions are compared: more than there are runs at the same time.
PROMOTED_CONSIDERED = 10
# The error code of MLflow for one of two processes that set a model's first alias in the same instant.
ALIAS_RACE = "BAD_REQUEST"


class Registry:
    """The models of all stores in one MLflow."""

    def __init__(self, uri: str, *, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.address = display_address(uri)
        self.threads = SERVER_THREADS if uri.startswith("http") else 1
        # The folder for files when no server takes them.
        self.artifacts = artifacts
        with self._lock_database(), explain_mlflow_errors(self.address):
            self.client = make_client(uri)
            if uri.startswith("http"):
                reach_server(uri)
            self.experiment = self._ensure_experiment(EXPERIMENT)

    @classmethod
    def connect(cls, settings: PipelineSettings) -> "Registry":
        """Return the registry that the settings name, or SQLite in the workspace."""
        if settings.mlflow_uri:
            if "@" in urlsplit(settings.mlflow_uri).netloc:
                raise ForeactError(
                    f"FOREACT_MLFLOW_URI for {display_address(settings.mlflow_uri)} carries credentials: set them as "
                    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
                )
            return cls(settings.mlflow_uri)
        workspace = settings.workspace.absolute()
        try:
            workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ForeactError(f"Cannot create the workspace {workspace}: {error.strerror}.") from None
        return cls(sqlite_uri(workspace), artifacts=workspace / "mlflow-artifacts")

    def register_models(
        self,
        run: str,
        candidates: Sequence[Candidate],
        *,
        notes: RunNotes | None = None,
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> dict[str, str]:
        """Upload the models, make a version of each, set the alias on the promoted, and return the versions by store.

        Doing it again for the same run completes what is missing and changes nothing else.
        """
        with self._lock_database(), explain_mlflow_errors(self.address):
            mlflow_run = self._ensure_run(run, notes)
            existing = self._list_run_versions(mlflow_run.info.run_id)
            register = self._register_one_by_one if self.artifacts is None else self._register_together
            versions = register(candidates, run, mlflow_run, existing, on_progress)
            self.client.set_terminated(mlflow_run.info.run_id)
        return versions

    def _register_one_by_one(
        self,
        candidates: Sequence[Candidate],
        run: str,
        mlflow_run: Any,
        existing: Mapping[str, str],
        on_progress: Callable[[int], None],
    ) -> dict[str, str]:
        def register_candidate(candidate: Candidate) -> tuple[str, str]:
            champion = self._find_champion(candidate.store) if candidate.promoted else None
            version = existing.get(model_name(candidate.store))
            if version is None:
                first = candidate.promoted and champion is None
                version = self._make_version(self._upload_model(candidate, run, mlflow_run), is_first=first)
            if candidate.promoted:
                self._promote_newest(candidate.store, (candidate.as_of, int(version)), champion)
            return candidate.store, version

        versions = {}
        for store, version in map_concurrently(register_candidate, candidates, self.threads):
            versions[store] = version
            on_progress(len(versions))
        return versions

    def _register_together(
        self,
        candidates: Sequence[Candidate],
        run: str,
        mlflow_run: Any,
        existing: Mapping[str, str],
        on_progress: Callable[[int], None],
    ) -> dict[str, str]:
        """Register in a workspace: all files first, then all rows at once."""
        there, uploaded = {}, []
        for done, candidate in enumerate(candidates, 1):
            version = existing.get(model_name(candidate.store))
            if version is None:
                uploaded.append(self._upload_model(candidate, run, mlflow_run))
            else:
                there[candidate.store] = version
            on_progress(done)
        promoted = {each.store: each.as_of for each in candidates if each.promoted}
        return add_versions(self.uri, uploaded, there, promoted)

    def promote_version(self, store: str, version: str, note: Note) -> None:
        """Set the alias on a version that somebody chose, and add why to what its page says."""
        name = model_name(store)
        with self._lock_database(), explain_mlflow_errors(self.address):
            found = self.client.get_model_version(name, version)
            for tag, text in {**note.tags, PROMOTED: "true"}.items():
                self.client.set_model_version_tag(name, version, tag, text)
            before = found.description or ""
            if note.text not in before:
                self.client.update_model_version(name, version, description=f"{before}\n\n{note.text}".strip())
            self._set_alias(name, version)

    def chart_figures(self, figures: Mapping[str, Mapping[str, float]], moment: Moment) -> None:
        """Add each store's figures to those of the nights before; the whole chain's have no store's id."""
        with self._lock_database(), explain_mlflow_errors(self.address):
            experiment = self._ensure_experiment(STORES_EXPERIMENT)
            if self.artifacts is None:
                log_series(self.client, experiment, figures, moment, self.threads)
            else:
                add_points(self.uri, experiment, figures, moment)

    def prune(self, find_named: Callable[[], Set[tuple[str, str]]], before: datetime) -> Pruned | None:
        """Delete what a workspace's registry may forget; None for a server's, whose tables are out of reach here."""
        if self.artifacts is None:
            return None
        named = find_named()
        with self._lock_database():
            return prune_registry(self.uri, self.artifacts.as_uri(), named=named, before=before)

    def find_champions(self, stores: Iterable[str]) -> dict[str, Champion]:
        """Return the version that carries the alias for each store that has one."""
        stores = list(stores)
        with explain_mlflow_errors(self.address):
            if self.artifacts is not None:
                return find_champions(self.uri, stores)
            champions = map_concurrently(self._find_champion, stores, self.threads)
            return {store: champion for store, champion in zip(stores, champions, strict=True) if champion is not None}

    def load_version(self, store: str, version: str) -> LoadedModel:
        """Return one version's packed model, or raise for one that is lost or changed."""
        with explain_mlflow_errors(self.address):
            try:
                found = read_version(self.client.get_model_version(model_name(store), version))
            except Exception as error:
                if is_missing(error):
                    raise ForeactError(f"{model_name(store)} has no version {version!r} in {self.address}.") from None
                raise
            data = fetch_model(store, found, self._open_run_files(found.mlflow_run))
        return LoadedModel(found.version, found.run, data)

    def load_champions(self, stores: Iterable[str]) -> dict[str, LoadedModel]:
        """Return each store's packed live model, or why it is lost or changed."""
        return self.load_models(self.find_champions(stores))

    def load_models(self, champions: Mapping[str, Champion]) -> dict[str, LoadedModel]:
        """Return the packed models of stores' champions, or why each is lost or changed."""
        with explain_mlflow_errors(self.address):
            sources = {
                run: self._open_run_files(run) for run in {champion.mlflow_run for champion in champions.values()}
            }

        def load_champion(store_and_champion: tuple[str, Champion]) -> tuple[str, LoadedModel]:
            store, champion = store_and_champion
            try:
                with explain_mlflow_errors(self.address):
                    data = fetch_model(store, champion, sources[champion.mlflow_run])
            except UnusableModel as error:
                log.warning("%s", error)
                return store, LoadedModel(champion.version, champion.run, problem=str(error))
            return store, LoadedModel(champion.version, champion.run, data)

        return dict(map_concurrently(load_champion, champions.items(), self.threads))

    def _open_run_files(self, mlflow_run: str) -> Any:
        """Return the repository of a run's files; None if the run itself is gone."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            artifact_uri = self.client.get_run(mlflow_run).info.artifact_uri
        except Exception as error:
            if is_missing(error):
                return None
            raise
        return get_artifact_repository(artifact_uri, self.uri, self.uri)

    def _ensure_experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = self.artifacts.as_uri() if self.artifacts else None
        try:
            return str(self.client.create_experiment(name, artifact_location=location))
        except Exception:
            # Another run may have created it meanwhile.
            experiment = self.client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _ensure_run(self, run: str, notes: RunNotes | None) -> Any:
        quoted = run.replace("'", "")
        runs = self.client.search_runs([self.experiment], f"tags.`{RUN}` = '{quoted}'", max_results=1)
        if runs:
            return runs[0]
        if notes is None:
            return self.client.create_run(self.experiment, run_name=run, tags={RUN: quoted})
        from mlflow.entities import Param

        tags = {**notes.tags, RUN: quoted, NOTE: notes.description}
        mlflow_run = self.client.create_run(self.experiment, run_name=notes.name[:LONGEST_NAME], tags=tags)
        self.client.log_batch(
            mlflow_run.info.run_id,
            metrics=make_metrics(notes.figures, notes.moment),
            params=[Param(name, text) for name, text in notes.parameters.items()],
        )
        return mlflow_run

    def _list_run_versions(self, mlflow_run: str) -> dict[str, str]:
        versions: dict[str, str] = {}
        token = None
        while True:
            page = self.client.search_model_versions(f"run_id = '{mlflow_run}'", max_results=1000, page_token=token)
            versions |= {each.name: str(each.version) for each in page}
            token = page.token
            if not token:
                return versions

    def _upload_model(self, candidate: Candidate, run: str, mlflow_run: Any) -> NewVersion:
        """Upload the model, and return the version that is to point at it: none ever points at nothing."""
        files = candidate.read_files()
        name = model_name(candidate.store)
        folder = model_folder(name)
        with tempfile.TemporaryDirectory() as scratch:
            for file, data in files.items():
                Path(scratch, file).write_bytes(data)
            self.client.log_artifacts(mlflow_run.info.run_id, scratch, folder)
        tags = {
            **candidate.tags,
            STORE: candidate.store,
            RUN: run,
            AS_OF: candidate.as_of,
            PROMOTED: str(candidate.promoted).lower(),
            CHECKSUM: compute_checksum(files[PACKED]),
        }
        return NewVersion(
            store=candidate.store,
            name=name,
            source=f"{mlflow_run.info.artifact_uri}/{folder}",
            mlflow_run=mlflow_run.info.run_id,
            tags=tags,
            description=candidate.description or None,
        )

    def _make_version(self, new: NewVersion, *, is_first: bool) -> str:
        """Make a version; a store's first after its registered model, which saves asking for what is not there."""

        def create_version() -> str:
            version = self.client.create_model_version(
                new.name,
                new.source,
                new.mlflow_run,
                tags=new.tags,
                description=new.description,
                await_creation_for=0,
            )
            return str(version.version)

        if not is_first:
            try:
                return create_version()
            except Exception as error:
                if not is_unknown(error):
                    raise
        try:
            self.client.create_registered_model(
                new.name, tags={STORE: new.store}, description=describe_model(new.store)
            )
        except Exception as error:
            if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise
        return create_version()

    def _promote_newest(self, store: str, promoted: tuple[str, int], champion: Champion | None) -> None:
        """Move the alias to the promoted version of the newest data, never back, and look again after each move.

        A promoted version is its date of data and its number; the champion is that of a moment ago.
        MLflow moves an alias unconditionally. So the process that moved it last looks again, sees what others have
        registered meanwhile, and corrects what it has overwritten.
        """
        name = model_name(store)
        live = (champion.as_of, int(champion.version)) if champion and champion.store == store else ("", 0)
        newest = max(live, promoted)
        while True:
            if newest != live:
                self._set_alias(name, str(newest[1]))
                live = newest
            newest = max(live, *self._list_promoted(name))
            if newest == live:
                return

    def _set_alias(self, name: str, version: str) -> None:
        try:
            self.client.set_registered_model_alias(name, CHAMPION, version)
        except Exception as error:
            if getattr(error, "error_code", "") != ALIAS_RACE:
                raise
            # The alias that was not there a moment ago is there now, and can be moved.
            self.client.set_registered_model_alias(name, CHAMPION, version)

    def _list_promoted(self, name: str) -> list[tuple[str, int]]:
        """Return the date of the data and the number of each of a model's latest promoted versions."""
        filter_ = f"name = '{name}' and tags.`{PROMOTED}` = 'true'"
        versions = self.client.search_model_versions(
            filter_, max_results=PROMOTED_CONSIDERED, order_by=["version_number DESC"]
        )
        return [(each.tags.get(AS_OF, ""), int(each.version)) for each in versions]

    def _find_champion(self, store: str) -> Champion | None:
        try:
            version = self.client.get_model_version_by_alias(model_name(store), CHAMPION)
        except Exception as error:
            if is_unknown(error):
                return None
            raise
        return read_version(version)

    @contextmanager
    def _lock_database(self) -> Any:
        """Let only one process at a time write to a workspace's database."""
        if self.artifacts is None:
            yield
            return
        try:
            self.artifacts.mkdir(parents=True, exist_ok=True)
            lock = (self.artifacts.parent / "mlflow.lock").open("ab")
        except OSError as error:
            raise ForeactError(f"Cannot write in {self.artifacts.parent}: {error.strerror}.") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
