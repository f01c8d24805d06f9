"""Register the models of a training and record which version makes each store's numbers."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from components.register.notes import (
    describe_promotion,
    describe_run,
    describe_version,
    list_run_figures,
    list_store_figures,
    list_version_tags,
)
from components.register.summary import summarize_decisions
from foreact.blobs import BlobStore, connect
from foreact.blobs.records import BadRecord, NewerRecord, skipped_records
from foreact.errors import ForeactError, count_noun, name_examples
from foreact.publications import BrokenPublication, NothingPublished, PublishedObject, Reader, list_named_models
from foreact.registry import (
    CHAIN,
    Candidate,
    RegisteredStore,
    Registry,
    RegistryUnavailable,
    Versions,
    model_name,
)
from foreact.registry.pyfunc import MLMODEL, describe_flavor
from foreact.registry.records import PACKED
from foreact.runs.events import Events
from foreact.runs.owed import (
    OwedRun,
    RunOrigin,
    forget_owed,
    list_owed,
    note_unreadable,
    owe_run,
    owed_name,
    read_owed,
    settle_owed,
)
from foreact.runs.trained import Trained, TrainedStore, unpack_reading
from foreact.settings import PipelineSettings

log = logging.getLogger(__name__)
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Registered:
    """What the run page shows."""

    versions: Versions
    summary: str
    metrics: dict[str, float]


def register(
    *, trained: Path, versions: Path, origin: RunOrigin, settings: PipelineSettings, events: Events
) -> Registered:
    """Register every model of the training, rejected challengers too, and write each store's version.

    The run's and the stores' figures go to MLflow with them; the averages of a run over one store are its own. Where
    MLflow does not answer, the run goes on, and what is owed is registered by a later one.
    """
    with events.step("register"):
        record, blobs = Trained.read(trained), connect(settings)
        run = OwedRun(origin=origin, trained=record)
        try:
            registry = Registry.connect(settings)
            register_owed(registry, blobs, but=origin.run, store=origin.store)
            registered = _register_run(
                registry, blobs, run, lambda done: events.progress("register", done, len(record.stores))
            )
            settle_owed(blobs, owed_name(origin.run))
            if not origin.store:
                _prune_safely(
                    lambda: registry.prune(partial(list_named_models, blobs), settings.registered_since), events
                )
        except RegistryUnavailable as error:
            owe_run(blobs, run)
            events.note("register", f"warning: nothing was registered, a later run will do it: {error}")
            registered = {}
        if not origin.store:
            _prune_safely(lambda: _forget_owed(blobs, settings.keep_registered_days, events), events)
        result = list_versions(record, origin.run, registered)
        result.write(versions)
        metrics = {**record.count_outcomes(), "runs_owed": float(len(list_owed(blobs)))}
    return Registered(result, summarize_decisions(record, result), metrics)


def register_owed(registry: Registry, blobs: BlobStore, *, but: str = "", store: str = "") -> list[RunOrigin]:
    """Register what is owed of earlier runs, the oldest first, and return them.

    With `store` it is that store's part alone, and the rest goes on being owed: a planner may be waiting.
    """
    done = []
    for name in list_owed(blobs):
        if name == owed_name(but):
            continue
        try:
            owed = read_owed(blobs, name)
            _register_run(registry, blobs, owed, only=store)
        except (BadRecord, NewerRecord, BrokenPublication) as problem:
            skipped_records.note(OwedRun.kind, str(problem))
            note_unreadable(blobs, name, str(problem))
            continue
        log.info("registered what was owed of run %s", owed.origin.run)
        if not store or store == owed.origin.store:
            settle_owed(blobs, name)
        done.append(owed.origin)
    return done


def _prune_safely(prune: Callable[[], object], events: Events) -> None:
    """Delete what is too old; a failure here does not undo what was registered."""
    try:
        prune()
    except NothingPublished:
        log.info("nothing is published yet, and nothing is old")
    except ForeactError as error:
        events.note("register", f"warning: what is too old was not deleted, a later run will do it: {error}")


def _forget_owed(blobs: BlobStore, days: int, events: Events) -> None:
    """Forget what was owed for so long, whether it could not be told or not be read."""
    gone = forget_owed(blobs, partial(list_named_models, blobs), timedelta(days=days))
    if gone:
        events.note(
            "register", f"warning: owed for more than {count_noun(days, 'day')} and forgotten: {name_examples(gone)}."
        )


def list_versions(record: Trained, run: str, registered: Mapping[str, str] = NOTHING) -> Versions:
    """Return which version makes each store's numbers, of those just registered and those that were live."""
    return Versions(
        run=run,
        stores={each.store: _choose_version(each, run, registered) for each in record.stores.values()},
        chain=_choose_chain(record, run, registered),
    )


