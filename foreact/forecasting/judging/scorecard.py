"""The live scorecard: what was published before against what has come since."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.demand import Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.judging.backtest import read_truth
from foreact.forecasting.judging.baselines import NAIVE, forecast_baseline


@dataclass(frozen=True)
class Published:
    """A store's forecasts as they were published, one row an item and day, and the last day that they had seen."""

    as_of: np.datetime64
    items: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    mean: Doubles
    p10: Doubles
    p90: Doubles


@dataclass(frozen=True)
class Score:
    """How one publication did at one lead in days; lead 0 stands for all of its days that have come."""

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


def score_published(panel: Panel, previous: Sequence[Published]) -> list[Score]:
    """Score every earlier publication of the store on the days that have come since."""
    scores: list[Score] = []
    for published in previous:
        scores += _score_publication(panel, published)
    return scores


def _score_publication(panel: Panel, published: Published) -> list[Score]:
    row = {item: i for i, item in enumerate(panel.items.tolist())}
    rows = np.array([row.get(item, -1) for item in published.items.tolist()], np.int64)
    first = panel.dates[0].astype("datetime64[D]")
    days = (published.dates.astype("datetime64[D]") - first).astype(np.int64)
    origin = int((published.as_of.astype("datetime64[D]") - first).astype(np.int64)) + 1
    come = (rows >= 0) & (days >= max(origin, 0)) & (days < panel.days)
    if not come.any() or origin < 1:
        return []
    truth = read_truth(panel).astype(np.float64)
    rows, days = rows[come], days[come]
    actual, mean, low, high = truth[rows, days], published.mean[come], published.p10[come], published.p90[come]
    kept = np.isfinite(actual)
    leads = days - origin + 1
    parts = [(0, kept), *((int(lead), kept & (leads == lead)) for lead in np.unique(leads))]
    better = _beats_naive(truth, origin, rows[kept], days[kept], mean[kept])
    result = []
    for lead, part in parts:
        if part.any():
            y, f = actual[part], mean[part]
            sold = max(float(y.sum()), 1e-9)
            inside = (y >= low[part] - 1e-6) & (y <= high[part] + 1e-6)
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


def _beats_naive(truth: Doubles, origin: int, rows: NDArray[np.int64], days: NDArray[np.int64], mean: Doubles) -> float:
    horizon = int(days.max(initial=origin)) - origin + 1
    naive = forecast_baseline(NAIVE, truth[:, :origin].astype(np.float32), horizon, np.zeros(horizon, bool))
    actual = truth[rows, days]
    ours = np.bincount(rows, np.abs(mean - actual), len(truth))
    theirs = np.bincount(rows, np.abs(naive[rows, days - origin] - actual), len(truth))
    judged = np.unique(rows)
    judged = judged[(ours[judged] > 0) | (theirs[judged] > 0)]
    return float((ours[judged] < theirs[judged]).mean()) if len(judged) else float("nan")
