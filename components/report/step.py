"""How a run ended, told in the log, in the run's record, and to the webhook."""

import json
import logging

from foreact.blobs import BlobStore
from foreact.errors import ForeactError
from foreact.runs.ends import report_end, report_stuck_runs
from foreact.runs.ledger import RunLedger
from foreact.settings import PipelineSettings

log = logging.getLogger(__name__)

# What Kubeflow calls a group of steps, now and when it kept them in ML Metadata.
WELL = frozenset({"SUCCEEDED", "COMPLETE", "CACHED"})
BADLY = frozenset({"FAILED", "ERROR", "CANCELED"})
STOPPED = "the run was stopped before its last step was done, as when somebody cancels it"


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
    """Report the run's end; neither a webhook nor a blob store that does not answer ever fails the run."""
    try:
        # First, so that a failure is told before the recovery from it.
        report_stuck_runs(settings, blobs, pause=pause)
    except ForeactError as problem:
        log.warning("whether another run is stuck is not known: %s", problem)
    well, told = _has_succeeded(state, run, blobs), None
    if well is not None:
        told = report_end(
            run,
            well,
            pipeline=pipeline,
            store=store,
            step=failed_task or "",
            message=message or ("" if state.upper() in BADLY else STOPPED),
            settings=settings,
            blobs=blobs,
            pause=pause,
        )
    failed = told if told is not None and told.event == "failed" else None
    step, sentence = (failed.step, failed.sentence) if failed else ("", "")
    outcome = {"pipeline": pipeline, "store": store, "state": state, "run": run, "step": step, "sentence": sentence}
    log.info("run ended: %s", json.dumps(outcome))
    lines = [f"**{pipeline}** {'of store `' + store + '` ' if store else ''}ended: **{state}**", ""]
    lines += [f"- {name}: {value}" for name, value in outcome.items() if value and name in {"run", "step", "sentence"}]
    return "\n".join(lines) + "\n"


def _has_succeeded(state: str, run: str, blobs: BlobStore) -> bool | None:
    """Return whether the run did what it was for; nothing if that cannot be known.

    While its exit handler runs, Kubeflow may still call the group of steps running; then the last step's word counts.
    """
    if state.upper() in WELL | BADLY:
        return state.upper() in WELL
    try:
        record = RunLedger(blobs).read_history().find_run(run)
    except ForeactError as problem:
        log.warning("how the run ended is not known, Kubeflow calls it %s: %s", state or "nothing", problem)
        return None
    last = record.steps.get("publish") if record else None
    return last is not None and last.state == "succeeded"
