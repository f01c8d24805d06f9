"""Registered models: a version per store and run, all files of a run uploaded together, the alias on the live one."""

import fcntl
import logging
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from foreact.errors import ForeactError
from foreact.naming import encode
from foreact.registry.client import SERVER_THREADS, display, for_each, make_client, missing, sqlite_uri, trouble
from foreact.registry.packing import checksum, pack, unpack
from foreact.registry.records import (
    AS_OF,
    CHAMPION,
    CHECKSUM,
    RUN,
    STORE,
    Candidate,
    Champion,
    TamperedModel,
    artifact_name,
    model_name,
)
from foreact.settings import PipelineSettings

log = logging.getLogger(__name__)
EXPERIMENT = "foreact"


class Registry:
    """The models of all stores in one MLflow."""

    def __init__(self, uri: str, *, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.place = display(uri)
        self.threads = SERVER_THREADS if uri.startswith("http") else 1
        # Where files go when there is no server to take them.
        self.artifacts = artifacts
        with self._alone(), trouble(self.place):
            self.client = make_client(uri)
            self.experiment = self._experiment()

    @classmethod
    def connect(cls, settings: PipelineSettings) -> "Registry":
        """Give the registry that the settings name, or SQLite in the workspace."""
        if settings.mlflow_uri:
            if "@" in urlsplit(settings.mlflow_uri).netloc:
                raise ForeactError(
                    f"FOREACT_MLFLOW_URI for {display(settings.mlflow_uri)} carries credentials: give them as "
                    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
                )
            return cls(settings.mlflow_uri)
        workspace = settings.workspace.absolute()
        try:
            workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ForeactError(f"Cannot make the workspace {workspace}: {error.strerror}.") from None
        return cls(sqlite_uri(workspace), artifacts=workspace / "mlflow-artifacts")

    def register(
        self,
        run: str,
        candidates: Sequence[Candidate],
        *,
        tags: dict[str, str] | None = None,
        metrics: dict[str, float] | None = None,
        told: Callable[[int], None] = lambda done: None,
    ) -> dict[str, str]:
        """Upload the models, make a version of each and set the alias on the promoted; give the versions by store.

        Doing it again for the same run completes what is missing and changes nothing else.
        """
        with trouble(self.place):
            mlflow_run = self._run(run, tags or {}, metrics or {})
            made = self._versions_of(mlflow_run.info.run_id)

            def place(candidate: Candidate) -> tuple[str, str]:
                version = made.get(model_name(candidate.store))
                if version is None:
                    version = self._make_version(candidate, run, mlflow_run)
                if candidate.promoted:
                    self._promote(candidate, version)
                return candidate.store, version

            versions = {}
            for store, version in for_each(place, candidates, self.threads):
                versions[store] = version
                told(len(versions))
            self.client.set_terminated(mlflow_run.info.run_id)
        return versions

    def champions(self, stores: Iterable[str]) -> dict[str, Champion]:
        """Give the live model of each store that has one."""
        with trouble(self.place):
            found = for_each(self._champion, list(stores), self.threads)
            return {champion.store: champion for champion in found if champion is not None}

    def load_champions(self, stores: Iterable[str], folder: Path) -> dict[str, tuple[str, Path]]:
        """Fetch each store's live model into a folder of its own, refused if tampered with; give version and folder."""
        champions = list(self.champions(stores).values())
        with trouble(self.place):
            sources = {run: self._files_of(run) for run in {champion.mlflow_run for champion in champions}}

        def fetch(champion: Champion) -> tuple[str, tuple[str, Path]]:
            with trouble(self.place), tempfile.TemporaryDirectory() as scratch:
                fetched = Path(scratch, "model.zip")
                # What MLflow's repositories implement; its public sibling would list the whole run for every file.
                sources[champion.mlflow_run]._download_file(artifact_name(champion.store), str(fetched))
                data = fetched.read_bytes()
            if checksum(data) != champion.sha256:
                raise TamperedModel(
                    f"{champion.name} version {champion.version} is not what was registered: it is not loaded; "
                    "register a new version, or set the alias champion to another one."
                )
            target = folder / encode(champion.store)
            unpack(data, target)
            return champion.store, (champion.version, target)

        return dict(for_each(fetch, champions, self.threads))

    def _files_of(self, mlflow_run: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(self.client.get_run(mlflow_run).info.artifact_uri, self.uri, self.uri)

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = self.artifacts.as_uri() if self.artifacts else None
        try:
            return str(self.client.create_experiment(EXPERIMENT, artifact_location=location))
        except Exception:
            # Another run may have made it meanwhile.
            found = self.client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
            return str(found.experiment_id)

    def _run(self, run: str, tags: dict[str, str], metrics: dict[str, float]) -> Any:
        quoted = run.replace("'", "")
        found = self.client.search_runs([self.experiment], f"tags.`{RUN}` = '{quoted}'", max_results=1)
        if found:
            return found[0]
        made = self.client.create_run(self.experiment, run_name=run, tags={**tags, RUN: quoted})
        from mlflow.entities import Metric

        self.client.log_batch(made.info.run_id, [Metric(key, value, 0, 0) for key, value in metrics.items()])
        return made

    def _versions_of(self, mlflow_run: str) -> dict[str, str]:
        versions: dict[str, str] = {}
        token = None
        while True:
            page = self.client.search_model_versions(f"run_id = '{mlflow_run}'", max_results=1000, page_token=token)
            versions |= {each.name: str(each.version) for each in page}
            token = page.token
            if not token:
                return versions

    def _make_version(self, candidate: Candidate, run: str, mlflow_run: Any) -> str:
        """Upload the model and make a version that points at it; no version ever points at nothing."""
        data = pack(candidate.folder)
        artifact = artifact_name(candidate.store)
        with tempfile.TemporaryDirectory() as scratch:
            packed = Path(scratch, Path(artifact).name)
            packed.write_bytes(data)
            self.client.log_artifact(mlflow_run.info.run_id, str(packed), str(Path(artifact).parent))
        name = model_name(candidate.store)
        source = f"{mlflow_run.info.artifact_uri}/{artifact}"
        tags = {
            **candidate.tags,
            STORE: candidate.store,
            RUN: run,
            AS_OF: candidate.as_of,
            CHECKSUM: checksum(data),
        }

        def make() -> str:
            made = self.client.create_model_version(
                name, source, mlflow_run.info.run_id, tags=tags, await_creation_for=0
            )
            return str(made.version)

        try:
            return make()
        except Exception as error:
            if not missing(error):
                raise
        try:
            self.client.create_registered_model(name, tags={STORE: candidate.store})
        except Exception as error:
            if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise
        return make()

    def _promote(self, candidate: Candidate, version: str) -> None:
        """Move the alias, but never back: neither to an earlier version nor to one of older data."""
        live = self._champion(candidate.store)
        if live is not None and (int(live.version) >= int(version) or live.as_of > candidate.as_of):
            log.info("%s: version %s stays champion beside %s", live.name, live.version, version)
            return
        self.client.set_registered_model_alias(model_name(candidate.store), CHAMPION, version)

    def _champion(self, store: str) -> Champion | None:
        try:
            found = self.client.get_model_version_by_alias(model_name(store), CHAMPION)
        except Exception as error:
            if missing(error):
                return None
            raise
        tags = found.tags
        if tags.get(STORE) != store:
            raise ForeactError(f"{found.name} version {found.version} belongs to another store: set its alias anew.")
        return Champion(
            store=store,
            name=found.name,
            version=str(found.version),
            run=tags.get(RUN, ""),
            as_of=tags.get(AS_OF, ""),
            sha256=tags.get(CHECKSUM, ""),
            mlflow_run=found.run_id,
        )

    @contextmanager
    def _alone(self) -> Any:
        """Let only one process at a time make the tables of a workspace's database."""
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
