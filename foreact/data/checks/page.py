"""The validation report: one page that needs nothing but itself."""

from html import escape
from typing import Any

from foreact.data.checks.findings import Finding, Findings
from foreact.data.dataset import DatasetInfo

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2b33;background:#fff;margin:2rem auto;max-width:60rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}
.verdict{padding:.7rem 1rem;border-radius:.4rem;margin:1rem 0;font-weight:600;overflow-wrap:anywhere}
.good{background:#e3f4e8;color:#14532d}.bad{background:#fde8e8;color:#7f1d1d}.warn{background:#fef3d7;color:#6b4300}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.2rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #dde4e8;vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap}
.tag{display:inline-block;padding:0 .5rem;border-radius:.6rem;font-size:.85rem}
details{margin:.2rem 0}summary{cursor:pointer}small{color:#536471}
"""


def render(findings: Findings, info: DatasetInfo) -> str:
    """Write the report as HTML; whatever an id or a cell holds, it is shown as text."""
    series = sum(store.items for store in info.stores.values())
    if findings.problem:
        verdict, kind = findings.problem, "bad"
    elif findings.warnings:
        count = len(findings.warnings)
        verdict, kind = f"Accepted, with {count} warning{'s' if count > 1 else ''}.", "warn"
    else:
        verdict, kind = "Accepted: every rule is kept.", "good"
    facts = [
        ("Source", f"{info.source} (version {info.source_version or 'unknown'})"),
        ("Data up to", str(info.as_of)),
        ("Stores, series", f"{len(info.stores):,}, {series:,}"),
        ("Rows read", f"{findings.rows:,}"),
        ("Rows after as_of, left out", f"{info.rows_after_as_of:,}"),
        ("Rows rejected", f"{findings.quarantined:,}"),
    ]
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Validation</title>',
            f"<style>{STYLE}</style></head><body><h1>Validation</h1>",
            f'<p class="verdict {kind}">{escape(verdict)}</p>',
            "<table>"
            + "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
            + "</table>",
            _rules(findings.findings),
            _notes(findings.notes),
            "</body></html>",
        ]
    )


def _rules(findings: list[Finding]) -> str:
    order = sorted(findings, key=lambda finding: (finding.kept, finding.severity != "critical"))
    head = '<h2>Rules</h2><table><tr><th>Rule</th><th></th><th class="n">Broken</th><th class="n">Checked</th></tr>'
    return head + "".join(_rule(finding) for finding in order) + "</table>"


def _rule(finding: Finding) -> str:
    label, kind = (
        ("kept", "good") if finding.kept else (finding.severity, "bad" if finding.severity == "critical" else "warn")
    )
    text = escape(finding.rule)
    if not finding.kept and finding.detail:
        text += f"<br><small>{escape(finding.detail)}</small>"
    if finding.samples:
        text += f"<details><summary>{len(finding.samples)} of them</summary>{_samples(finding)}</details>"
    cells: list[Any] = [text, f'<span class="tag {kind}">{label}</span>']
    counts = "".join(f'<td class="n">{value:,}</td>' for value in (finding.broken, finding.checked))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + counts + "</tr>"


def _samples(finding: Finding) -> str:
    head = "<table><tr><th>Store</th><th>Item</th><th>Date</th><th>Found</th></tr>"
    rows = [
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in (one.store, one.item, one.date, one.found)) + "</tr>"
        for one in finding.samples
    ]
    return head + "".join(rows) + "</table>"


def _notes(notes: list[str]) -> str:
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>" if notes else ""
