"""What the gate decided, as text for the run page."""

from foreact.errors import count_noun
from foreact.forecasting.judging.accuracy import Accuracy
from foreact.forecasting.judging.gate import GateOutcome
from foreact.registry import Versions
from foreact.reports.markdown import format_row
from foreact.runs.trained import Trained, TrainedStore

SHOWN = 200
# Stores whose challenger does not go live are listed first.
ORDER = (GateOutcome.FALLBACK, GateOutcome.KEPT, GateOutcome.PROMOTED)


def summarize_decisions(record: Trained, versions: Versions) -> str:
    """List each store's decision: first lost or refused champions, then models that did not go live."""
    stores = sorted(
        record.stores.values(),
        key=lambda store: (not store.held, not store.champion_problem, ORDER.index(store.outcome), store.store),
    )
    unusable = sum(bool(store.champion_problem) for store in stores)
    counts = record.count_outcomes()
    lines = [
        f"## Gate: {counts['promoted']:.0f} of {counts['stores']:.0f} stores promoted",
        "",
        f"Data as of {record.as_of}, {count_noun(record.horizon, record.spacing.period)} ahead. "
        f"Champion kept: {counts['kept']:.0f}; on a fallback: {counts['fallback']:.0f}; held back: "
        f"{counts['held']:.0f}.",
        *(["", f"**Live models that could not be used: {unusable}.** They come first below."] if unusable else []),
        "",
        "| store | decision | version | WAPE | champion's WAPE | why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for store in stores[:SHOWN]:
        registered = versions.stores[store.store]
        cells = [
            store.store,
            _describe_decision(store),
            registered.version or ("not registered yet" if registered.run else "none"),
            _format_figure(store.challenger_accuracy),
            _format_figure(store.champion_accuracy),
            store.held or store.fallback or store.reason,
        ]
        lines.append(format_row(cells))
    if len(stores) > SHOWN:
        lines.append(f"\n... and {len(stores) - SHOWN:,} more, all in the registry.")
    return "\n".join(lines) + "\n"


def _describe_decision(store: TrainedStore) -> str:
    if store.held:
        return "held back"
    return "champion kept" if store.outcome is GateOutcome.KEPT else store.outcome.value


def _format_figure(accuracy: Accuracy) -> str:
    return "" if accuracy.wape is None else f"{accuracy.wape:.3f}"
