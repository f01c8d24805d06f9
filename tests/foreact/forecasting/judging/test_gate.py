import pytest

from foreact.forecasting.experts.simple import Simple
from foreact.forecasting.judging.accuracy import Accuracy
from foreact.forecasting.judging.gate import Decision, GateOutcome, decide_outcome

BASELINES = {Simple.SEASONAL_NAIVE: Accuracy(scaled_error=1.0)}
PROMOTED, KEPT, FALLBACK = GateOutcome.PROMOTED, GateOutcome.KEPT, GateOutcome.FALLBACK


def decide(challenger: float, champion: float | None, margin: float = 0.02) -> Decision:
    champion_accuracy = None if champion is None else Accuracy(scaled_error=champion)
    return decide_outcome(Accuracy(scaled_error=challenger), BASELINES, champion_accuracy, margin)


@pytest.mark.parametrize(
    ("challenger", "champion", "outcome"),
    [
        (0.5, None, PROMOTED),
        (1.1, None, FALLBACK),
        (0.5, 0.5, PROMOTED),
        (0.509, 0.5, PROMOTED),
        (0.511, 0.5, KEPT),
        (0.4, 0.5, PROMOTED),
        (1.1, 0.9, KEPT),
        (1.1, 2.0, FALLBACK),
        (1.1, float("nan"), KEPT),
        (float("nan"), None, FALLBACK),
        (float("inf"), None, FALLBACK),
        (float("nan"), 0.5, KEPT),
        (0.5, float("nan"), PROMOTED),
        (0.5, float("inf"), PROMOTED),
    ],
)
def test_a_challenger_needs_to_beat_naive_and_match_the_champion(
    challenger: float, champion: float | None, outcome: GateOutcome
) -> None:
    decision = decide(challenger, champion)
    assert decision.outcome is outcome
    # A live model that the gate keeps is no fallback: that is the gate at work.
    assert (decision.fallback is None) is (outcome is not FALLBACK)
    assert decision.baselines == BASELINES


def test_without_a_backtest_the_champion_stays_and_a_first_model_goes_live() -> None:
    assert decide_outcome(Accuracy(), {}, None, 0.02).outcome is PROMOTED
    kept = decide_outcome(Accuracy(), {}, Accuracy(), 0.02)
    assert kept.outcome is KEPT
    assert kept.fallback is None
