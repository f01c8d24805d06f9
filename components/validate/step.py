"""Check a dataset, pass on the sound rows, and report the rest."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyarrow import csv

from foreact.data.checks.findings import Findings
from foreact.data.checks.page import render_report
from foreact.data.checks.validation import Limits, check_dataset
from foreact.data.dataset.stored import Dataset
from foreact.runs.events import Events


@dataclass(frozen=True)
class Validated:
    """The checked dataset, and what the run page shows."""

    checked: Dataset
    findings: Findings
    page: str
    metrics: dict[str, float]

    @property
    def problem(self) -> str:
        """Why the data must not be used, in a sentence; empty if it may be used."""
        return self.findings.problem


def validate(
    *,
    dataset: Dataset,
    rejected: Path,
    max_rejected_share: float,
    find_previous: Callable[[], Mapping[str, Iterable[str]] | None] = lambda: None,
    events: Events,
    code_version: str = "",
    scratch: Path | None = None,
    today: date | None = None,
) -> Validated:
    """Return the checked dataset and the report, and write the rejected rows.

    Data that breaks a mandatory rule does not fail this step: a failed step leaves no artifacts on a cluster, and a
    person then needs the report. Instead the checked dataset carries the problem, and the step that reads it fails.
    """
    with events.step("validate"), tempfile.TemporaryDirectory(dir=scratch, prefix="validate-") as folder:
        findings, checked = check_dataset(
            dataset,
            Path(folder),
            Limits(max_rejected_share, today or date.today(), find_previous()),
            lambda done, total, detail: events.progress("validate", done, total, detail),
            # Of code that is being worked on nobody knows whether it checks alike.
            "" if code_version.endswith("-dirty") else code_version,
        )
        # As text, because that is what Kubeflow's page can show the first rows of.
        csv.write_csv(checked.read_rejected(), rejected)
        if findings.problem:
            events.emit("refused", step="validate", sentence=findings.problem)
        for finding in findings.warnings:
            events.note("validate", f"warning: the data breaks a rule: {finding.describe()}")
        for note in findings.notes[len(dataset.info.notes) :]:
            events.note("validate", note)
    metrics = {
        "rules": float(len(findings.findings)),
        "rules_broken": float(len(findings.broken)),
        "warnings": float(len(findings.warnings)),
        "rejected_rows": float(findings.rejected),
        "rejected_share": findings.rejected / max(1, findings.rows),
    }
    return Validated(checked, findings, render_report(findings, dataset.info), metrics)
