"""Totals and items: each has its say, and in the end they agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreact.forecasting.reconcile import (
    ITEMS_SHARE,
    blend_totals,
    reconcile_items,
    sum_by_group,
    tie_quantiles,
)

amounts = st.lists(st.floats(0, 1e5), min_size=12, max_size=12).map(lambda cells: np.array(cells).reshape(3, 4))


@settings(deadline=None)
@given(totals=amounts, sums=amounts, bias=st.one_of(st.none(), st.floats(-0.5, 0.5)))
def test_a_blend_lies_near_its_totals_and_leaves_what_is_closed(
    totals: np.ndarray, sums: np.ndarray, bias: float | None
) -> None:
    mixed = blend_totals(totals, sums, bias)
    assert np.isfinite(mixed).all()
    assert (mixed[totals == 0] == 0).all()
    assert (mixed <= totals * 3.0**ITEMS_SHARE * (1 + 1e-9)).all()
    assert (mixed >= totals / 3.0**ITEMS_SHARE * (1 - 1e-9)).all()


def test_items_that_are_over_as_usual_change_nothing_and_their_days_shape_has_a_say() -> None:
    totals = np.array([[10.0, 20.0], [30.0, 40.0]])
    np.testing.assert_allclose(blend_totals(totals, totals * 0.9, np.log(0.9)), totals)
    np.testing.assert_allclose(blend_totals(totals, totals * 0.9, None), totals)
    assert blend_totals(totals, totals * 1.1, 0.0).sum() == pytest.approx(totals.sum() * 1.1**ITEMS_SHARE)
    later = blend_totals(totals, totals * [0.8, 1.2], 0.0)
    assert (later[:, 0] < totals[:, 0]).all()
    assert (later[:, 1] > totals[:, 1]).all()


def test_items_add_up_to_their_groups() -> None:
    codes = np.array([0, 0, 1, 1])
    items = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    totals = np.array([[6.0, 5.0], [10.0, 20.0]])
    closed = np.array([False, True])
    agreed = reconcile_items(items, totals, codes, closed)
    np.testing.assert_allclose(sum_by_group(agreed, codes, 2), totals * ~closed)


SHARES = (0.05, 0.1, 0.5, 0.9, 0.98)


@settings(deadline=None)
@given(mean=amounts, spread=st.floats(0, 3), whole=st.floats(0, 3))
def test_quantiles_of_items_agree_with_those_of_totals(mean: np.ndarray, spread: float, whole: float) -> None:
    steps = np.array(SHARES) - 0.5
    items = (mean * np.maximum(0, 1 + spread * steps)[:, None, None]).astype(np.float32)
    totals = (mean.sum(0) * np.maximum(0, 1 + whole * steps)[:, None]).astype(np.float32)
    tied = tie_quantiles(items, totals, mean, SHARES)
    sums, slack = tied.sum(1, dtype=np.float64), 1e-4 * totals.max() + 1e-6
    assert (sums[3:] >= totals[3:] - slack).all()
    assert (sums[:2] <= totals[:2] + slack).all()
    assert (np.diff(tied, axis=0) >= 0).all()
    assert (tied >= 0).all()
    if whole <= spread:
        np.testing.assert_allclose(tied, items, rtol=1e-5)
