"""The end of a run, reported once: in the runs' record, and by webhook where it is news."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from foreact.blobs.protocol import BlobStore
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger, RunRecord, State
from foreact.settings import PlaceSettings
from foreact.telemetry.notices import Notice, clean_sentence, send_notice, was_announced

if TYPE_CHECKING:
    from foreact.kubeflow.verdict import Outcome

log = logging.getLogger(__name__)

KILLED = "it was killed before it could say why, as it is when its memory is used up"
END_UNKNOWN = "the run never reported how it ended; it may have been killed"


def report_end(
    run: str,
    succeeded: bool,
    *,
    pipeline: str,
    store: str = "",
    step: str = "",
    message: str = "",
    settings: PlaceSettings,
    blobs: BlobStore,
    pause: float = 2.0,
) -> Notice | None:
    """Record a run's end and notify the webhook of a failure or a recovery; return that notice, if there is one.

    Every process that sees a run end may call this, and call it again. It raises nothing, even if the blob store or
    the webhook does not answer.
    """
    record, had_failed = None, False
    try:
        runs = RunLedger(blobs)
        stored = runs.read_history().find_run(run)
        # Whatever went wrong after that: its numbers are published.
        succeeded = succeeded or (stored is not None and stored.has_published)
        sentence = "" if succeeded else clean_sentence(_explain_failure(stored, message))
        state: State = "succeeded" if succeeded else "failed"
        record = runs.note_end(run, state, pipeline=pipeline, store=store, sentence=sentence)
        before = runs.read_history().find_previous(record)
        # The run itself had failed if this is a later try of it.
        had_failed = succeeded and (
            (before is not None and before.state == "failed") or was_announced(run, "failed", blobs)
        )
    except ForeactError as problem:
        log.warning("the run's end was not recorded: %s", problem)
    if not succeeded:
        step = (record.failed_step or record.running_step if record else "") or step
        sentence = clean_sentence(record.sentence if record else message)
        notice = Notice(event="failed", pipeline=pipeline, store=store, run=run, step=step, sentence=sentence)
    elif had_failed:
        notice = Notice(event="recovered", pipeline=pipeline, store=store, run=run)
    else:
        return None
    _send_notice(notice, settings, blobs, pause)
    return notice


def _explain_failure(record: RunRecord | None, message: str) -> str:
    """Return why a run failed; a step's own message says more than the platform's message about the step."""
    if record is not None and record.failed_step_sentence:
        return record.failed_step_sentence
    return message or (KILLED if record is not None and record.running_step else "the run ended unexpectedly")


def report_missed_ends(
    find_end: Callable[[RunRecord], "Outcome | None"], settings: PlaceSettings, blobs: BlobStore, *, pause: float = 2.0
) -> None:
    """Report the runs that Kubeflow has ended without their exit handler, as `find_end` says of those without an end.

    It does not run for a run that was cancelled or is over its deadline, nor a second time after a Retry.
    """
    for record in RunLedger(blobs).read_history().runs:
        try:
            outcome = find_end(record) if record.state == "running" else None
        except ForeactError as problem:
            log.warning("whether run %s has ended is not known: %s", record.id, problem)
            continue
        if outcome is not None:
            report_end(
                record.id,
                outcome.succeeded,
                pipeline=record.pipeline,
                store=record.store,
                step=outcome.step,
                message=outcome.message or outcome.sentence,
                settings=settings,
                blobs=blobs,
                pause=pause,
            )


def report_stuck_runs(
    settings: PlaceSettings, blobs: BlobStore, *, now: datetime | None = None, pause: float = 2.0
) -> None:
    """Report the runs that can no longer end by themselves: whatever would have reported them was killed too."""
    now = now or datetime.now(UTC)
    runs = RunLedger(blobs, lambda: now)
    ledger = runs.read_history()
    for record in ledger.list_overdue(now):
        if record.has_published:
            runs.note_end(record.id, "succeeded", pipeline="", at=record.last_event_at)
            continue
        if not ledger.has_succeeded_since(record):
            notice = Notice(
                event="failed",
                pipeline=record.pipeline,
                store=record.store,
                run=record.id,
                step=record.running_step,
                sentence=END_UNKNOWN,
            )
            # Before it counts as ended: if this process dies in between, the next one that looks sends the notice.
            _send_notice(notice, settings, blobs, pause)
        runs.note_end(record.id, "failed", pipeline="", sentence=END_UNKNOWN, at=record.last_event_at)


def _send_notice(notice: Notice, settings: PlaceSettings, blobs: BlobStore, pause: float) -> None:
    url = settings.webhook_url.get_secret_value()
    if not url:
        return
    linked = notice.model_copy(update={"link": settings.run_url.replace("{run}", notice.run)})
    try:
        send_notice(linked, url, settings.webhook_form, blobs, pause=pause)
    except ForeactError as problem:
        log.warning("the webhook was not notified: %s", problem)
