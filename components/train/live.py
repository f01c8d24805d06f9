"""What is live for each store before a training: its champion and its latest publications."""

import io
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from components.train.worker import RegisteredModel
from foreact.errors import ForeactError
from foreact.packing import compute_checksum
from foreact.publications.contract import PublishedObject, champion_name
from foreact.publications.objects import put_object
from foreact.settings import PipelineSettings

if TYPE_CHECKING:
    from foreact.blobs import BlobStore
    from foreact.data.dataset.stored import Dataset
    from foreact.forecasting import ChainModel
    from foreact.publications import PublishedModel, Reader
    from foreact.registry import LoadedModel

log = logging.getLogger(__name__)
# Models that are looked into at once.
THREADS = 16


@dataclass(frozen=True)
class LiveStore:
    """The champion and the publications that are live for one store."""

    # None: the registry has yet to be told of it.
    champion_version: str | None = None
    # The run that trained it.
    champion_run: str = ""
    # Where the champion's files lie, packed; or they themselves, where the registry alone has them.
    champion: PublishedObject | bytes = b""
    # Why the champion cannot be used; empty while it can.
    problem: str = ""
    # Earlier forecasts as published, by their last day of data.
    previous: dict[date, PublishedObject] = field(default_factory=dict)
    # Those that it is published with.
    attributes: Mapping[str, str] = field(default_factory=dict)

    def lay_down(self, blobs: "BlobStore", run: str) -> RegisteredModel | None:
        """Return the champion with where its files lie, which are written there if the registry alone has them."""
        packed = self.champion
        if isinstance(packed, bytes):
            if not packed:
                return None
            packed = put_object(blobs, champion_name(run, compute_checksum(packed)), packed)
        return RegisteredModel(self.champion_version, self.champion_run, packed)

    def list_columns(self, blobs: "BlobStore") -> set[str]:
        """Return the names of the columns that the champion uses; none for one that cannot be read."""
        from foreact.forecasting.inputs.columns import Columns
        from foreact.publications import BrokenPublication, Reader

        try:
            packed = self.champion if isinstance(self.champion, bytes) else Reader(blobs).read_object(self.champion)
            with zipfile.ZipFile(io.BytesIO(packed)) as files:
                return Columns.from_json(json.loads(files.read("model.json"))["columns"]).list_names()
        except (BrokenPublication, zipfile.BadZipFile, KeyError, ValueError, TypeError):
            return set()


def find_lost_columns(data: "Dataset", live: Mapping[str, LiveStore]) -> dict[str, list[str]]:
    """Return the columns that models go by and the data lacks, by store, for the stores where there are any."""
    given = {column.name for column in data.info.columns}
    blobs = data.place.connect()
    with ThreadPoolExecutor(THREADS) as pool:
        columns = pool.map(lambda each: each.list_columns(blobs), live.values())
        lost = {store: sorted(names - given) for store, names in zip(live, columns, strict=True)}
    return {store: names for store, names in lost.items() if names}


@dataclass(frozen=True)
class LiveChain:
    """The chain's live model, its version and the run that fitted it, or why there is none."""

    model: "ChainModel | None" = None
    # Neither version nor run: fitted by this run.
    version: str | None = None
    run: str = ""
    packed: bytes = b""
    problem: str = ""


def find_live_chain(settings: PipelineSettings) -> LiveChain:
    """Return the chain's live model."""
    from foreact.registry import CHAIN

    return _make_live_chain(_find_live_models([CHAIN], settings).get(CHAIN), settings)


def find_published_chain(settings: PipelineSettings) -> LiveChain:
    """Return the chain's model that lies beside the publication."""
    from foreact.registry import CHAIN

    return _make_live_chain(_find_published_models([CHAIN], settings).get(CHAIN), settings)


def _make_live_chain(found: LiveStore | None, settings: PipelineSettings) -> LiveChain:
    from foreact.forecasting import ChainModel
    from foreact.packing import unpacked
    from foreact.publications import Reader

    if found is None or not found.champion:
        return LiveChain(problem="" if found is None else found.problem)
    try:
        packed = found.champion
        if isinstance(packed, PublishedObject):
            packed = Reader.connect(settings).read_object(packed)
        with unpacked(packed) as folder:
            return LiveChain(ChainModel.load(folder), found.champion_version, found.champion_run, packed)
    except ForeactError as error:
        return LiveChain(problem=str(error))


def read_night(settings: PipelineSettings) -> dict[str, Any]:
    """Return the parameters of the last retrain-all that ended well; empty where none is known."""
    from foreact.blobs import connect
    from foreact.blobs.records import NewerRecord
    from foreact.runs.ledger import RunLedger

    try:
        return RunLedger(connect(settings)).read_history().last_parameters.get("retrain-all", {})
    except NewerRecord as error:
        # A release that went back needs its nights all the same.
        log.warning("%s", error)
        return {}


