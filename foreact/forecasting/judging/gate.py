"""The gate: a challenger goes live only if the backtest says that it is no worse than what is live."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.judging.accuracy import Accuracy


class GateOutcome(StrEnum):
    """What becomes of a store's challenger."""

    # The challenger goes live.
    PROMOTED = "promoted"
    # The champion stays live because it is better.
    KEPT = "kept"
    # Neither the challenger nor the champion makes the numbers: an older model or a baseline does.
    FALLBACK = "fallback"


@dataclass(frozen=True)
class Decision:
    """The gate's outcome for a store, the reason, and the accuracy that it was decided on."""

    outcome: GateOutcome
    reason: str
    # For readers of the publication: what makes the numbers instead, and why; None unless the outcome is a fallback.
    fallback: str | None = None
    accuracy: Accuracy = field(default_factory=Accuracy)
    champion_accuracy: Accuracy = field(default_factory=Accuracy)
    baselines: Mapping[Simple, Accuracy] = field(default_factory=dict)


def decide_outcome(
    challenger: Accuracy, baselines: Mapping[Simple, Accuracy], champion: Accuracy | None, margin: float
) -> Decision:
    """Compare scaled errors on the same windows: with every simple method's, and the champion's within the margin."""
    outcome, reason = _judge_challenger(challenger, baselines, champion, margin)
    fallback = None
    if outcome is GateOutcome.FALLBACK:
        fallback = f"{best_simple(baselines).label} is published instead: the new model's {reason}"
    return Decision(outcome, reason, fallback, challenger, champion or Accuracy(), baselines)


def best_simple(baselines: Mapping[Simple, Accuracy]) -> Simple:
    """Return the simple method with the smallest error; the mean by weekday where none was measured."""
    errors = {method: each.scaled_error for method, each in baselines.items() if each.scaled_error is not None}
    return min(errors, key=lambda method: errors[method]) if errors else Simple.WEEKDAY_MEAN


def _judge_challenger(
    challenger: Accuracy, baselines: Mapping[Simple, Accuracy], champion: Accuracy | None, margin: float
) -> tuple[GateOutcome, str]:
    """Return the outcome and its reason."""
    error = challenger.scaled_error
    best = best_simple(baselines)
    simple_error = baselines.get(best, Accuracy()).scaled_error
    if error is None or simple_error is None:
        if champion is not None:
            return GateOutcome.KEPT, "too short a history for a backtest"
        return GateOutcome.PROMOTED, "the first model; too short a history for a backtest"
    # Not ">", because an error that is not a number beats nothing.
    if not error <= simple_error:
        reason = f"scaled error {error:.3f} is worse than that of {best.label}, {simple_error:.3f}"
        if champion is None:
            return GateOutcome.FALLBACK, reason
        # Not ">" here either: a live model that cannot be judged has not lost.
        lost = champion.scaled_error is not None and champion.scaled_error > simple_error
        return (GateOutcome.FALLBACK, f"{reason}, and so is the live one's") if lost else (GateOutcome.KEPT, reason)
    if champion is None:
        return (
            GateOutcome.PROMOTED,
            f"the first model; scaled error {error:.3f} beats that of {best.label}, {simple_error:.3f}",
        )
    return _compare_champion(error, champion.scaled_error, margin)


def _compare_champion(error: float, champion_error: float | None, margin: float) -> tuple[GateOutcome, str]:
    """Return the outcome of a challenger that beats the simple methods, and its reason."""
    if champion_error is None or not math.isfinite(champion_error):
        reason = f"scaled error {error:.3f}; the live model cannot be judged on these windows"
        return GateOutcome.PROMOTED, reason
    if error <= champion_error * (1 + margin):
        reason = f"scaled error {error:.3f} is within {margin:.0%} of the live model's {champion_error:.3f} or better"
        return GateOutcome.PROMOTED, reason
    reason = f"scaled error {error:.3f} is worse than the live model's {champion_error:.3f} by more than {margin:.0%}"
    return GateOutcome.KEPT, reason
