"""Check a dataset, pass on the sound rows, and report the rest."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow import csv

from foreact.data.checks.findings import Findings
from foreact.data.checks.page import render_report
from foreact.data.checks.validation import Limits, check_dataset
from foreact.data.dataset.folder import REJECTED, Dataset
from foreact.runs.events import Events


@dataclass(frozen=True)
class Validated:
    """What the run page shows."""

    findings: Findings
    page: str
    metrics: dict[str, float]

    @property
    def problem(self) -> str:
        """Why the data must not be used, in a sentence; empty if it may be used."""
        return self.findings.problem


def validate(
    *,
    dataset: Path,
    checked: Path,
    rejected: Path,
    max_rejected_share: float,
    find_previous: Callable[[], Mapping[str, Iterable[str]] | None] = lambda: None,
    events: Events,
    today: date | None = None,
) -> Validated:
    """Write the checked dataset, the rejected rows and the report.

    Data that breaks a mandatory rule does not fail this step: a failed step leaves no artifacts on a cluster, and a
    person then needs the report. Instead the checked dataset carries the problem, and the step that reads it fails.
    """
    with events.step("validate"):
        source = Dataset(dataset)
        findings = check_dataset(
            source,
            checked,
            Limits(max_rejected_share, today or date.today(), find_previous()),
            lambda done, total, detail: events.progress("validate", done, total, detail),
        )
        # As text, because that is what Kubeflow's page can show the first rows of.
        csv.write_csv(pq.read_table(checked / REJECTED), rejected)
        if findings.problem:
            events.emit("refused", step="validate", sentence=findings.problem)
        for finding in findings.warnings:
            events.note("validate", f"warning: the data breaks a rule: {finding.describe()}")
        for note in findings.notes[len(source.info.notes) :]:
            events.note("validate", note)
    metrics = {
        "rules": float(len(findings.findings)),
        "rules_broken": float(len(findings.broken)),
        "warnings": float(len(findings.warnings)),
        "rejected_rows": float(findings.rejected),
        "rejected_share": findings.rejected / max(1, findings.rows),
    }
    return Validated(findings, render_report(findings, source.info), metrics)
