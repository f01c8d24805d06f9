"""Register the models of a training and record which version makes each store's numbers."""

from dataclasses import dataclass
from pathlib import Path

from components.register.notes import (
    describe_run,
    describe_version,
    list_run_figures,
    list_store_figures,
    list_version_tags,
)
from components.register.summary import summarize_decisions
from foreact.data.dataset.parcel import ParcelInfo
from foreact.registry import CHAIN, Candidate, RegisteredStore, Registry, Versions, model_name
from foreact.registry.pyfunc import MLMODEL, describe_flavor
from foreact.runs.events import Events
from foreact.runs.trained import Trained, TrainedFolder, TrainedStore
from foreact.settings import PipelineSettings


@dataclass(frozen=True)
class Registered:
    """What the run page shows."""

    versions: Versions
    summary: str
    metrics: dict[str, float]


def register(
    *,
    trained: Path,
    versions: Path,
    run: str,
    settings: PipelineSettings,
    pipeline: str = "",
    store: str = "",
    code_version: str = "",
    parent_run: str = "",
    events: Events,
) -> Registered:
    """Register every model of the training, rejected challengers too, and write each store's version.

    The run's and the stores' figures go to MLflow with them; the averages of a run over one store are its own.
    """
    with events.step("register"):
        folder = TrainedFolder(trained)
        record = folder.read_record()
        registry = Registry.connect(settings)
        notes = describe_run(record, pipeline=pipeline, store=store, code_version=code_version, parent_run=parent_run)
        registered: dict[str, str] = {}
        if folder.chain_folder.is_dir():
            # First, because the stores' versions name it.
            registered = registry.register_models(
                run, [_make_chain_candidate(folder, record, code_version)], notes=notes
            )
        chain = _choose_chain(record, registered)
        candidates = [
            _make_candidate(folder, record, each, code_version, chain)
            for each in record.stores.values()
            if folder.model_folder(each.store).is_dir()
        ]
        registered |= registry.register_models(
            run,
            candidates,
            notes=notes,
            on_progress=lambda done: events.progress("register", done, len(candidates)),
        )
        figures = {each.store: list_store_figures(each) for each in record.stores.values()}
        if not store:
            figures[CHAIN] = list_run_figures(record)
        registry.chart_figures(figures, notes.moment)
        result = Versions(
            run=run,
            stores={each.store: _choose_version(each, registered) for each in record.stores.values()},
            chain=chain,
        )
        result.write(versions)
    return Registered(result, summarize_decisions(record, result), record.count_outcomes())


def _make_candidate(
    folder: TrainedFolder, record: Trained, store: TrainedStore, code_version: str, chain: RegisteredStore | None
) -> Candidate:
    reading = ParcelInfo.model_validate_json(folder.reading_path(store.store).read_bytes())
    chain_version = None if chain is None else chain.version
    return Candidate(
        store=store.store,
        folder=folder.model_folder(store.store),
        promoted=store.goes_live,
        as_of=record.as_of.isoformat(),
        tags=list_version_tags(store, code_version),
        description=describe_version(record, store),
        beside={MLMODEL: describe_flavor(reading, quantiles=record.quantiles, chain_version=chain_version)},
    )


def _make_chain_candidate(folder: TrainedFolder, record: Trained, code_version: str) -> Candidate:
    tags = {"foreact.code_version": code_version}
    return Candidate(
        CHAIN, folder.chain_folder, promoted=record.chain_goes_live, as_of=record.as_of.isoformat(), tags=tags
    )


def _choose_version(store: TrainedStore, registered: dict[str, str]) -> RegisteredStore:
    version = registered.get(store.store)
    promoted = store.goes_live and version is not None
    return RegisteredStore(
        name=model_name(store.store),
        version=version if promoted else store.champion_version,
        registered=version,
        promoted=promoted,
    )


def _choose_chain(record: Trained, registered: dict[str, str]) -> RegisteredStore | None:
    """Return the version of the chain's model that had a say: registered just now, or live before."""
    if record.chain is None:
        return None
    version = registered.get(CHAIN)
    return RegisteredStore(
        name=model_name(CHAIN),
        version=version or record.chain.version,
        registered=version,
        promoted=version is not None and record.chain_goes_live,
    )
