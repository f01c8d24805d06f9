"""The ingested dataset, as text for the run page."""

from foreact.data.dataset.stored import DatasetInfo
from foreact.errors import count_noun
from foreact.reports.markdown import escape_cell

SHOWN = 50
ROLES = {
    "known": "known ahead",
    "item": "the same for all of an item's rows",
    "store": "the same for all of a store's rows",
    "like": "whose past an item borrows",
}


def summarize_dataset(info: DatasetInfo) -> str:
    """List rows, stores, items, dates and columns, and what was left out, as Markdown."""
    first = min((store.first for store in info.stores.values()), default=None)
    series = sum(store.items for store in info.stores.values())
    lines = [
        f"## {info.rows:,} rows: {len(info.stores):,} stores, {series:,} series, {first} to {info.as_of}",
        "",
        f"- Source: {escape_cell(info.source)}, version {info.source_version or 'unknown'}",
        f"- Spacing: {info.spacing}; horizon: {count_noun(info.horizon, info.spacing.period)}; "
        f"a missing row is {_describe_missing(info)}",
        f"- Rows read: {info.rows_read:,}; after as_of, left out: {info.rows_after_as_of:,}",
    ]
    lines += [f"- Rejected, {escape_cell(rule)}: {count:,}" for rule, count in info.rejected.items()]
    lines += [f"- {escape_cell(note)}" for note in info.notes]
    if info.columns:
        lines += ["", "| column | holds | is |", "| --- | --- | --- |"]
        lines += [f"| {escape_cell(column.name)} | {column.kind}s | {ROLES[column.role]} |" for column in info.columns]
    lines += ["", "| store | rows | items | first | last |", "| --- | ---: | ---: | --- | --- |"]
    for name, store in list(info.stores.items())[:SHOWN]:
        lines.append(f"| {escape_cell(name)} | {store.rows:,} | {store.items:,} | {store.first} | {store.last} |")
    if len(info.stores) > SHOWN:
        lines += ["", f"... and {len(info.stores) - SHOWN:,} more stores."]
    return "\n".join(lines) + "\n"


def _describe_missing(info: DatasetInfo) -> str:
    return {
        "zero": "zero sales",
        "unknown": f"an unknown {info.spacing.period}",
        "auto": f"zero sales if the store reported anything that {info.spacing.period} or sells on few of them, "
        "else unknown",
    }[info.missing]
