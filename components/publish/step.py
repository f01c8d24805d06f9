"""Publish a training: its objects first, then one swap of the manifest."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from components.publish.summary import explain_held, summarize_outcome, summarize_publication
from foreact.blobs import BlobStore, connect
from foreact.blobs.ageing import delete_all, list_old
from foreact.clock import utc_now
from foreact.errors import ForeactError, name_examples
from foreact.publications import (
    Kind,
    Outcome,
    PublishedModel,
    PublishedObject,
    Publisher,
    Reader,
    StoreEntry,
    prune_archive,
    prune_objects,
    put_objects,
)
from foreact.publications.contract import REQUIRED, object_name, packed_chain_name, packed_model_name
from foreact.registry.records import CHAIN, RegisteredStore, Versions
from foreact.runs.events import Events
from foreact.runs.trained import Trained, TrainedFolder, TrainedStore
from foreact.settings import PipelineSettings
from foreact.telemetry import notices, scorecards
from foreact.telemetry.scorecards import Scorecards, write_scorecards

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What the run page shows."""

    outcome: Outcome
    summary: str
    metrics: dict[str, float]


def publish(
    *,
    trained: Path,
    versions: Path,
    settings: PipelineSettings,
    code_version: str = "",
    events: Events,
    unless_since: datetime | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Published:
    """Publish all stores of the training; if run again after a crash, complete what is missing.

    With `unless_since` a store that somebody else has published since that moment stays as it is.
    """
    with events.step("publish"):
        store = connect(settings)
        folder = TrainedFolder(trained)
        record, registered = folder.read_record(), Versions.read(versions)
        held = {name: each.held for name, each in record.stores.items() if each.held}
        files = _find_objects(folder, record.stores.keys() - held.keys(), registered.run)
        models = _find_models(folder, record, registered.run)
        paths = {name: path for kinds in files.values() for name, path in kinds.values()} | dict(models.values())
        objects = put_objects(
            store,
            registered.run,
            paths,
            on_progress=lambda done: events.progress("publish", done, len(paths)),
        )
        packed = {owner: objects[name] for owner, (name, _) in models.items()}
        entries = {
            each.store: _make_entry(
                record,
                each,
                registered.run,
                _make_model(registered.stores[each.store], packed.get(each.store)),
                None if registered.chain is None else _make_model(registered.chain, packed.get(CHAIN)),
                {kind: objects[name] for kind, (name, _) in files[each.store].items()},
                code_version,
            )
            for each in record.stores.values()
            if not each.held
        }
        if held:
            events.note("publish", f"warning: {explain_held(held, record)}")
        if not entries and Reader(store).find_current() is None:
            raise ForeactError(explain_held(held, record))
        by, reason = _name_author(record, registered.run)
        publisher = Publisher(store, keep_versions=settings.keep_versions, now=now)
        outcome = publisher.publish(entries, by=by, reason=reason, held=held, unless_since=unless_since)
        if not entries:
            # Only now: the stores are marked as held.
            raise ForeactError(explain_held(held, record))
        _store_scorecards(store, record, registered.run)
        # A refresh of a few stores leaves that to the next run of all, so that its cost does not grow with the others;
        # that one may lack stores that were closed and stay published.
        is_of_few = 2 * len(record.stores) <= len(outcome.manifest.stores)
        deleted = [] if is_of_few else _prune_safely(store, timedelta(days=settings.keep_days))
        events.note("publish", summarize_outcome(outcome))
    metrics = {
        "version": float(outcome.manifest.version),
        "stores_published": float(len(outcome.published)),
        "stores_kept": float(len(outcome.unchanged)),
        "stores_held": float(len(outcome.held)),
        "objects_deleted": float(len(deleted)),
    }
    return Published(outcome, summarize_publication(outcome, entries), metrics)


def _name_author(record: Trained, run: str) -> tuple[str, str]:
    """Return whose publication it is, and why: the run's, or that of who promoted a version."""
    promotion = record.promotion
    if promotion is None:
        return f"run {run}", ""
    stores = ", ".join(record.stores)
    return promotion.by or f"run {run}", f"version {promotion.version} of {stores} promoted: {promotion.reason}"


def _find_objects(folder: TrainedFolder, stores: Iterable[str], run: str) -> dict[str, dict[Kind, tuple[str, Path]]]:
    """Return each store's objects by kind: the name each will have, and its file."""
    objects: dict[str, dict[Kind, tuple[str, Path]]] = {}
    for store in sorted(stores):
        kinds: dict[Kind, tuple[str, Path]] = {}
        for kind in get_args(Kind):
            path = folder.object_path(store, kind)
            if path.is_file():
                kinds[kind] = (object_name(run, store, kind), path)
        objects[store] = kinds
    incomplete = [store for store, kinds in objects.items() if not all(kind in kinds for kind in REQUIRED)]
    if incomplete:
        raise ForeactError(
            f"The training left no forecasts for {name_examples(incomplete)}: nothing was published; run train."
        )
    return objects


def _find_models(folder: TrainedFolder, record: Trained, run: str) -> dict[str, tuple[str, Path]]:
    """Return the models that made the numbers, each store's and the chain's: the name each will have, and its file."""
    models = {
        each.store: (packed_model_name(run, each.store), path)
        for each in record.stores.values()
        if not each.held and (path := folder.model_of(each)) is not None
    }
    return models if record.chain is None else {**models, CHAIN: (packed_chain_name(run), folder.chain)}


def _make_model(registered: RegisteredStore, packed: PublishedObject | None) -> PublishedModel:
    return PublishedModel(name=registered.name, version=registered.version, run=registered.run, packed=packed)


def _make_entry(
    record: Trained,
    store: TrainedStore,
    run: str,
    model: PublishedModel,
    chain: PublishedModel | None,
    objects: dict[Kind, PublishedObject],
    code_version: str,
) -> StoreEntry:
    return StoreEntry(
        run=run,
        as_of=record.as_of,
        generated_at=record.generated_at,
        horizon=record.horizon,
        spacing=record.spacing,
        items=store.items,
        model=model,
        chain=chain,
        data_hash=store.data_hash,
        code_version=code_version,
        objects=objects,
        accuracy=store.published_figures,
        experts=store.shares,
        attributes=store.attributes,
        fallback=store.fallback,
        quantiles=record.quantiles,
    )


def _store_scorecards(store: BlobStore, record: Trained, run: str) -> None:
    """Add the accuracy of past forecasts to the stores' series; a failure here does not undo the publication."""
    stores = {each.store: each.scored_figures for each in record.stores.values() if each.scorecard and not each.held}
    if not stores:
        return
    try:
        write_scorecards(store, Scorecards(run=run, as_of=record.as_of, stores=stores))
    except ForeactError as error:
        log.warning("the scorecards were not stored: %s", error)


def _prune_safely(store: BlobStore, keep: timedelta) -> list[str]:
    """Delete what is no longer needed, or too old to be kept; a failure here does not undo the publication."""
    try:
        deleted = prune_objects(store) + prune_archive(store, keep=keep)
        for folder in (scorecards.FOLDER, notices.FOLDER):
            deleted += delete_all(store, list_old(store.list(folder), keep, utc_now()))
        return deleted
    except ForeactError as error:
        log.warning("nothing more was deleted: %s", error)
        return []
