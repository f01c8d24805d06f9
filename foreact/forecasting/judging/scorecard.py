"""The live scorecard: earlier publications compared with the actuals since."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.experts.simple import Simple, forecast_simply
from foreact.forecasting.forecast import ROUNDING
from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.judging.backtest import read_actuals
from foreact.spacing import Spacing


@dataclass(frozen=True)
class PublishedForecast:
    """A store's forecasts as published, one row an item and day, and the last day of data they were made from."""

    as_of: np.datetime64
    items: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    mean: Doubles
    p10: Doubles
    p90: Doubles


@dataclass(frozen=True)
class Score:
    """The figures of one publication at one lead in days; lead 0 stands for all of its days so far."""

    store: str
    published_as_of: np.datetime64
    lead: int
    cells: int
    units: float
    wape: float
    bias: float
    coverage: float
    # The share of items whose absolute error is smaller than seasonal naive's from the same day; NaN by lead.
    beats_naive: float


def score_published(panel: Panel, previous: Sequence[PublishedForecast]) -> list[Score]:
    """Return the scores of every earlier publication of the store on the days since."""
    scores: list[Score] = []
    for published in previous:
        scores += _score_publication(panel, published)
    return scores


def _score_publication(panel: Panel, published: PublishedForecast) -> list[Score]:
    row = {item: i for i, item in enumerate(panel.items.tolist())}
    rows = np.array([row.get(item, -1) for item in published.items.tolist()], np.int64)
    count, first = panel.spacing.count_periods, panel.dates[0]
    days = count(first, published.dates)
    origin = int(count(first, np.array([published.as_of]))[0]) + 1
    past = (rows >= 0) & (days >= max(origin, 0)) & (days < panel.days)
    if not past.any() or origin < 1:
        return []
    truth = read_actuals(panel).astype(np.float64)
    rows, days = rows[past], days[past]
    actual, mean, low, high = truth[rows, days], published.mean[past], published.p10[past], published.p90[past]
    known = np.isfinite(actual)
    leads = days - origin + 1
    parts = [(0, known), *((int(lead), known & (leads == lead)) for lead in np.unique(leads))]
    better = _share_beating_naive(truth, origin, rows[known], days[known], mean[known], panel.spacing)
    result = []
    for lead, part in parts:
        if part.any():
            y, f = actual[part], mean[part]
            sold = max(float(y.sum()), 1e-9)
            inside = (y >= low[part] - ROUNDING) & (y <= high[part] + ROUNDING)
            result.append(
                Score(
                    store=panel.store,
                    published_as_of=published.as_of,
                    lead=lead,
                    cells=int(part.sum()),
                    units=float(y.sum()),
                    wape=float(np.abs(f - y).sum()) / sold,
                    bias=float((f - y).sum()) / sold,
                    coverage=float(inside.mean()),
                    beats_naive=better if lead == 0 else float("nan"),
                )
            )
    return result


def _share_beating_naive(
    truth: Doubles, origin: int, rows: NDArray[np.int64], days: NDArray[np.int64], mean: Doubles, spacing: Spacing
) -> float:
    horizon = int(days.max(initial=origin)) - origin + 1
    history = truth[:, :origin].astype(np.float32)
    naive = forecast_simply(Simple.SEASONAL_NAIVE, history, horizon, spacing)
    actual = truth[rows, days]
    ours = np.bincount(rows, np.abs(mean - actual), len(truth))
    theirs = np.bincount(rows, np.abs(naive[rows, days - origin] - actual), len(truth))
    judged = np.unique(rows)
    judged = judged[(ours[judged] > 0) | (theirs[judged] > 0)]
    return float((ours[judged] < theirs[judged]).mean()) if len(judged) else float("nan")
