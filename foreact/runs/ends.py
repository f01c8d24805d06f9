"""The end of a run, reported once: in the runs' record, and by webhook where it is news."""

import logging
from datetime import UTC, datetime

from foreact.blobs.protocol import BlobStore
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger, State
from foreact.settings import PlaceSettings
from foreact.telemetry.notices import Notice, clean_sentence, send_notice

log = logging.getLogger(__name__)

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
    record = before = None
    try:
        runs = RunLedger(blobs)
        stored = runs.read_history().find_run(run)
        # A step's own message says more than the platform's message about the step.
        sentence = (
            ""
            if succeeded
            else clean_sentence((stored and stored.failed_step_sentence) or message or "the run ended unexpectedly")
        )
        state: State = "succeeded" if succeeded else "failed"
        record = runs.note_end(run, state, pipeline=pipeline, store=store, sentence=sentence)
        before = runs.read_history().find_previous(record)
    except ForeactError as problem:
        log.warning("the run's end was not recorded: %s", problem)
    if not succeeded:
        step = (record.failed_step if record else "") or step
        sentence = clean_sentence(record.sentence if record else message)
        notice = Notice(event="failed", pipeline=pipeline, store=store, run=run, step=step, sentence=sentence)
    elif before is not None and before.state == "failed":
        notice = Notice(event="recovered", pipeline=pipeline, store=store, run=run)
    else:
        return None
    _send_notice(notice, settings, blobs, pause)
    return notice


def report_stuck_runs(
    settings: PlaceSettings, blobs: BlobStore, *, now: datetime | None = None, pause: float = 2.0
) -> None:
    """Report the runs that can no longer end by themselves: whatever would have reported them was killed too."""
    now = now or datetime.now(UTC)
    runs = RunLedger(blobs, lambda: now)
    ledger = runs.read_history()
    for record in ledger.list_overdue(now):
        if not ledger.has_succeeded_since(record):
            step = next((name for name, step in record.steps.items() if step.state == "running"), "")
            notice = Notice(
                event="failed",
                pipeline=record.pipeline,
                store=record.store,
                run=record.id,
                step=step,
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
