"""What is live for each store before a training: its champion and its latest publications."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreact.errors import ForeactError
from foreact.settings import PipelineSettings

if TYPE_CHECKING:
    from foreact.forecasting import ChainModel

# Ages in days of the publications that are compared with the actuals since: a short and some longer leads.
SCORED_AGES = (1, 7, 14, 28)


@dataclass(frozen=True)
class LiveStore:
    """The champion and the publications that are live for one store."""

    champion_version: str | None = None
    # The champion's files, by name.
    champion: dict[str, bytes] = field(default_factory=dict)
    # Why the champion cannot be used; empty while it can.
    problem: str = ""
    # Earlier forecasts as published, in Parquet, by their last day of data.
    previous: dict[date, bytes] = field(default_factory=dict)

    def list_columns(self) -> set[str]:
        """Return the names of the columns that the champion uses; none for one that cannot be read."""
        from foreact.forecasting.inputs.columns import Columns

        try:
            return Columns.from_json(json.loads(self.champion["model.json"])["columns"]).list_names()
        except (KeyError, ValueError, TypeError):
            return set()


@dataclass(frozen=True)
class LiveChain:
    """The chain's live model and its version, or why there is none."""

    model: "ChainModel | None" = None
    # None: fitted by this run, and not registered yet.
    version: str | None = None
    problem: str = ""


def find_live_chain(settings: PipelineSettings) -> LiveChain:
    """Return the chain's live model from the registry."""
    from foreact.forecasting import ChainModel
    from foreact.registry import CHAIN, Registry

    with tempfile.TemporaryDirectory() as scratch:
        loaded = Registry.connect(settings).load_champions([CHAIN], Path(scratch)).get(CHAIN)
        if loaded is None or loaded.folder is None:
            return LiveChain(problem="" if loaded is None else loaded.problem)
        try:
            return LiveChain(ChainModel.load(loaded.folder), loaded.version)
        except ForeactError as error:
            return LiveChain(problem=str(error))


def read_night(settings: PipelineSettings) -> dict[str, Any]:
    """Return the parameters of the last retrain-all that ended well; empty where none is known."""
    from foreact.blobs import connect
    from foreact.runs.ledger import RunLedger

    return RunLedger(connect(settings)).read_history().last_parameters.get("retrain-all", {})


def make_live_finder(settings: PipelineSettings) -> Callable[[list[str], date], dict[str, LiveStore]]:
    """Return a function that finds what is live in the registry and among the publications."""

    def find_live(stores: list[str], as_of: date) -> dict[str, LiveStore]:
        previous = _find_previous(stores, as_of, settings)
        with tempfile.TemporaryDirectory() as scratch:
            champions = _load_champions(stores, settings, Path(scratch))
            return {
                store: replace(champions.get(store, LiveStore()), previous=previous.get(store, {})) for store in stores
            }

    return find_live


def make_version_finder(settings: PipelineSettings, version: str) -> Callable[[list[str], date], dict[str, LiveStore]]:
    """Return a function that finds one registered version in place of what is live."""

    def find_version(stores: list[str], as_of: date) -> dict[str, LiveStore]:
        from foreact.registry import Registry

        registry, found = Registry.connect(settings), {}
        for store in stores:
            with tempfile.TemporaryDirectory() as scratch:
                registry.load_version(store, version, Path(scratch))
                found[store] = LiveStore(version, _read_files(Path(scratch)))
        return found

    return find_version


def _load_champions(stores: list[str], settings: PipelineSettings, scratch: Path) -> dict[str, LiveStore]:
    from foreact.registry import Registry

    loaded = Registry.connect(settings).load_champions(stores, scratch)
    return {store: LiveStore(each.version, _read_files(each.folder), each.problem) for store, each in loaded.items()}


def _read_files(folder: Path | None) -> dict[str, bytes]:
    if folder is None:
        return {}
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _find_previous(stores: list[str], as_of: date, settings: PipelineSettings) -> dict[str, dict[date, bytes]]:
    """Return, for each age, the newest publication that is at least that old, skipping damaged ones."""
    from foreact.blobs import connect
    from foreact.publications import Reader

    reader = Reader(connect(settings))
    remaining = set(stores)
    previous: dict[str, dict[date, bytes]] = {store: {} for store in stores}
    for manifest in reader.read_history(retained=True):
        for store in remaining & manifest.stores.keys():
            entry = manifest.stores[store]
            ages = [age for age in SCORED_AGES if entry.as_of <= as_of - timedelta(days=age)]
            if len(ages) > len(previous[store]) and entry.as_of not in previous[store]:
                try:
                    previous[store][entry.as_of] = reader.read_object(entry.objects["forecasts"])
                except ForeactError:
                    continue
        remaining = {store for store in remaining if len(previous[store]) < len(SCORED_AGES)}
        if not remaining:
            break
    return previous
