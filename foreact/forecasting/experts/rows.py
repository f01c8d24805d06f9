"""What the chain's model is told of a cell ahead: numbers relative to the item's level, and texts that name things.

A row is an item, an origin and a day ahead of it. Everything about units is read before the origin, by differences of
cumulated arrays, so that rows of any items and origins are described at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Codes, Doubles, Floats
from foreact.forecasting.inputs.columns import column_texts, daily_values
from foreact.forecasting.items.history import NEAR_DAYS, last_year_mean, ratio_or_nan, sums_before, weekday_sums
from foreact.forecasting.items.levels import levels_at
from foreact.forecasting.reading import PanelReading
from foreact.forecasting.totals.design import weekday_numbers
from foreact.forecasting.totals.feasts import easter_distances
from foreact.spacing import Spacing

# In weeks, or in longer periods where there are no weeks.
WINDOWS = (1, 2, 4, 8, 16, 52)
SELLING_WINDOWS = (4, 16)
WEEKDAY_WINDOWS = (1, 2, 4, 12, 52)
LAGS = (1, 2, 3)
# The first and the last day that move with Easter.
FEASTS = (-52, 61)
LONGEST_SILENCE, OLDEST = 400.0, 1000.0


@dataclass(frozen=True)
class Rows:
    """Described rows: numbers by name, texts by name, and the level that all units are relative to."""

    numbers: dict[str, Floats]
    texts: dict[str, NDArray[np.str_]]
    level: Doubles


def describe_rows(reading: PanelReading, season: Doubles, items: Codes, origins: Codes, days: Codes) -> Rows:
    """Describe the cells of `items` on `days` as seen from `origins`; `season` is groups x all days, as logs."""
    level = levels_at(reading.history, reading.usual, items, origins)
    numbers: dict[str, Doubles] = {"log level": np.log(level), "lead": (days - origins + 1).astype(float)}
    _add_recent_sales(reading, items, origins, level, numbers)
    _add_same_weekdays(reading, items, origins, days, level, numbers)
    _add_last_year(reading, items, origins, days, level, numbers)
    _add_calendar(reading, season, items, origins, days, numbers)
    _add_item_columns(reading, items, origins, days, numbers)
    texts = _name_things(reading, items, days)
    _add_daily_columns(reading, days, numbers, texts)
    return Rows({name: values.astype(np.float32) for name, values in numbers.items()}, texts, level)


def _add_recent_sales(
    reading: PanelReading, items: Codes, origins: Codes, level: Doubles, numbers: dict[str, Doubles]
) -> None:
    history, week = reading.history, reading.panel.spacing.week
    for weeks in WINDOWS:
        numbers[f"mean of {weeks}"] = ratio_or_nan(*sums_before(history, items, origins, weeks * week)) / level
    for weeks in SELLING_WINDOWS:
        start = np.maximum(origins - weeks * week, 0)
        numbers[f"selling share of {weeks}"] = ratio_or_nan(
            history.selling[items, origins] - history.selling[items, start],
            history.evidence[items, origins] - history.evidence[items, start],
        )
    for lag in LAGS:
        day = np.maximum(origins - lag, 0)
        seen = (history.evidence[items, day + 1] > history.evidence[items, day]) & (origins >= lag)
        numbers[f"lag {lag}"] = np.where(seen, history.filled[items, day], np.nan) / level
    numbers["since a sale"] = np.minimum(origins - 1 - history.last_sale[items, origins], LONGEST_SILENCE)
    numbers["age"] = np.clip(origins - history.first_sale[items], 0, OLDEST).astype(float)


def _add_same_weekdays(
    reading: PanelReading, items: Codes, origins: Codes, days: Codes, level: Doubles, numbers: dict[str, Doubles]
) -> None:
    if reading.panel.spacing.week == 1:
        return
    for weeks in WEEKDAY_WINDOWS:
        sold, seen = weekday_sums(reading.history, items, origins, days, weeks)
        numbers[f"same weekday of {weeks}"] = ratio_or_nan(sold, seen) / level


def _add_last_year(
    reading: PanelReading, items: Codes, origins: Codes, days: Codes, level: Doubles, numbers: dict[str, Doubles]
) -> None:
    history, spacing = reading.history, reading.panel.spacing
    before = ratio_or_nan(*sums_before(history, items, np.maximum(origins - spacing.year, 0), spacing.month))
    numbers["against last year"] = level / (before + history.floor)
    before = before + history.floor / spacing.month
    for reach in NEAR_DAYS[spacing]:
        numbers[f"last year within {reach}"] = last_year_mean(history, items, origins, days, reach) / before


def _add_calendar(
    reading: PanelReading, season: Doubles, items: Codes, origins: Codes, days: Codes, numbers: dict[str, Doubles]
) -> None:
    dates, spacing = reading.panel.dates, reading.panel.spacing
    if spacing is Spacing.DAILY:
        numbers["weekday"] = weekday_numbers(dates)[days].astype(float)
        numbers["day of month"] = (dates - dates.astype("datetime64[M]")).astype(int)[days].astype(float)
        # Feasts that move with Easter, from Carnival to Corpus Christi.
        easter = easter_distances(dates)[days].astype(float)
        numbers["days from Easter"] = np.where((easter >= FEASTS[0]) & (easter <= FEASTS[1]), easter, np.nan)
    numbers["day of year"] = (dates - dates.astype("datetime64[Y]")).astype(int)[days].astype(float)
    # The season of the totals against its mean over the month before the origin.
    sums = np.zeros((len(season), season.shape[1] + 1))
    np.cumsum(season, axis=1, out=sums[:, 1:])
    group, start = reading.codes[items], np.maximum(origins - spacing.month, 0)
    usual = (sums[group, origins] - sums[group, start]) / np.maximum(origins - start, 1)
    numbers["season"] = season[group, days] - usual


def _add_item_columns(
    reading: PanelReading, items: Codes, origins: Codes, days: Codes, numbers: dict[str, Doubles]
) -> None:
    panel, spacing = reading.panel, reading.panel.spacing
    for name, (log_price, sums, counts) in reading.history.prices.items():
        price = log_price[items, days].astype(np.float64)
        numbers[name] = price
        for window in (spacing.month, spacing.year):
            start = np.maximum(origins - window, 0)
            usual = ratio_or_nan(
                sums[items, origins] - sums[items, start], counts[items, origins] - counts[items, start]
            )
            numbers[f"{name} against {window}"] = price - usual
    end = len(panel.dates) - 1
    for name in reading.columns.item_flags:
        if name in panel.known:
            for shift, label in ((0, name), (-1, f"{name} before"), (1, f"{name} after")):
                numbers[label] = panel.known[name][items, np.clip(days + shift, 0, end)].astype(np.float64)
    for name in reading.columns.item_numbers:
        if name in panel.known:
            numbers[name] = panel.known[name][items, days].astype(np.float64)


def _add_daily_columns(
    reading: PanelReading, days: Codes, numbers: dict[str, Doubles], texts: dict[str, NDArray[np.str_]]
) -> None:
    panel, columns = reading.panel, reading.columns
    end = len(panel.dates) - 1
    for name in [*columns.flags, *columns.numbers, *columns.events, *columns.levels]:
        values = daily_values(panel, name) if name in panel.known else None
        if values is None:
            continue
        for shift, label in ((0, name), (-1, f"{name} before"), (1, f"{name} after")):
            day = np.clip(days + shift, 0, end)
            if name in columns.flags or name in columns.numbers:
                numbers[label] = values[day].astype(np.float64)
            else:
                texts[label] = column_texts(panel, name, values)[day]


def _name_things(reading: PanelReading, items: Codes, days: Codes) -> dict[str, NDArray[np.str_]]:
    """Return the names of the store, the items and all their attributes."""
    panel = reading.panel
    texts = {"store": np.full(len(days), panel.store), "item": panel.items[items]}
    for name, values in panel.attributes.items():
        texts[f"item's {name}"] = values[items]
    for name, value in panel.store_attributes.items():
        texts[f"store's {name}"] = np.full(len(days), value)
    return texts
