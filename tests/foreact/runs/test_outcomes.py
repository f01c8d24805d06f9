"""Why a run failed, by what Kubeflow Pipelines says and by what the run's steps have recorded."""

from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from foreact.kubeflow.states import CANCELED, FAILED, SUCCEEDED
from foreact.kubeflow.verdict import Outcome
from foreact.runs.ends import KILLED
from foreact.runs.ledger import RunLedger, RunRecord
from foreact.runs.outcomes import explain_outcome


@pytest.fixture
def runs(tmp_path: Path) -> RunLedger:
    return RunLedger(FolderStore(tmp_path))


def read(runs: RunLedger) -> RunRecord | None:
    return runs.read_history().find_run("r1")


# The task of one pipeline holds several steps.
@pytest.mark.parametrize(("task", "title"), [("validate", "Validate"), ("prepare", "Prepare")])
def test_the_step_that_failed_says_why(runs: RunLedger, task: str, title: str) -> None:
    outcome = Outcome(FAILED, task, title, "failed")
    assert explain_outcome(outcome, read(runs)).sentence == f"{title} failed."
    runs.note_step_started("r1", "ingest")
    runs.note_step_ended("r1", "ingest", "succeeded", 1.0)
    runs.note_step_started("r1", "validate")
    runs.note_step_ended("r1", "validate", "failed", 1.0, "312 rows are negative.")
    explained = explain_outcome(outcome, read(runs))
    assert (explained.step, explained.sentence) == ("validate", "Validate: 312 rows are negative.")


def test_a_step_that_was_killed_is_named(runs: RunLedger) -> None:
    runs.note_step_started("r1", "train")
    assert explain_outcome(Outcome(FAILED, "train", "Train", "failed"), read(runs)).sentence == f"Train: {KILLED}"


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(FAILED, "register", "Register", "could not be started"),
        Outcome(FAILED, message="The run was stopped at its deadline, 4 hours after its start."),
        Outcome(CANCELED, message="The run was cancelled."),
        Outcome(SUCCEEDED),
    ],
)
def test_what_kubeflow_knows_better_stays(runs: RunLedger, outcome: Outcome) -> None:
    runs.note_step_started("r1", "train")
    assert explain_outcome(outcome, read(runs)) == outcome
