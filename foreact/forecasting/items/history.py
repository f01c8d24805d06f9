"""One panel's history of its items, cumulated so that a window's sum is the difference of two columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles, Floats
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.totals.design import Design
from foreact.spacing import Spacing

NEXT_EVENT_DAYS = 30
# Without a floor, an item that hardly ever sells has no level to be relative to.
FLOOR = 0.3
# Prices that cover this share of cells are a list of what is on sale.
MOST_LISTED = 0.5
# Around the same day of last year.
NEAR_DAYS = {Spacing.DAILY: (0, 3, 14), Spacing.WEEKLY: (0, 1, 2), Spacing.MONTHLY: (0,)}


@dataclass(frozen=True)
class PanelHistory:
    """One panel's history, cumulated so that any window before any origin is a difference of two columns."""

    panel: Panel
    first_sale: NDArray[np.int64]
    floor: float
    # items x (days + 1): sums of units, of evidence, of selling days over the days before.
    units: Doubles
    evidence: Floats
    selling: Floats
    # items x (days + 1): days on offer before the first sale.
    waiting: Floats
    # items x (days + week), the same over the same day of every week.
    weekly_units: Doubles
    weekly_evidence: Floats
    last_sale: NDArray[np.int32]
    filled: Floats
    prices: dict[str, tuple[Floats, Doubles, Floats]]


@dataclass(frozen=True)
class ItemHistory(PanelHistory):
    """A panel's history with one model's columns, groups, events and season."""

    columns: Columns
    codes: Codes
    # by day: which event, days to the next, days since the last, which comes next; nothing without events.
    events: Floats
    # groups x all days: the season that the model of totals expects.
    season: Doubles


def read_history(panel: Panel, columns: Columns, demand: Demand) -> PanelHistory:
    """Cumulate a panel's history; nothing is evidence before an item's first sale."""
    filled = np.nan_to_num(demand.units)
    sold = filled > 0
    first = np.where(sold.any(1), sold.argmax(1), panel.days)
    known = np.isfinite(demand.units)
    known[:, demand.closed] = False
    begun = np.arange(panel.days) >= first[:, None]
    evidence = known & begun
    filled[~evidence] = 0.0
    prices = {name: _cumulate_price(panel, name) for name in columns.prices if name in panel.known}
    waiting = known & ~begun
    for log_price, _, _ in prices.values():
        listed = np.isfinite(log_price[:, : panel.days])
        if listed.mean() >= MOST_LISTED:
            waiting &= listed
    positive = filled[sold & evidence]
    last = np.maximum.accumulate(np.where(sold, np.arange(panel.days, dtype=np.int32), np.int32(-1)), axis=1)
    return PanelHistory(
        panel=panel,
        first_sale=first,
        floor=FLOOR * min(1.0, float(np.median(positive[:200_000]))) if len(positive) else FLOOR,
        units=_cumulate_days(filled, np.float64),
        evidence=_cumulate_days(evidence, np.float32),
        selling=_cumulate_days(sold & evidence, np.float32),
        waiting=_cumulate_days(waiting, np.float32),
        weekly_units=_cumulate_weekly(filled, panel.spacing.week, np.float64),
        weekly_evidence=_cumulate_weekly(evidence, panel.spacing.week, np.float32),
        last_sale=np.concatenate([np.full((len(filled), 1), -1, np.int32), last], axis=1),
        filled=filled,
        prices=prices,
    )


def complete_history(
    history: PanelHistory, columns: Columns, codes: Codes, *, design: Design, season: Doubles
) -> ItemHistory:
    """Add one model's columns, groups, events and season to a history."""
    return ItemHistory(**vars(history), columns=columns, codes=codes, events=_event_calendar(design), season=season)


def window_sums(history: PanelHistory, origin: int, days: int) -> tuple[Doubles, Doubles]:
    """Return each item's units and days with evidence in the window that ends at the origin."""
    items = np.arange(len(history.first_sale))
    return sums_before(history, items, np.full(len(items), origin), days)


def sums_before(history: PanelHistory, items: Codes, origins: Codes, days: int) -> tuple[Doubles, Doubles]:
    """Return the units and the days with evidence of `items` in the windows that end at `origins`."""
    start = np.maximum(origins - days, 0)
    sold = history.units[items, origins] - history.units[items, start]
    seen = history.evidence[items, origins] - history.evidence[items, start]
    return sold, seen.astype(np.float64)


