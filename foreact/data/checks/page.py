"""The validation report: what was read, every rule, and samples of what breaks one."""

from markupsafe import Markup

from foreact.data.checks.findings import Finding, Findings
from foreact.data.dataset.stored import DatasetInfo
from foreact.errors import count_noun
from foreact.reports.page import Kind, Page, render_table


def render_report(findings: Findings, info: DatasetInfo) -> str:
    """Write the report as HTML; whatever an id or a cell holds, it is shown as text."""
    page = Page("Validation")
    page.paragraph(*_judge_findings(findings))
    series = sum(store.items for store in info.stores.values())
    page.table(
        (),
        [
            ("Source", f"{info.source} (version {info.source_version or 'unknown'})"),
            ("Data up to", str(info.as_of)),
            ("Stores, series", f"{len(info.stores):,}, {series:,}"),
            ("Rows read", f"{findings.rows:,}"),
            ("Rows after as_of, left out", f"{info.rows_after_as_of:,}"),
            ("Rows rejected", f"{findings.rejected:,}"),
        ],
    )
    page.heading("Rules")
    order = sorted(findings.findings, key=lambda finding: (finding.kept, finding.severity != "critical"))
    rows = [(_describe_finding(finding), _mark_finding(finding), finding.broken, finding.checked) for finding in order]
    page.table(["Rule", "", "Broken", "Checked"], rows)
    if findings.notes:
        page.heading("Notes")
    for note in findings.notes:
        page.paragraph(note)
    return page.render()


def _judge_findings(findings: Findings) -> tuple[str, Kind]:
    if findings.problem:
        return findings.problem, "bad"
    if findings.warnings:
        return f"Accepted, with {count_noun(len(findings.warnings), 'warning')}.", "warn"
    return "Accepted: every rule is kept.", "good"


def _mark_finding(finding: Finding) -> Markup:
    kind = "good" if finding.kept else "bad" if finding.severity == "critical" else "warn"
    return Markup("<span class={}>{}</span>").format(kind, "kept" if finding.kept else finding.severity)


def _describe_finding(finding: Finding) -> Markup:
    text = Markup("{}").format(finding.rule)
    if not finding.kept and finding.detail:
        text += Markup("<br><small>{}</small>").format(finding.detail)
    if finding.samples:
        rows = [(one.store, one.item, one.date, one.found) for one in finding.samples]
        samples = render_table(["Store", "Item", "Date", "Found"], rows)
        text += Markup("<details><summary>{} of them</summary>{}</details>").format(len(rows), samples)
    return text
