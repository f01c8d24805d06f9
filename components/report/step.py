"""How a run ended, told in the log, in the run's record, and to the webhook."""

import json
import logging

from foreact.blobs import BlobStore
from foreact.errors import ForeactError
from foreact.settings import PipelineSettings
from foreact.telemetry.ledger import RunRecord, Runs
from foreact.telemetry.notices import Notice, clean, tell

log = logging.getLogger(__name__)


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
    """Tell the run's end; neither a webhook nor a blob store that does not answer ever fails the run."""
    succeeded = state.upper() == "SUCCEEDED"
    record = before = None
    try:
        runs = Runs(blobs)
        record = runs.end(
            run,
            "succeeded" if succeeded else "failed",
            pipeline=pipeline,
            store=store,
            sentence="" if succeeded else _why(runs.read().find(run), message),
        )
        before = runs.read().before(record)
    except ForeactError as problem:
        log.warning("the run's end was not recorded: %s", problem)
    step = "" if succeeded else (record.failed_step if record else "") or failed_task or ""
    sentence = "" if succeeded else clean(record.sentence if record else message or "")
    outcome = {"pipeline": pipeline, "store": store, "state": state, "run": run, "step": step, "sentence": sentence}
    log.info("run ended: %s", json.dumps(outcome))
    event = "failed" if not succeeded else "recovered" if before is not None and before.state == "failed" else None
    url = settings.webhook_url.get_secret_value()
    if event is not None and url:
        link = settings.run_url.replace("{run}", run)
        notice = Notice.model_validate(
            {k: v for k, v in outcome.items() if k != "state"} | {"event": event, "link": link}
        )
        try:
            tell(notice, url, settings.webhook_form, blobs, pause=pause)
        except ForeactError as problem:
            log.warning("the webhook was not told: %s", problem)
    lines = [f"**{pipeline}** {'of store `' + store + '` ' if store else ''}ended: **{state}**", ""]
    lines += [f"- {name}: {value}" for name, value in outcome.items() if value and name in {"run", "step", "sentence"}]
    return "\n".join(lines) + "\n"


def _why(record: RunRecord | None, message: str | None) -> str:
    """Prefer what a step said of itself to what the platform says of the step."""
    told = next((step.sentence for step in record.steps.values() if step.sentence), "") if record else ""
    return clean(told or message or "the run ended unexpectedly")
