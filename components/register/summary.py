"""What the gate decided, as text for the run page."""

from foreact.registry import Versions
from foreact.reports.markdown import escape_cell
from foreact.runs.trained import Trained, TrainedStore

SHOWN = 200


def summarize_decisions(record: Trained, versions: Versions) -> str:
    """List each store's decision: first lost or refused champions, then models that did not go live."""
    stores = sorted(
        record.stores.values(),
        key=lambda store: (not store.champion_problem, store.promoted, store.fallback is None, store.store),
    )
    unusable = sum(bool(store.champion_problem) for store in stores)
    counts = count_decisions(record)
    lines = [
        f"## Gate: {counts['promoted']:.0f} of {counts['stores']:.0f} stores promoted",
        "",
        f"Data as of {record.as_of}, {record.horizon} days ahead. Champion kept: {counts['kept']:.0f}; on a fallback: "
        f"{counts['fallback']:.0f}.",
        *(["", f"**Live models that could not be used: {unusable}.** They come first below."] if unusable else []),
        "",
        "| store | decision | version | WAPE | champion's WAPE | why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for store in stores[:SHOWN]:
        placed = versions.stores[store.store]
        cells = [
            store.store,
            _describe_decision(store),
            placed.version or "none",
            _format_figure(store.challenger_accuracy),
            _format_figure(store.champion_accuracy),
            store.fallback or store.reason,
        ]
        lines.append("| " + " | ".join(escape_cell(cell) for cell in cells) + " |")
    if len(stores) > SHOWN:
        lines.append(f"\n... and {len(stores) - SHOWN:,} more, all in the registry.")
    return "\n".join(lines) + "\n"


def count_decisions(record: Trained) -> dict[str, float]:
    """Count the decisions."""
    stores = record.stores.values()
    return {
        "stores": float(len(stores)),
        "promoted": float(sum(store.promoted for store in stores)),
        "kept": float(sum(not store.promoted and store.fallback is None for store in stores)),
        "fallback": float(sum(store.fallback is not None for store in stores)),
    }


def _describe_decision(store: TrainedStore) -> str:
    if store.promoted:
        return "promoted"
    return "fallback" if store.fallback else "champion kept"


def _format_figure(accuracy: dict[str, float]) -> str:
    return f"{accuracy['wape']:.3f}" if "wape" in accuracy else ""
