"""What a publication is: the manifest that readers follow, and the objects it names.

forecasts/manifest.json              the only mutable object, replaced by compare-and-swap
forecasts/manifests/<version>.json   every manifest that was current in FOREACT_KEEP_DAYS
forecasts/manifest-groups/<checksum>.json   the stores of a manifest of many, dealt to immutable groups that it names
forecasts/data/<run>/<store>.*       immutable objects, one of each kind a store; the outline says again what of the
                                     others has to be known of all stores at once, and whoever lacks it makes it anew
forecasts/data/<run>/models/         the models that made them, packed; the chain's is forecasts/data/<run>/chain.zip
forecasts/data/<run>/challengers/    new models that were refused, until the registry is told of them
forecasts/data/<run>/champions/      models that the run judged and that lay in the registry alone, for a day
forecasts/owed/<run>.json            what the model registry has yet to be told of a run; .problem beside it: why not
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from foreact.blobs.records import StoredRecord
from foreact.naming import encode_id
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, DRIVER, ITEM, MEAN, P10, P50, P90, STORE, UNITS

SCHEMA_VERSION = 3
# A manifest that holds its stores itself is what the release before writes and reads.
INLINE_SCHEMA = 2
CURRENT = "forecasts/manifest.json"
MANIFESTS = "forecasts/manifests/"
# The service may write what begins with forecasts/manifest, for it restores versions.
GROUPS = "forecasts/manifest-groups/"
DATA = "forecasts/data/"
OWED = "forecasts/owed/"

Kind = Literal["forecasts", "totals", "history", "drivers", "scorecard", "outline"]
SUFFIXES: dict[Kind, str] = {
    "forecasts": ".parquet",
    "totals": ".totals.parquet",
    "history": ".history.parquet",
    "drivers": ".drivers.parquet",
    "scorecard": ".scorecard.parquet",
    "outline": ".outline.arrow",
}
# A store is published with these, or not at all.
REQUIRED: tuple[Kind, ...] = ("forecasts", "totals")
# What rows of forecasts and totals have whatever else was asked for; all their columns: `StoreEntry.list_columns`.
FORECAST_COLUMNS = (STORE, ITEM, DATE, MEAN, P10, P50, P90)
TOTALS_COLUMNS = (STORE, DATE, MEAN, P10, P50, P90)
# Units of the last 8 weeks (of weekly data 32, of monthly 24 months) and of the same dates last year.
HISTORY_COLUMNS = (STORE, ITEM, DATE, UNITS)
# What moved the total against a normal week; adds up to it.
DRIVER_COLUMNS = (STORE, DATE, DRIVER, UNITS)
# The scorecard, how past forecasts did, has the fields of a Score.


def manifest_name(version: int) -> str:
    """Name the immutable copy of a manifest; the digits sort as the versions do."""
    return f"{MANIFESTS}{version:08d}.json"


def run_prefix(run: str) -> str:
    """Name the folder of a run's objects."""
    return f"{DATA}{encode_id(run)}/"


def object_name(run: str, store: str, kind: Kind) -> str:
    """Name one of a store's objects in a run."""
    return f"{run_prefix(run)}{encode_id(store)}{SUFFIXES[kind]}"


def packed_model_name(run: str, store: str) -> str:
    """Name the packed model that made a store's numbers in a run."""
    return f"{run_prefix(run)}models/{encode_id(store)}.zip"


def challenger_name(run: str, store: str) -> str:
    """Name the packed model that a run trained for a store and that does not make its numbers."""
    return f"{run_prefix(run)}challengers/{encode_id(store)}.zip"


def champion_name(run: str, sha256: str) -> str:
    """Name a packed model that a run judges and that lay in the registry alone."""
    return f"{run_prefix(run)}champions/{sha256}.zip"


def packed_chain_name(run: str) -> str:
    """Name the packed model of the chain that had a say in a run."""
    return f"{run_prefix(run)}chain.zip"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedObject(_Record):
    """One immutable object, and what its bytes are checked against."""

    name: str
    sha256: str
    size: int
    # 0: it is no table.
    rows: int = 0


class PublishedModel(_Record):
    """The model that made the numbers; a baseline has neither version nor run."""

    name: str
    # Its number in the registry; None: published before the registry had been told of it.
    version: str | None = None
    # The run that trained it, by which the registry knows it too; empty: published before that was noted.
    run: str = ""
    # Its files, packed; None: published before models lay beside the numbers.
    packed: PublishedObject | None = None

    def __str__(self) -> str:
        if self.version:
            return f"{self.name} version {self.version}"
        return f"{self.name} of run {self.run}" if self.run else "baseline"


