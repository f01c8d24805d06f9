"""Weights follow from errors in backtests: who errs less gets more, and little evidence leaves them even."""

import numpy as np
import pytest

from foreact.forecasting.experts.evidence import (
    KINDS,
    Evidence,
    Weights,
    add_evidence,
    gather_evidence,
    learn_weights,
)
from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.inputs.scale import Scale, read_scale

NAMES = ("good", "bad", "plain")


def evidence(*spreads: float, windows: int = 4, seed: int = 1) -> list[Evidence]:
    """Return windows in which each expert errs by its own spread, independently of the others."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(windows):
        miss = random.normal(size=(len(spreads), 200)) * np.array(spreads)[:, None]
        products = miss @ miss.T
        made.append(Evidence(NAMES[: len(spreads)], products, np.stack([products] * len(KINDS))))
    return made


def test_the_better_expert_gets_more_and_a_hopeless_one_nothing_much() -> None:
    weights = learn_weights(evidence(1.0, 20.0, 2.0), [], NAMES)
    good, bad, plain = weights.totals
    assert good > plain > bad
    assert bad < 0.05
    assert weights.totals.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights.items.sum(1), 1)


def test_without_evidence_all_count_the_same() -> None:
    np.testing.assert_allclose(learn_weights([], [], NAMES).totals, 1 / 3)


def test_one_window_leans_more_to_equal_weights_than_many_that_say_the_same() -> None:
    window = evidence(1.0, 3.0, windows=1)
    one, many = (learn_weights(window * count, [], NAMES[:2]).totals for count in (1, 20))
    assert 0.5 < one[0] < many[0]


def test_a_store_without_windows_follows_the_chain() -> None:
    chain = add_evidence(evidence(20.0, 1.0, 2.0))
    assert chain is not None
    assert learn_weights([], [chain], NAMES).totals.argmax() == 1


def test_an_expert_that_is_missing_leaves_its_share_to_the_others() -> None:
    weights = Weights(NAMES, np.array([0.5, 0.3, 0.2]), np.tile([0.5, 0.3, 0.2], (len(KINDS), 1)))
    np.testing.assert_allclose(weights.select_experts(["good", "plain"]).totals, [5 / 7, 2 / 7])
    assert Weights.from_json(weights.to_json()).to_json() == weights.to_json()


def test_errors_count_relative_to_the_reference() -> None:
    scale: Scale = read_scale(np.full((2, 60), 5, np.float32), np.full((1, 60), 10.0), np.zeros(2, np.int64), 28)
    actual: Doubles = np.full((2, 7), 5.0)
    opinions = {"good": actual + 1, "plain": actual + 2}
    found = gather_evidence(opinions, actual, scale, np.array([3, 3]), "plain")
    assert found.items[3, 1, 1] == pytest.approx(1)
    assert found.items[3, 0, 0] == pytest.approx(1 / 4)
    assert not found.items[0].any()
