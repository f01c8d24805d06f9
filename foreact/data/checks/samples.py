"""Frames that rules are checked on, and samples of what breaks one."""

from typing import Any

import pyarrow as pa

from foreact.data.checks.findings import SHOWN, Finding, Sample
from foreact.data.checks.rules import MOST_DAYS, SPIKES
from foreact.data.dataset.stored import DatasetInfo
from foreact.vocabulary import DATE, ITEM, STORE, UNITS


def make_frame(parts: list[dict[str, Any]]) -> Any:
    """Return columns of several parts as one frame."""
    import pandas as pd

    parts = [part for part in parts if part]
    frames = [pd.DataFrame(part) for part in parts]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def make_sample(rule: str, row: dict[str, Any]) -> Sample:
    """Return what breaks a rule as the page shows it."""
    return Sample(store=str(row[STORE]), item=str(row[ITEM]), date=str(row[DATE]), found=str(row["found"]))


def sample_store(rule: str, row: dict[str, Any]) -> Sample:
    """Return a store that breaks a rule."""
    shown = make_sample(rule, row)
    return shown.model_copy(update={"date": ""} if rule == MOST_DAYS else {"found": ""})


def sample_series(rule: str, row: dict[str, Any]) -> Sample:
    """Return a series that breaks a rule."""
    shown = make_sample(rule, row)
    return shown if rule == SPIKES else shown.model_copy(update={"date": "", "found": ""})


def sample_record(record: dict[str, Any]) -> Sample:
    """Return a rejected row."""
    shown = {name: str(record.get(name) or "") for name in (STORE, ITEM, DATE)}
    return Sample(**shown, found=str(record.get("detail") or record.get(UNITS) or ""))


def list_unreadable(ingested: pa.Table, info: DatasetInfo) -> list[Finding]:
    """Return a finding for each kind of row that the intake could not read."""
    import pyarrow.compute as pc

    findings = []
    for rule, broken in info.rejected.items():
        first = ingested.filter(pc.equal(ingested["rule"], rule)).slice(0, SHOWN).to_pylist()
        findings.append(
            Finding(
                rule=rule,
                severity="warning",
                kept=False,
                checked=info.rows_read,
                broken=broken,
                samples=[sample_record(record) for record in first],
            )
        )
    return findings
