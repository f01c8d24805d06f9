"""The features of the model of items; nothing after the origin in units or stock-outs changes a feature.

A row is an item, an origin and a day ahead of it. Sums over any window are differences of cumulated arrays, which are
read at or before the origin only.
"""

import numpy as np

from foreact.forecasting.inputs.arrays import Codes, Doubles, Floats
from foreact.forecasting.inputs.columns import daily_values
from foreact.forecasting.items.history import (
    NEAR_DAYS,
    NEXT_EVENT_DAYS,
    ItemHistory,
    last_year_mean,
    ratio_or_nan,
    weekday_sums,
    window_sums,
)
from foreact.forecasting.totals.design import weekday_numbers

# In weeks; periods longer than a week take their place.
WINDOWS = (1, 2, 8, 16, 52)
SELLING_WINDOWS = (4, 16)
WEEKDAY_WINDOWS = (4, 12, 52)


def origin_features(history: ItemHistory, origin: int, level: Doubles) -> tuple[list[str], Floats]:
    """Return the names and values of every item's features as of the origin."""
    columns: dict[str, Doubles] = {"log level": np.log(level)}
    spacing = history.panel.spacing
    for weeks in WINDOWS:
        sold, seen = window_sums(history, origin, weeks * spacing.week)
        columns[f"mean of {weeks}"] = ratio_or_nan(sold, seen) / level
    for weeks in SELLING_WINDOWS:
        start = max(0, origin - weeks * spacing.week)
        selling = history.selling[:, origin] - history.selling[:, start]
        columns[f"selling days of {weeks}"] = ratio_or_nan(
            selling, history.evidence[:, origin] - history.evidence[:, start]
        )
    columns["days since a sale"] = np.minimum(origin - 1 - history.last_sale[:, origin], 400).astype(float)
    columns["age"] = np.clip(origin - history.first_sale, 0, 1000).astype(float)
    before, before_seen = window_sums(history, max(0, origin - spacing.year), spacing.month)
    columns["against last year"] = level / (ratio_or_nan(before, before_seen) + history.floor)
    columns["group"] = history.codes.astype(float)
    for name, values in history.columns.attributes.items():
        if name != history.columns.group and name in history.panel.attributes:
            place = {value: i for i, value in enumerate(values)}
            columns[name] = np.array([place.get(v, -1) for v in history.panel.attributes[name].tolist()], float)
    for name, yes in history.columns.flags.items():
        columns[f"lift of {name}"] = _flag_lift(history, origin, name, yes)
    return list(columns), np.column_stack(list(columns.values())).astype(np.float32)


def day_features(
    history: ItemHistory, origin: int, level: Doubles, rows: Codes, days: Codes
) -> tuple[list[str], Floats]:
    """Return the names and values of the features of items `rows` on `days` as seen from the origin."""
    own = level[rows]
    columns: dict[str, Doubles] = {"horizon": (days - origin + 1).astype(float)}
    spacing = history.panel.spacing
    origins = np.full(len(rows), origin)
    for weeks in WEEKDAY_WINDOWS:
        sold, seen = weekday_sums(history, rows, origins, days, weeks)
        columns[f"same weekday of {weeks} weeks"] = ratio_or_nan(sold, seen) / own
    _add_last_year(history, origin, rows, days, columns)
    dates = history.panel.dates
    columns["weekday"] = weekday_numbers(dates)[days].astype(float)
    columns["day of month"] = (dates - dates.astype("datetime64[M]")).astype(int)[days].astype(float)
    columns["day of year"] = (dates - dates.astype("datetime64[Y]")).astype(int)[days].astype(float)
    group = history.codes[rows]
    base = history.season[:, max(0, origin - spacing.month) : max(origin, 1)].mean(1)
    columns["season"] = history.season[group, days] - base[group]
    if len(history.events):
        code, ahead, since, coming = history.events[:, days].astype(float)
        # Nothing beyond the horizon was known at the origin.
        unseen = days + ahead >= origin + history.panel.horizon
        columns["event"] = code
        columns["days since an event"] = since
        columns["days to an event"] = np.where(unseen, NEXT_EVENT_DAYS, ahead)
        columns["coming event"] = np.where(unseen, 0.0, coming)
    _add_known(history, origin, rows, days, columns)
    return list(columns), np.column_stack(list(columns.values())).astype(np.float32)


def _add_last_year(history: ItemHistory, origin: int, rows: Codes, days: Codes, columns: dict[str, Doubles]) -> None:
    spacing = history.panel.spacing
    before, seen = window_sums(history, max(0, origin - spacing.year), spacing.month)
    own = (ratio_or_nan(before, seen) + history.floor / spacing.month)[rows]
    origins = np.full(len(rows), origin)
    for reach in NEAR_DAYS[spacing]:
        columns[f"last year within {reach}"] = last_year_mean(history, rows, origins, days, reach) / own


def _add_known(history: ItemHistory, origin: int, rows: Codes, days: Codes, columns: dict[str, Doubles]) -> None:
    panel, spacing = history.panel, history.panel.spacing
    for name, (log_price, sums, counts) in history.prices.items():
        price = log_price[rows, days].astype(np.float64)
        columns[name] = price
        for window in (spacing.month, spacing.year):
            start = max(0, origin - window)
            mean = ratio_or_nan(sums[:, origin] - sums[:, start], counts[:, origin] - counts[:, start])
            columns[f"{name} against {window}"] = price - mean[rows]
    for name in [*history.columns.item_flags, *history.columns.item_numbers]:
        if name in panel.known:
            columns[name] = panel.known[name][rows, days].astype(np.float64)
    for name in [*history.columns.flags, *history.columns.numbers]:
        values = daily_values(panel, name) if name in panel.known else None
        if values is not None:
            columns[name] = values[days].astype(np.float64)


def _flag_lift(history: ItemHistory, origin: int, name: str, yes: float) -> Doubles:
    """Return the log ratio of an item's sales on flag days to the others, over the last year."""
    values = daily_values(history.panel, name) if name in history.panel.known else None
    if values is None:
        return np.zeros(len(history.codes))
    start = max(0, origin - history.panel.spacing.year)
    up = (values[start:origin] == yes).astype(np.float32)
    sold = history.filled[:, start:origin] @ np.column_stack([up, 1 - up])
    days_up, days_down = up.sum(), len(up) - up.sum()
    if days_up == 0 or days_down == 0:
        return np.zeros(len(history.codes))
    return np.asarray(np.log((sold[:, 0] + 3) / days_up) - np.log((sold[:, 1] + 3) / days_down), np.float64)
