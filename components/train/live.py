"""What is live for each store before a training: its champion, and what was published."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from foreact.errors import ForeactError
from foreact.settings import PipelineSettings

# How long ago the publications were made that are held against what has come since: a short and some longer leads.
SCORED_AGES = (1, 7, 14, 28)


@dataclass(frozen=True)
class Live:
    """What was live for one store."""

    champion_version: str | None = None
    # The champion's files, by name.
    champion: dict[str, bytes] = field(default_factory=dict)
    # Why the champion cannot be used; empty while it can.
    problem: str = ""
    # What was published, as Parquet, by the last day that it had seen.
    previous: dict[date, bytes] = field(default_factory=dict)


def make_live_finder(settings: PipelineSettings) -> Callable[[list[str], date], dict[str, Live]]:
    """Look in the registry and among the publications of a place."""

    def find(stores: list[str], as_of: date) -> dict[str, Live]:
        previous = _find_previous(stores, as_of, settings)
        with tempfile.TemporaryDirectory() as scratch:
            champions = _load_champions(stores, settings, Path(scratch))
            return {store: replace(champions.get(store, Live()), previous=previous.get(store, {})) for store in stores}

    return find


def _load_champions(stores: list[str], settings: PipelineSettings, scratch: Path) -> dict[str, Live]:
    from foreact.registry import Registry

    loaded = Registry.connect(settings).load_champions(stores, scratch)
    return {store: Live(each.version, _read_files(each.folder), each.problem) for store, each in loaded.items()}


def _read_files(folder: Path | None) -> dict[str, bytes]:
    if folder is None:
        return {}
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _find_previous(stores: list[str], as_of: date, settings: PipelineSettings) -> dict[str, dict[date, bytes]]:
    """Return, for each age, the youngest publication at least that old; a damaged one is no reason to stop."""
    from foreact.blobs import connect
    from foreact.publications import Reader

    reader = Reader(connect(settings))
    wanted = set(stores)
    found: dict[str, dict[date, bytes]] = {store: {} for store in stores}
    for manifest in reader.history(retained=True):
        for store in wanted & manifest.stores.keys():
            entry = manifest.stores[store]
            ages = [age for age in SCORED_AGES if entry.as_of <= as_of - timedelta(days=age)]
            if len(ages) > len(found[store]) and entry.as_of not in found[store]:
                try:
                    found[store][entry.as_of] = reader.read(entry.objects["forecasts"])
                except ForeactError:
                    continue
        wanted = {store for store in wanted if len(found[store]) < len(SCORED_AGES)}
        if not wanted:
            break
    return found
