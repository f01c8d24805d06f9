"""What was published, as text for the run page."""

from collections.abc import Mapping

from foreact.publications import Outcome, StoreEntry
from foreact.reports.markdown import escape_cell, format_row

SHOWN = 200


def summarize_outcome(outcome: Outcome) -> str:
    """Return the result of the publication in one line."""
    manifest = outcome.manifest
    done = f"Version {manifest.version}: {len(outcome.published):,} of {len(manifest.stores):,} stores published"
    if not outcome.unchanged:
        return done
    store, why = next(iter(outcome.unchanged.items()))
    return f"{done}, {len(outcome.unchanged):,} left as they were, such as {store!r}: {why}"


def summarize_publication(outcome: Outcome, entries: Mapping[str, StoreEntry]) -> str:
    """List the version, its stores and what stayed as it was."""
    lines = [
        f"## {summarize_outcome(outcome)}",
        "",
        "| store | data as of | items | model | fallback |",
        "| --- | --- | --- | --- | --- |",
    ]
    for store in outcome.published[:SHOWN]:
        entry = entries[store]
        cells = [store, entry.as_of.isoformat(), f"{entry.items:,}", str(entry.model), entry.fallback or ""]
        lines.append(format_row(cells))
    if len(outcome.published) > SHOWN:
        lines.append(f"\n... and {len(outcome.published) - SHOWN:,} more, all in the manifest.")
    if outcome.unchanged:
        lines += ["", "Left as they were:", ""]
        lines += [
            f"- {escape_cell(store)}: {escape_cell(why)}" for store, why in list(outcome.unchanged.items())[:SHOWN]
        ]
    return "\n".join(lines) + "\n"
