"""Earlier forecasts of an item, scored by what was sold."""

import numpy as np
import pytest

from foreact.outlines.tables import WideTable
from serving.analysis.scoring import ItemScore, score_item
from tests.serving.analysis.conftest import Load


def test_a_score_is_of_the_days_that_are_known_by_now(load: Load) -> None:
    arrays = load(["S1"])["S1"]
    dates = arrays.dates - 10
    sold = arrays.past[1][np.searchsorted(arrays.past_dates, dates[:10])]
    band = {"mean": sold + 2, "p10": sold - 1, "p90": sold + 3}
    band["p90"][0] = sold[0] - 1
    forecast = WideTable(
        (arrays.items[1],),
        dates,
        {name: np.append(units, np.zeros(4, np.float32))[None] for name, units in band.items()},
        14,
    )
    score = score_item([("2026-02-19", forecast)], arrays, 1)
    assert score is not None
    assert score == ItemScore("2026-02-19", 10, sold.sum() + 20, sold.sum(), 9, pytest.approx(20 / sold.sum()))
    # Of another item the forecast says nothing.
    assert score_item([("2026-02-19", forecast)], arrays, 0) is None


def test_a_forecast_that_has_met_no_sales_is_passed_over(load: Load) -> None:
    arrays = load(["S1"])["S1"]
    ahead = WideTable(arrays.items, arrays.dates, {"mean": arrays.mean, "p10": arrays.p10, "p90": arrays.p90}, 14)
    assert score_item([("2026-03-01", ahead)], arrays, 0) is None
    met = WideTable(arrays.items, arrays.dates - 14, ahead.columns, 14)
    score = score_item([("2026-03-01", ahead), ("2026-02-15", met)], arrays, 0)
    assert score is not None
    assert (score.as_of, score.days) == ("2026-02-15", 14)
