import pytest

from foreact.forecasting.judging.gate import Decision, decide_outcome

NAIVE = {"seasonal_naive_scaled_error": 1.0}


def decided(ours: float, theirs: float | None, margin: float = 0.02) -> Decision:
    champion = None if theirs is None else {"scaled_error": theirs, **NAIVE}
    return decide_outcome("s1", {"scaled_error": ours, **NAIVE}, champion, margin, theirs is not None)


@pytest.mark.parametrize(
    ("ours", "theirs", "promoted"),
    [
        (0.5, None, True),
        (1.1, None, False),
        (0.5, 0.5, True),
        (0.509, 0.5, True),
        (0.511, 0.5, False),
        (0.4, 0.5, True),
        (1.1, 2.0, False),
        (float("nan"), None, False),
        (float("inf"), None, False),
        (float("nan"), 0.5, False),
        (0.5, float("nan"), True),
        (0.5, float("inf"), True),
    ],
)
def test_a_challenger_needs_to_beat_naive_and_match_the_champion(
    ours: float, theirs: float | None, promoted: bool
) -> None:
    decision = decided(ours, theirs)
    assert decision.promoted is promoted
    # A live model that the gate keeps is no fallback: that is the gate at work.
    assert (decision.fallback is None) is (promoted or theirs is not None)
    assert decision.baselines["seasonal_naive"] == {"scaled_error": 1.0}


def test_without_a_backtest_the_champion_stays_and_a_first_model_goes_live() -> None:
    assert decide_outcome("s1", {}, None, 0.02, False).promoted
    kept = decide_outcome("s1", {}, {}, 0.02, True)
    assert not kept.promoted
    assert kept.fallback is None
