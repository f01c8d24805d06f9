"""The gate: a challenger goes live only if the backtest says that it is no worse than what is live."""

import math
from dataclasses import dataclass, field

from foreact.forecasting.judging.baselines import BASELINES, NAIVE


@dataclass(frozen=True)
class Decision:
    """Whether a store's new model goes live, why, and the figures that decided."""

    store: str
    promoted: bool
    reason: str
    # Why neither a new model nor one that was live made the published numbers, or nothing.
    fallback: str | None = None
    accuracy: dict[str, float] = field(default_factory=dict)
    champion_accuracy: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)


def decide_outcome(  # noqa: PLR0911
    store: str, challenger: dict[str, float], champion: dict[str, float] | None, margin: float, champion_there: bool
) -> Decision:
    """Compare scaled errors on the same windows: with seasonal naive's, and with the champion's within the margin."""
    accuracy = {k: v for k, v in challenger.items() if not k.startswith(BASELINES)}
    baselines = {
        name: {k.removeprefix(f"{name}_"): v for k, v in challenger.items() if k.startswith(name)} for name in BASELINES
    }

    def decision(promoted: bool, reason: str, fallback: str | None = None) -> Decision:
        theirs = {k: v for k, v in (champion or {}).items() if not k.startswith(BASELINES)}
        return Decision(store, promoted, reason, fallback, accuracy, theirs, baselines)

    ours = challenger.get("scaled_error")
    if ours is None:
        if champion_there:
            return decision(False, "too short a history for a backtest")
        return decision(True, "the first model; too short a history for a backtest")
    naive = challenger[f"{NAIVE}_scaled_error"]
    if not ours <= naive:
        reason = f"scaled error {ours:.3f} is worse than seasonal naive's {naive:.3f}"
        instead = None if champion_there else f"seasonal naive is published instead: the new model's {reason}"
        return decision(False, reason, instead)
    if not champion_there:
        return decision(True, f"the first model; scaled error {ours:.3f} beats seasonal naive's {naive:.3f}")
    theirs = (champion or {}).get("scaled_error")
    if theirs is None or not math.isfinite(theirs):
        return decision(True, f"scaled error {ours:.3f}; the live model cannot be judged on these windows")
    if ours <= theirs * (1 + margin):
        return decision(
            True, f"scaled error {ours:.3f} is within {margin:.0%} of the live model's {theirs:.3f} or better"
        )
    return decision(
        False, f"scaled error {ours:.3f} is worse than the live model's {theirs:.3f} by more than {margin:.0%}"
    )
