"""Report how a run ended: in the log, in the run's record, and by the webhook."""

import json
import logging

from components.report.page import write_overview
from foreact.blobs import BlobStore
from foreact.errors import ForeactError
from foreact.publications import Reader
from foreact.reports.page import Page
from foreact.runs.ends import report_end, report_stuck_runs
from foreact.runs.ledger import RunLedger
from foreact.settings import PipelineSettings

log = logging.getLogger(__name__)

# The states of a group of steps in Kubeflow, now and when it stored them in ML Metadata.
SUCCESSES = frozenset({"SUCCEEDED", "COMPLETE", "CACHED"})
FAILURES = frozenset({"FAILED", "ERROR", "CANCELED"})
STOPPED = "the run was stopped before its last step was done"


def report(
    *,
    pipeline: str,
    store: str,
    state: str,
    run: str,
    failed_task: str | None,
    message: str | None,
    settings: PipelineSettings,
    blobs: BlobStore,
    pause: float = 2.0,
) -> str:
    """Report the run's end and return its first page; a webhook or blob store that does not answer fails no run."""
    try:
        # First, so that a failure is reported before the recovery from it.
        report_stuck_runs(settings, blobs, pause=pause)
    except ForeactError as problem:
        log.warning("whether another run is stuck is not known: %s", problem)
    succeeded, notice = _has_succeeded(state, run, blobs), None
    if succeeded is not None:
        notice = report_end(
            run,
            succeeded,
            pipeline=pipeline,
            store=store,
            step=failed_task or "",
            message=message or ("" if state.upper() in FAILURES else STOPPED),
            settings=settings,
            blobs=blobs,
            pause=pause,
        )
    failed = notice if notice is not None and notice.event == "failed" else None
    step, sentence = (failed.step, failed.sentence) if failed else ("", "")
    outcome = {"pipeline": pipeline, "store": store, "state": state, "run": run, "step": step, "sentence": sentence}
    log.info("run ended: %s", json.dumps(outcome))
    return _write_page(pipeline, state, run, settings, blobs)


def _write_page(pipeline: str, state: str, run: str, settings: PipelineSettings, blobs: BlobStore) -> str:
    """Return the run's first page; without its record no more than how it ended."""
    links = {
        "Dashboard": settings.dashboard_url,
        "Models in MLflow": settings.mlflow_url and settings.mlflow_url + "/#/models",
    }
    try:
        history = RunLedger(blobs).read_history()
        record = history.find_run(run)
        if record is not None:
            shown = {text: target for text, target in links.items() if target}
            return write_overview(record, history.find_success_before(record), Reader(blobs), shown)
    except Exception:
        # A page is no reason to call a run failed that has published.
        log.exception("the run's page could not be written")
    page = Page(pipeline)
    page.paragraph(f"It ended as {state}.")
    return page.render()


def _has_succeeded(state: str, run: str, blobs: BlobStore) -> bool | None:
    """Return whether the run succeeded; None if that is not known.

    While the exit handler runs, Kubeflow may still report the group of steps as running; then the last step's record
    decides.
    """
    if state.upper() in SUCCESSES | FAILURES:
        return state.upper() in SUCCESSES
    try:
        record = RunLedger(blobs).read_history().find_run(run)
    except ForeactError as problem:
        log.warning("how the run ended is not known, Kubeflow calls it %s: %s", state or "nothing", problem)
        return None
    return record is not None and record.has_published
