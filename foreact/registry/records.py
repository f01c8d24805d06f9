"""What goes into the registry and what comes back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from foreact.errors import ForeactError
from foreact.naming import encode_id

CHAMPION = "champion"
# Tags of a version; CHECKSUM is that of the packed model.
STORE, RUN, AS_OF, CHECKSUM = "foreact.store", "foreact.run", "foreact.as_of", "foreact.sha256"
PROMOTED = "foreact.promoted"
# Where MLflow's pages look for a run's description.
NOTE = "mlflow.note.content"
# MLflow takes no run's name much longer.
LONGEST_NAME = 200
# The model's files as one, in the folder that its version points at.
PACKED = "model.zip"
# How the release before named it, by its store; its version points at it.
PACKED_BEFORE = ".zip"


# Among the stores' models, the chain's own: no store has an empty name.
CHAIN = ""
# The experiment of the runs that hold models, and how the names of the stores' models begin.
EXPERIMENT, STORE_MODELS = "foreact", "foreact-"


def model_name(store: str) -> str:
    """Name a store's registered model, or the chain's."""
    return f"{STORE_MODELS}{encode_id(store)}" if store else "foreact.chain"


def model_folder(name: str) -> str:
    """Name the folder of a registered model's files within the run that made a version of it."""
    return f"models/{name.removeprefix(STORE_MODELS)}" if name.startswith(STORE_MODELS) else "chain"


def describe_model(store: str) -> str:
    """Return what a registered model's page says first."""
    whose = f"Forecasts store {store}" if store else "Has a say in the forecasts of all stores"
    return f"{whose}. The version with the alias `{CHAMPION}` is live; every other was refused, or is older."


def artifact_name(store: str) -> str:
    """Name a store's packed model, or the chain's, within the run that made it."""
    return f"{model_folder(model_name(store))}/{PACKED}"


@dataclass(frozen=True)
class Candidate:
    """A trained model to be registered."""

    store: str
    # Returns its files by name when its turn comes: the packed model, and what lies beside it.
    read_files: Callable[[], dict[str, bytes]]
    promoted: bool
    as_of: str
    tags: dict[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class NewVersion:
    """What is told of a model whose files are in the registry already."""

    store: str
    name: str
    # Where its files are, and the MLflow run that holds them.
    source: str
    mlflow_run: str
    tags: dict[str, str]
    description: str | None


@dataclass(frozen=True)
class Moment:
    """Where figures belong on a chart: the last date of their data, and when they were made."""

    as_of: date
    made_at: datetime

    @property
    def step(self) -> int:
        """The number of the date, so that the nights of a chart stand as far apart as they were."""
        return (self.as_of - date(1970, 1, 1)).days

    @property
    def timestamp(self) -> int:
        """The time in milliseconds; a step that runs again has the same, so that MLflow keeps one point."""
        return int(self.made_at.timestamp() * 1000)


@dataclass(frozen=True)
class RunNotes:
    """What MLflow's pages show of a run."""

    name: str
    description: str
    parameters: dict[str, str]
    figures: dict[str, float]
    moment: Moment
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """What is added to a version's description and tags."""

    text: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Champion:
    """The version that carries a store's alias."""

    # The store that its tags name.
    store: str
    name: str
    version: str
    run: str
    as_of: str
    sha256: str
    # MLflow's own run, which holds the model.
    mlflow_run: str
    # Its packed model within that run.
    file: str


def read_version(version: Any) -> Champion:
    """Return what MLflow says of a version."""
    tags = version.tags
    return Champion(
        store=tags.get(STORE, ""),
        name=version.name,
        version=str(version.version),
        run=tags.get(RUN, version.run_id),
        as_of=tags.get(AS_OF, ""),
        sha256=tags.get(CHECKSUM, ""),
        mlflow_run=version.run_id,
        file=_find_file(version),
    )


def _find_file(version: Any) -> str:
    """Return where a version's packed model lies in its run; the release before named it by the store alone."""
    store = version.tags.get(STORE, "")
    file = Path(urlsplit(version.source or "").path).name
    return f"models/{file}" if file.endswith(PACKED_BEFORE) else artifact_name(store)


@dataclass(frozen=True)
class LoadedModel:
    """A packed model, or why it cannot be used."""

    # None: it is not registered yet.
    version: str | None
    # The run that trained it.
    run: str
    packed: bytes = b""
    problem: str = ""


class RegisteredStore(BaseModel):
    """What the registry knows of a store after a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    # The run that trained the model that made the numbers to be published; empty: a baseline did.
    run: str
    # Its version; None: a baseline's, or not registered yet.
    version: str | None
    # The version that this run registered, live or not; None: no model could be trained, or the registry was away.
    registered: str | None
    promoted: bool


class Versions(BaseModel):
    """What the register step passes to the publish step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    stores: dict[str, RegisteredStore]
    # The chain's model that had a say in the numbers.
    chain: RegisteredStore | None = None

    @classmethod
    def read(cls, path: Path) -> "Versions":
        """Read what `write` wrote."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write the versions to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1), encoding="utf-8")


class UnusableModel(ForeactError):
    """A model is gone, or is not, byte for byte, what was registered."""