def _register_run(
    registry: Registry,
    blobs: BlobStore,
    run: OwedRun,
    on_progress: Callable[[int], None] = lambda done: None,
    *,
    only: str = "",
) -> dict[str, str]:
    """Register a run's models and figures, or those of one store, and return the versions by store."""
    record, origin, reader = run.trained, run.origin, Reader(blobs)
    notes = describe_run(
        record,
        pipeline=origin.pipeline,
        store=origin.store,
        code_version=origin.code_version,
        parent_run=origin.parent_run,
    )
    registered: dict[str, str] = {}
    if record.chain is not None and not record.chain.run:
        # First, because the stores' versions name it.
        registered = registry.register_models(
            origin.run, [_make_chain_candidate(reader, record, record.chain.packed, origin.code_version)], notes=notes
        )
    chain = _choose_chain(record, origin.run, registered)
    stores = [each for each in record.stores.values() if not only or each.store == only]
    candidates = [
        _make_candidate(reader, record, each, each.challenger, origin.code_version, chain)
        for each in stores
        if each.challenger is not None
    ]
    registered |= registry.register_models(origin.run, candidates, notes=notes, on_progress=on_progress)
    figures = {each.store: list_store_figures(each) for each in stores}
    if not origin.store and not only:
        figures[CHAIN] = list_run_figures(record)
    if (promotion := record.promotion) is not None:
        for each in filter(lambda store: store.goes_live, stores):
            note = describe_promotion(promotion, each, record.as_of, origin.run)
            registry.promote_version(each.store, promotion.version, note)
    registry.chart_figures(figures, notes.moment)
    return registered


def _make_candidate(
    reader: Reader,
    record: Trained,
    store: TrainedStore,
    packed: PublishedObject,
    code_version: str,
    chain: RegisteredStore | None,
) -> Candidate:
    chain_version = None if chain is None else chain.version

    def read_files() -> dict[str, bytes]:
        data = reader.read_object(packed)
        flavor = describe_flavor(unpack_reading(data), quantiles=record.quantiles, chain_version=chain_version)
        return {PACKED: data, MLMODEL: flavor.encode()}

    return Candidate(
        store=store.store,
        read_files=read_files,
        promoted=store.goes_live,
        as_of=record.as_of.isoformat(),
        tags=list_version_tags(store, code_version),
        description=describe_version(record, store),
    )


def _make_chain_candidate(reader: Reader, record: Trained, packed: PublishedObject, code_version: str) -> Candidate:
    return Candidate(
        store=CHAIN,
        read_files=lambda: {PACKED: reader.read_object(packed)},
        promoted=record.chain_goes_live,
        as_of=record.as_of.isoformat(),
        tags={"foreact.code_version": code_version},
    )


def _choose_version(store: TrainedStore, run: str, registered: Mapping[str, str]) -> RegisteredStore:
    version = registered.get(store.store)
    promoted = store.goes_live
    is_new = promoted and not store.champion_run
    return RegisteredStore(
        name=model_name(store.store),
        run=run if is_new else store.champion_run,
        version=version if is_new else store.champion_version,
        registered=version,
        promoted=promoted,
    )


def _choose_chain(record: Trained, run: str, registered: Mapping[str, str]) -> RegisteredStore | None:
    """Return the chain's model that had a say: registered just now, or live before."""
    if record.chain is None:
        return None
    version = registered.get(CHAIN)
    return RegisteredStore(
        name=model_name(CHAIN),
        run=record.chain.run or run,
        version=version or record.chain.version,
        registered=version,
        promoted=not record.chain.run and record.chain_goes_live,
    )
