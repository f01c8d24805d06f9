"""What was published, as text for the run page."""

from collections.abc import Mapping

from foreact.errors import count_noun, name_examples
from foreact.publications import Outcome, StoreEntry
from foreact.reports.markdown import escape_cell, format_row
from foreact.runs.trained import Trained

SHOWN = 200


def summarize_outcome(outcome: Outcome) -> str:
    """Return the result of the publication in one line."""
    manifest = outcome.manifest
    done = f"Version {manifest.version}: {len(outcome.published):,} of {len(manifest.stores):,} stores published"
    if outcome.held:
        done += f", {len(outcome.held):,} held back"
    if not outcome.unchanged:
        return done
    store, why = next(iter(outcome.unchanged.items()))
    return f"{done}, {len(outcome.unchanged):,} left as they were, such as {store!r}: {why}"


def explain_held(held: Mapping[str, str], record: Trained) -> str:
    """Say which stores are held back, and why, in a sentence."""
    store, why = next(iter(held.items()))
    return (
        f"{len(held):,} of {count_noun(len(record.stores), 'store')}, {name_examples(sorted(held))}, "
        f"{'keeps' if len(held) == 1 else 'keep'} the last good numbers; {store!r}: {why}."
    )


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
    for title, stores in (("Held back", outcome.held), ("Left as they were", outcome.unchanged)):
        if stores:
            lines += ["", f"{title}:", ""]
            lines += [f"- {escape_cell(store)}: {escape_cell(why)}" for store, why in list(stores.items())[:SHOWN]]
    return "\n".join(lines) + "\n"
