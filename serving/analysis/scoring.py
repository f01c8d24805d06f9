"""How an earlier forecast of an item did, now that its sales are known."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foreact.forecasting.forecast import ROUNDING
from foreact.outlines.past import units_sold_on
from foreact.outlines.tables import WideTable
from foreact.vocabulary import MEAN, P10, P90
from serving.publication import StoreData
from serving.publication.earlier import EarlierForecast


@dataclass(frozen=True)
class ItemScore:
    """An earlier forecast of an item beside what was sold, on the days that are known by now."""

    as_of: str
    days: int
    forecast: float
    sold: float
    # Days whose sales are inside the band.
    inside: int
    # The sum of the days' misses as a share of what was sold; None if nothing was.
    error: float | None


def score_item(earlier: Iterable[EarlierForecast], arrays: StoreData, row: int) -> ItemScore | None:
    """Score the first of the earlier forecasts that has met sales of an item; None if none has yet."""
    for as_of, forecast in earlier:
        score = _score_forecast(as_of, forecast, arrays, row)
        if score is not None:
            return score
    return None


def _score_forecast(as_of: str, forecast: WideTable, arrays: StoreData, row: int) -> ItemScore | None:
    item = arrays.items[row]
    if item not in forecast.labels:
        return None
    days = forecast.dates[forecast.dates <= np.datetime64(arrays.entry.as_of)]
    sold = units_sold_on(arrays, arrays.past[row][None], days)[0]
    known = np.flatnonzero(np.isfinite(sold))
    if not len(known):
        return None
    place = forecast.labels.index(item)
    mean, low, high = (forecast.columns[name][place][known] for name in (MEAN, P10, P90))
    sold = sold[known]
    return ItemScore(
        as_of=as_of,
        days=len(known),
        forecast=float(mean.sum()),
        sold=float(sold.sum()),
        inside=int(((sold >= low - ROUNDING) & (sold <= high + ROUNDING)).sum()),
        error=float(np.abs(mean - sold).sum() / sold.sum()) if sold.sum() > 0 else None,
    )