def weekday_sums(
    history: PanelHistory, items: Codes, origins: Codes, days: Codes, weeks: int
) -> tuple[Doubles, Doubles]:
    """Return the units and the evidence of the same weekdays as `days` in the last `weeks` before the origins."""
    week = history.panel.spacing.week
    last = days - week * ((days - origins) // week + 1)
    start = np.maximum(last - week * weeks, last % week - week) + week
    sold = history.weekly_units[items, last + week] - history.weekly_units[items, start]
    seen = history.weekly_evidence[items, last + week] - history.weekly_evidence[items, start]
    return sold, seen.astype(np.float64)


def last_year_mean(history: PanelHistory, items: Codes, origins: Codes, days: Codes, reach: int) -> Doubles:
    """Return what `items` sold a day within `reach` of the same day last year, NaN where that is not yet over."""
    year = history.panel.spacing.year
    start, end = days - year - reach, days - year + reach + 1
    usable = (start >= 0) & (end <= origins)
    start, end = np.where(usable, start, 0), np.where(usable, end, 0)
    return ratio_or_nan(
        history.units[items, end] - history.units[items, start],
        history.evidence[items, end] - history.evidence[items, start],
    )


def ratio_or_nan(part: NDArray[np.floating], whole: NDArray[np.floating]) -> Doubles:
    """Return part over whole, NaN where the whole is nothing."""
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _event_calendar(design: Design) -> Floats:
    """Return, by day: which event it is, days to the next, days since the last, and which comes next."""
    on = [i for i, name in enumerate(design.names) if design.drivers[i] == "event" and name.endswith(" +0")]
    days = len(design.matrix)
    if not on:
        return np.zeros((0, days), np.float32)
    shown = design.matrix[:, on] > 0
    code = np.where(shown.any(1), shown.argmax(1) + 1, 0)
    place = np.flatnonzero(code)
    to, since, coming = (np.full(days, NEXT_EVENT_DAYS, float) for _ in range(3))
    coming[:] = 0
    if len(place):
        after = np.searchsorted(place, np.arange(days))
        has = after < len(place)
        ahead = np.where(has, place[np.minimum(after, len(place) - 1)] - np.arange(days), NEXT_EVENT_DAYS)
        to = np.minimum(ahead, NEXT_EVENT_DAYS).astype(float)
        coming = np.where(has & (ahead < NEXT_EVENT_DAYS), code[place[np.minimum(after, len(place) - 1)]], 0).astype(
            float
        )
        before = np.searchsorted(place, np.arange(days), side="right") - 1
        gone = np.where(before >= 0, np.arange(days) - place[np.maximum(before, 0)], NEXT_EVENT_DAYS)
        since = np.minimum(gone, NEXT_EVENT_DAYS).astype(float)
    return np.vstack([code, to, since, coming]).astype(np.float32)


def _cumulate_days(values: Floats | Bools, kind: Any) -> NDArray[Any]:
    result = np.zeros((values.shape[0], values.shape[1] + 1), kind)
    np.cumsum(values, axis=1, out=result[:, 1:], dtype=kind)
    return result


def _cumulate_weekly(values: Floats | Bools, week: int, kind: Any) -> NDArray[Any]:
    """Sum the same days of weeks: of seven days, column t + 7 holds days t, t - 7, t - 14 ..."""
    items, days = values.shape
    weeks = -(-days // week)
    padded = np.zeros((items, weeks * week), kind)
    padded[:, :days] = values
    result = np.zeros((items, weeks + 1, week), kind)
    np.cumsum(padded.reshape(items, weeks, week), axis=1, out=result[:, 1:], dtype=kind)
    return result.reshape(items, -1)


def _cumulate_price(panel: Panel, name: str) -> tuple[Floats, Doubles, Floats]:
    values = panel.known[name]
    log_price = np.log(values, out=np.full(values.shape, np.nan, np.float32), where=values > 0)
    listed = np.isfinite(log_price[:, : panel.days])
    filled = np.where(listed, log_price[:, : panel.days], 0)
    return log_price, _cumulate_days(filled, np.float64), _cumulate_days(listed, np.float32)
