"""What goes into the registry and what comes back."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from foreact.errors import ForeactError
from foreact.naming import encode_id

CHAMPION = "champion"
# Tags of a version; CHECKSUM is that of the packed model.
STORE, RUN, AS_OF, CHECKSUM = "foreact.store", "foreact.run", "foreact.as_of", "foreact.sha256"
PROMOTED = "foreact.promoted"


# Among the stores' models, the chain's own: no store has an empty name.
CHAIN = ""


def model_name(store: str) -> str:
    """Name a store's registered model, or the chain's."""
    return f"foreact-{encode_id(store)}" if store else "foreact.chain"


def artifact_name(store: str) -> str:
    """Name a store's packed model, or the chain's, within the run that made it."""
    return f"models/{encode_id(store)}.zip" if store else "chain/chain.zip"


@dataclass(frozen=True)
class Candidate:
    """A trained model to be registered."""

    store: str
    folder: Path
    promoted: bool
    as_of: str
    tags: dict[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class LoadedChampion:
    """A champion's files, or why it cannot be used."""

    version: str
    folder: Path | None = None
    problem: str = ""


class RegisteredStore(BaseModel):
    """What the registry knows of a store after a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    # The version that made the numbers to be published; None: a baseline, which has none.
    version: str | None
    # The version that this run registered, live or not; None: no model could be trained.
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


def dump_tag(value: object) -> str:
    """Write a tag's value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