def make_live_finder(settings: PipelineSettings) -> Callable[[list[str], date], dict[str, LiveStore]]:
    """Return a function that finds what is live in the registry and among the publications."""

    def find_live(stores: list[str], as_of: date) -> dict[str, LiveStore]:
        from components.train.earlier import find_earlier
        from foreact.publications import Reader

        previous = find_earlier(Reader.connect(settings), stores, as_of)
        attributes = _find_attributes(settings, stores)
        live = _find_live_models(stores, settings)
        return {
            store: replace(
                live.get(store, LiveStore()),
                previous=previous.get(store, {}),
                attributes=attributes.get(store, {}),
            )
            for store in stores
        }

    return find_live


def make_published_model_finder(settings: PipelineSettings) -> Callable[[list[str], date], dict[str, LiveStore]]:
    """Return a function that finds the models that lie beside the publication, whatever the registry says."""

    def find_published(stores: list[str], as_of: date) -> dict[str, LiveStore]:
        return _find_published_models(stores, settings)

    return find_published


def make_version_finder(settings: PipelineSettings, version: str) -> Callable[[list[str], date], dict[str, LiveStore]]:
    """Return a function that finds one registered version in place of what is live."""

    def find_version(stores: list[str], as_of: date) -> dict[str, LiveStore]:
        from foreact.registry import Registry

        registry = Registry.connect(settings)
        return {store: _make_live(registry.load_version(store, version)) for store in stores}

    return find_version


def _make_live(loaded: "LoadedModel") -> LiveStore:
    return LiveStore(loaded.version, loaded.run, loaded.packed, loaded.problem)


def _find_live_models(stores: list[str], settings: PipelineSettings) -> dict[str, LiveStore]:
    """Return the live models of stores, or the chain's: the registry's, or what was published where it does not know.

    It does not while it is away, and while it has yet to be told of the run that trained a published model. What it
    has and is published too is not read there.
    """
    from foreact.publications import Reader
    from foreact.registry import Registry, RegistryUnavailable
    from foreact.runs.owed import list_owed, owed_name

    reader = Reader.connect(settings)
    published = _list_published_models(reader, stores)
    owed = set(list_owed(reader.store))
    unknown = [store for store, model in published.items() if owed_name(model.run) in owed]
    known: dict[str, LiveStore] = {}
    try:
        registry = Registry.connect(settings)
        champions = registry.find_champions([store for store in stores if store not in unknown])
        for store, champion in champions.items():
            packed = published[store].packed if store in published else None
            # Byte for byte what lies beside the publication.
            if packed is not None and packed.sha256 == champion.sha256:
                known[store] = LiveStore(champion.version, champion.run, packed)
        alone = {store: champion for store, champion in champions.items() if store not in known}
        known |= {store: _make_live(each) for store, each in registry.load_models(alone).items()}
    except RegistryUnavailable as error:
        log.warning("live models are those of the publication: %s", error)
        known, unknown = {}, list(published)
    return known | {store: _make_published(published[store]) for store in unknown}


def _find_published_models(stores: list[str], settings: PipelineSettings) -> dict[str, LiveStore]:
    from foreact.publications import Reader

    published = _list_published_models(Reader.connect(settings), stores)
    return {store: _make_published(model) for store, model in published.items()}


def _list_published_models(reader: "Reader", stores: list[str]) -> "Mapping[str, PublishedModel]":
    """Return the models of the stores' published numbers; for the chain, of the numbers that it had a part in last."""
    from foreact.publications import pick_stores
    from foreact.registry import CHAIN

    publication = reader.find_current()
    # The chain's model is no store's.
    named = [store for store in stores if store != CHAIN]
    entries = pick_stores(publication.manifest.stores, named) if publication else {}
    found = {store: entry.model for store, entry in entries.items()}
    if CHAIN in stores and (chain := _find_last_chain(reader)):
        found[CHAIN] = chain
    return {store: model for store, model in found.items() if model.version or model.run}


def _find_last_chain(reader: "Reader") -> "PublishedModel | None":
    # A publication that looks further ahead than the chain's model goes without it, and does not end it.
    return next(filter(None, (manifest.find_chain() for manifest in reader.read_history(retained=True))), None)


def _make_published(model: "PublishedModel") -> LiveStore:
    if model.packed is None:
        problem = f"The live model, {model}, lies in the registry alone, which does not answer."
        return LiveStore(model.version, model.run, problem=problem)
    return LiveStore(model.version, model.run, model.packed)


def _find_attributes(settings: PipelineSettings, stores: list[str]) -> dict[str, Mapping[str, str]]:
    from foreact.publications import Reader, pick_stores

    publication = Reader.connect(settings).find_current()
    entries = pick_stores(publication.manifest.stores, stores) if publication else {}
    return {store: entry.attributes for store, entry in entries.items()}
