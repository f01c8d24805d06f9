"""The model of a store's items: one Poisson boosting over all of them and all days ahead, on top of level x season."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles, Floats
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.items.boosting import fit_boosting
from foreact.forecasting.items.features import day_features, origin_features
from foreact.forecasting.items.history import MOST_LISTED, ItemHistory, PanelHistory
from foreact.forecasting.items.levels import expected_units, item_levels

ORIGINS = 52
ROW_SHARE = 0.6
FEWEST_ITEMS = 10
FEWEST_ROWS = 2_000
# An item listed within so many days before a hole in a price list, and after it, is on sale.
LISTED_DAYS = 7


@dataclass(frozen=True)
class ItemsFit:
    """The fitted boosting and the names of its features, in order."""

    booster: Any
    names: list[str]


def fit_items(history: ItemHistory, seed: int) -> ItemsFit | None:
    """Fit the boosting on weekly origins, one random horizon each; None where there is too little to learn from."""
    rows = training_rows(history, seed)
    if rows is None:
        return None
    names, features, target, weight = rows
    return ItemsFit(fit_boosting(features, target, weight, seed), names)


def training_rows(history: ItemHistory, seed: int) -> tuple[list[str], Floats, Floats, Floats] | None:
    """Return names, features, targets and weights of the rows to fit on."""
    panel = history.panel
    if len(panel.items) < FEWEST_ITEMS:
        return None
    random = np.random.default_rng(seed)
    blocks: list[tuple[Floats, Floats, Floats]] = []
    names: list[str] = []
    for step in range(ORIGINS):
        origin = panel.days - panel.horizon - panel.spacing.week * step
        # The draws come first, so that a row's draw does not depend on the other rows.
        ahead = random.integers(0, panel.horizon, len(panel.items))
        drawn = random.random(len(panel.items)) < ROW_SHARE
        if origin < panel.spacing.month:
            break
        enough = history.evidence[:, origin] >= panel.spacing.month
        days = origin + ahead
        seen = history.evidence[np.arange(len(days)), days + 1] > history.evidence[np.arange(len(days)), days]
        rows = np.flatnonzero(enough & seen & drawn)
        if not len(rows):
            continue
        names, features, base = build_features(history, origin, rows, days[rows])
        sold = history.filled[rows, days[rows]]
        blocks.append((features, (sold / base).astype(np.float32), base.astype(np.float32)))
    if sum(len(target) for _, target, _ in blocks) < FEWEST_ROWS or not any(target.any() for _, target, _ in blocks):
        return None
    features, target, weight = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return names, features, target, weight


def build_features(history: ItemHistory, origin: int, rows: Codes, days: Codes) -> tuple[list[str], Floats, Doubles]:
    """Return the features of the rows and their expected units: level x season."""
    level = item_levels(history, origin)
    of_origin, fixed = origin_features(history, origin, level)
    of_day, moving = day_features(history, origin, level, rows, days)
    return of_origin + of_day, np.hstack([fixed[rows], moving]), expected_units(history, origin, level, rows, days)


def forecast_items(fit: ItemsFit | None, history: ItemHistory) -> Doubles:
    """Return items x horizon: level x season, corrected by the boosting, and 0 where an item is not on sale."""
    with single_thread():
        return _forecast_on_one_thread(fit, history)


def _forecast_on_one_thread(fit: ItemsFit | None, history: ItemHistory) -> Doubles:
    panel = history.panel
    rows, ahead = (place.ravel() for place in np.indices((len(panel.items), panel.horizon)))
    names, features, mean = build_features(history, panel.days, rows, panel.days + ahead)
    if fit is not None:
        mean = mean * fit.booster.predict(_arrange_features(names, features, fit.names))
    return mean.reshape(-1, panel.horizon) * on_sale(history)


def _arrange_features(names: list[str], features: Floats, wanted: list[str]) -> Floats:
    """Return the features in the order that the boosting was fitted on, NaN for those that are missing."""
    if names == wanted:
        return features
    position = {name: i for i, name in enumerate(names)}
    result = np.full((len(features), len(wanted)), np.nan, np.float32)
    for i, name in enumerate(wanted):
        if name in position:
            result[:, i] = features[:, position[name]]
    return result


def on_sale(history: PanelHistory) -> Doubles:
    """Return items x horizon: 0 where a price list that covers most items has none for this one, or it is closed."""
    panel = history.panel
    result = np.ones((len(panel.items), panel.horizon))
    for log_price, _, _ in history.prices.values():
        listed = np.isfinite(log_price[:, max(0, panel.days - LISTED_DAYS) :])
        reached = np.asarray(listed.any(0))
        if reached.any() and listed[:, reached].mean() >= MOST_LISTED:
            result *= _fill_holes(listed, reached)[:, listed.shape[1] - panel.horizon :]
    if panel.open is not None:
        result *= panel.open[:, panel.days :]
    return result


def _fill_holes(listed: Bools, reached: Bools) -> Bools:
    """Return what is on sale by a list: an item between its rows too, and as before where the list does not reach."""
    between = np.logical_or.accumulate(listed, axis=1) & np.logical_or.accumulate(listed[:, ::-1], axis=1)[:, ::-1]
    last = np.maximum.accumulate(np.where(reached, np.arange(len(reached)), reached.argmax()))
    return np.asarray(between[:, last])