class StoreTables(_Record):
    """The objects of one store, and what has to be known to read them."""

    # A publication from before there was another is daily.
    spacing: Spacing = Spacing.DAILY
    # The quantiles' names, from the lowest to the highest; none: published by schema version 1.
    quantiles: tuple[str, ...] = ()
    objects: dict[Kind, PublishedObject]

    @property
    def tables(self) -> dict[Kind, PublishedObject]:
        """Return the objects that have the store's numbers: all but the outline, which is made of them."""
        return {kind: each for kind, each in self.objects.items() if kind != "outline"}

    def list_quantiles(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of the quantiles that forecasts or totals have."""
        return self.quantiles or ((P10, P90) if kind == "totals" else (P10, P50, P90))

    def list_columns(self, kind: Kind) -> tuple[str, ...]:
        """Return the columns of forecasts or totals."""
        keys = (STORE, DATE) if kind == "totals" else (STORE, ITEM, DATE)
        return (*keys, MEAN, *self.list_quantiles(kind))


class StoreEntry(StoreTables):
    """All that is published for one store."""

    run: str
    # The newest period of sales, by the date that it bears.
    as_of: date
    generated_at: datetime
    # In periods of the spacing.
    horizon: int
    items: int
    model: PublishedModel
    # The chain's model that had a say; None: none had.
    chain: PublishedModel | None = None
    data_hash: str
    code_version: str
    # Backtest figures of the model that made these numbers: wape, bias, coverage, scaled_error, naive_wape ...
    accuracy: dict[str, float] = Field(default_factory=dict)
    # The experts' shares of the totals; they sum to 1.
    experts: dict[str, float] = Field(default_factory=dict)
    # What is the same for all of the store's rows: region, city ...
    attributes: dict[str, str] = Field(default_factory=dict)
    # Why these are not the numbers of a newly trained model; None if they are.
    fallback: str | None = None
    # Why newer numbers are held back, so that these, the last good ones, stay; None if these are the newest.
    held: str | None = None

    def list_objects(self) -> list[PublishedObject]:
        """Return all objects that the entry names, its models too."""
        models = (self.model, self.chain)
        packed = [model.packed for model in models if model is not None and model.packed is not None]
        return [*self.objects.values(), *packed]


class StoreGroup(_Record):
    """Some of the stores of a manifest: the object that has them, and what is known of them without reading it."""

    # Of its bytes, which it is named by.
    sha256: str
    count: int
    # The folders of the runs whose objects its stores name.
    runs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the object."""
        return f"{GROUPS}{self.sha256}.json"


def find_last_chain(entries: Iterable[StoreEntry]) -> PublishedModel | None:
    """Return the chain's model that had a say in the newest of some stores' numbers; None if none had."""
    newest = max(
        (entry for entry in entries if entry.chain is not None),
        key=lambda entry: (entry.as_of, entry.generated_at),
        default=None,
    )
    return newest.chain if newest else None


class Manifest(StoredRecord):
    """One version of everything published."""

    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "publication"

    schema_version: int = SCHEMA_VERSION
    version: int
    previous: int | None = None
    created_at: datetime
    created_by: str
    action: Literal["publish", "restore", "withdraw"] = "publish"
    reason: str = ""
    # The version that a restore made current again.
    restored: int | None = None
    # Nothing that this version or a later one names is ever deleted. It is raised in the same swap that makes a
    # version, so that pruning and restoring can never disagree on which versions are still whole.
    retained_from: int = 1
    # The last version of each of some days gone by: those stay whole too, however many came after them.
    retained_days: tuple[int, ...] = ()
    # A manifest of few stores has them itself; of many it has the groups, in which they are read when asked for.
    stores: Mapping[str, StoreEntry] = Field(default_factory=dict)
    # A store's place in this list follows from its name.
    groups: tuple[StoreGroup, ...] = ()
    # With groups: the chain's model that had a say last.
    chain: PublishedModel | None = None

    def list_retained(self) -> list[int]:
        """Return the versions whose objects are all kept, this one first and then the newest."""
        return sorted({*range(self.retained_from, self.version + 1), *self.retained_days}, reverse=True)

    def find_chain(self) -> PublishedModel | None:
        """Return the chain's model that had a say last; None if none had."""
        return self.chain if self.groups else find_last_chain(self.stores.values())
