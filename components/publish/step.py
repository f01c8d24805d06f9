"""Publish a training, whose objects the workers wrote, by one swap of the manifest."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from components.publish.summary import explain_held, summarize_outcome, summarize_publication
from foreact.blobs import BlobStore, connect
from foreact.blobs.ageing import delete_all, list_old
from foreact.clock import utc_now
from foreact.errors import ForeactError, name_examples
from foreact.publications import (
    Outcome,
    PublishedModel,
    PublishedObject,
    Publisher,
    Reader,
    StoreEntry,
    confirm_objects,
    prune_archive,
    prune_objects,
)
from foreact.publications.contract import REQUIRED
from foreact.registry.records import RegisteredStore, Versions
from foreact.runs.events import Events
from foreact.runs.owed import list_owed_models
from foreact.runs.trained import Trained, TrainedStore
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
        record, registered = Trained.read(trained), Versions.read(versions)
        held = {name: each.held for name, each in record.stores.items() if each.held}
        free = [each for each in record.stores.values() if not each.held]
        _refuse_incomplete(free)
        entries = {each.store: _make_entry(record, each, registered, code_version) for each in free}
        named = {each.name: each for entry in entries.values() for each in entry.list_objects()}
        confirm_objects(store, registered.run, named.values())
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


def _refuse_incomplete(stores: Iterable[TrainedStore]) -> None:
    incomplete = [each.store for each in stores if not all(kind in each.objects for kind in REQUIRED)]
    if incomplete:
        raise ForeactError(
            f"The training left no forecasts for {name_examples(incomplete)}: nothing was published; run train."
        )


def _make_model(registered: RegisteredStore, packed: PublishedObject | None) -> PublishedModel:
    return PublishedModel(name=registered.name, version=registered.version, run=registered.run, packed=packed)


def _make_entry(record: Trained, store: TrainedStore, versions: Versions, code_version: str) -> StoreEntry:
    chain = None
    if versions.chain is not None and record.chain is not None:
        chain = _make_model(versions.chain, record.chain.packed)
    return StoreEntry(
        run=versions.run,
        as_of=record.as_of,
        generated_at=record.generated_at,
        horizon=record.horizon,
        spacing=record.spacing,
        items=store.items,
        model=_make_model(versions.stores[store.store], store.model),
        chain=chain,
        data_hash=store.data_hash,
        code_version=code_version,
        objects=store.objects,
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
        deleted = prune_objects(store, also_needed=list_owed_models(store)) + prune_archive(store, keep=keep)
        for folder in (scorecards.FOLDER, notices.FOLDER):
            deleted += delete_all(store, list_old(store.list(folder), keep, utc_now()))
        return deleted
    except ForeactError as error:
        log.warning("nothing more was deleted: %s", error)
        return []
