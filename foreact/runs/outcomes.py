"""How a run on Kubeflow Pipelines ended, and why: Kubeflow knows the first, the run's own record the second."""

from dataclasses import replace
from typing import TYPE_CHECKING

from foreact.kubeflow.states import FAILED
from foreact.runs.ends import KILLED
from foreact.runs.ledger import RunRecord
from foreact.steps import STEPS

if TYPE_CHECKING:
    from foreact.kubeflow.verdict import Outcome


def explain_outcome(outcome: "Outcome", record: RunRecord | None) -> "Outcome":
    """Return the outcome with the failed step and the sentence that the run's record has for it.

    Kubeflow gives no reason since 2.17, and names a task, which may hold several steps.
    """
    if outcome.state != FAILED or record is None:
        return outcome
    if record.failed_step:
        message = record.steps[record.failed_step].sentence or outcome.message
        return _name_step(outcome, record.failed_step, message)
    if record.sentence and not outcome.message:
        # It failed before its first step, or between two.
        return replace(outcome, message=record.sentence)
    if outcome.event == "failed" and record.running_step and not outcome.message:
        return _name_step(outcome, record.running_step, KILLED)
    return outcome


def _name_step(outcome: "Outcome", step: str, message: str) -> "Outcome":
    title = STEPS[step].title if step in STEPS else step
    return replace(outcome, step=step, title=title, message=message)
