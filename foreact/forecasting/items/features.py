"""What the model of items sees; nothing after the origin in units or stock-outs changes a feature.

A row is an item, an origin and a day ahead of it. Sums over any window are differences of cumulated arrays, which are
read at or before the origin only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.columns import Codes, Columns, column_by_day
from foreact.forecasting.inputs.demand import Bools, Demand, Doubles
from foreact.forecasting.inputs.panel import Floats, Panel
from foreact.forecasting.totals.design import Design, read_weekdays

WINDOWS = (7, 14, 56, 112, 364)
SELLING_WINDOWS = (28, 112)
WEEKDAY_WINDOWS = (4, 12, 52)
LAST_YEAR = 364
LEVEL_DAYS = 28
PRIOR_DAYS = 14.0
# Without a floor, an item that hardly ever sells has no level to be relative to.
FLOOR = 0.3
NEXT_EVENT_DAYS = 30
# Prices that cover this much are a list of what is on sale.
MOST_LISTED = 0.5
# How clumped sales are (a negative binomial's size), and how likely an item is taken off at any time.
CLUMPS, DELISTED = 1.5, 0.02
# What a silent item keeps of its level: the way back from next to nothing is further than the boosting can tell.
FAINT = 0.1


@dataclass(frozen=True)
class Past:
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
    # items x (days + 1), the same over every seventh day.
    weekly_units: Doubles
    weekly_evidence: Floats
    last_sale: NDArray[np.int32]
    filled: Floats
    prices: dict[str, tuple[Floats, Doubles, Floats]]


@dataclass(frozen=True)
class ItemHistory(Past):
    """The past as one model sees it."""

    columns: Columns
    codes: Codes
    # by day: which event, days to the next, days since the last, which comes next; nothing without events.
    events: Floats
    # groups x all days: the season that the model of totals expects.
    season: Doubles


def read_past(panel: Panel, columns: Columns, demand: Demand) -> Past:
    """Cumulate a panel's history; nothing is evidence before an item's first sale."""
    filled = np.nan_to_num(demand.units)
    sold = filled > 0
    first = np.where(sold.any(1), sold.argmax(1), panel.days)
    known = np.isfinite(demand.units)
    known[:, demand.closed] = False
    begun = np.arange(panel.days) >= first[:, None]
    evidence = known & begun
    filled[~evidence] = 0.0
    prices = {name: _price_features(panel, name) for name in columns.prices if name in panel.known}
    waiting = known & ~begun
    for log_price, _, _ in prices.values():
        listed = np.isfinite(log_price[:, : panel.days])
        if listed.mean() >= MOST_LISTED:
            waiting &= listed
    positive = filled[sold & evidence]
    last = np.maximum.accumulate(np.where(sold, np.arange(panel.days, dtype=np.int32), np.int32(-1)), axis=1)
    return Past(
        panel=panel,
        first_sale=first,
        floor=FLOOR * min(1.0, float(np.median(positive[:200_000]))) if len(positive) else FLOOR,
        units=_cumulate_days(filled, np.float64),
        evidence=_cumulate_days(evidence, np.float32),
        selling=_cumulate_days(sold & evidence, np.float32),
        waiting=_cumulate_days(waiting, np.float32),
        weekly_units=_cumulate_weekly(filled, np.float64),
        weekly_evidence=_cumulate_weekly(evidence, np.float32),
        last_sale=np.concatenate([np.full((len(filled), 1), -1, np.int32), last], axis=1),
        filled=filled,
        prices=prices,
    )


def view_history(past: Past, columns: Columns, codes: Codes, *, design: Design, season: Doubles) -> ItemHistory:
    """Look at the past as one model does."""
    return ItemHistory(**vars(past), columns=columns, codes=codes, events=_event_features(design), season=season)


def compute_levels(history: ItemHistory, origin: int) -> Doubles:
    """Return every item's level as of the origin: recent sales, steadied by the year's mean; new items borrow."""
    sold, seen = _sum_window(history, origin, LEVEL_DAYS)
    year_sold, year_seen = _sum_window(history, origin, LAST_YEAR)
    usual = _borrow_levels(history, year_sold, year_seen)
    yearly = (year_sold + 7.0 * usual) / (year_seen + 7.0)
    yearly = np.where(year_seen >= LEVEL_DAYS, year_sold / np.maximum(year_seen, 1), yearly)
    yearly *= np.maximum(_chance_alive(history, origin, usual), FAINT)
    return np.asarray((sold + PRIOR_DAYS * yearly + history.floor) / (seen + PRIOR_DAYS + 1))


def _chance_alive(history: ItemHistory, origin: int, usual: Doubles) -> Doubles:
    """Return the chance that an item sells, by how unlikely its silence would be if it did; `usual` if it never has."""
    sold, seen = _sum_window(history, origin, LAST_YEAR)
    since = history.last_sale[:, origin] + 1
    rows = np.arange(len(since))
    silent = (history.evidence[rows, origin] - history.evidence[rows, since]).astype(np.float64)
    # Its usual rate without the silence; clumsy sales make long silences likelier than Poisson's.
    missed = sold / np.maximum(seen - silent, 1.0) * silent
    missed = np.where(since > 0, missed, usual * history.waiting[:, origin])
    chance = 1.0 / (1.0 + missed / CLUMPS) ** CLUMPS
    return np.asarray(chance / (chance + DELISTED))


def _borrow_levels(history: ItemHistory, sold: Doubles, seen: Doubles) -> Doubles:
    """Return what an item of the same group usually sells a day, for items that have no past of their own."""
    rate = sold / np.maximum(seen, 1)
    usual = np.zeros(len(rate))
    everywhere = seen >= LEVEL_DAYS
    for group in np.unique(history.codes):
        members = history.codes == group
        known = members & everywhere
        peers = rate[known] if known.any() else rate[everywhere]
        usual[members] = np.median(peers) if len(peers) else 0.0
    return usual


def expected_units(history: ItemHistory, origin: int, level: Doubles, rows: Codes, days: Codes) -> Doubles:
    """Return level x season for items `rows` on `days`: what the boosting corrects."""
    season = history.season
    start = max(0, origin - LEVEL_DAYS)
    base = season[:, start:origin].mean(1) if origin > 0 else season.mean(1)
    group = history.codes[rows]
    return np.asarray(level[rows] * np.exp(season[group, days] - base[group]))


def origin_features(history: ItemHistory, origin: int, level: Doubles) -> tuple[list[str], Floats]:
    """Describe every item as of the origin."""
    columns: dict[str, Doubles] = {"log level": np.log(level)}
    for window in WINDOWS:
        sold, seen = _sum_window(history, origin, window)
        columns[f"mean of {window}"] = _safe_ratio(sold, seen) / level
    for window in SELLING_WINDOWS:
        start = max(0, origin - window)
        selling = history.selling[:, origin] - history.selling[:, start]
        columns[f"selling days of {window}"] = _safe_ratio(
            selling, history.evidence[:, origin] - history.evidence[:, start]
        )
    columns["days since a sale"] = np.minimum(origin - 1 - history.last_sale[:, origin], 400).astype(float)
    columns["age"] = np.clip(origin - history.first_sale, 0, 1000).astype(float)
    before, before_seen = _sum_window(history, max(0, origin - LAST_YEAR), LEVEL_DAYS)
    columns["against last year"] = level / (_safe_ratio(before, before_seen) + history.floor)
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
    """Describe items `rows` on `days` as seen from the origin."""
    own = level[rows]
    columns: dict[str, Doubles] = {"horizon": (days - origin + 1).astype(float)}
    last = days - 7 * ((days - origin) // 7 + 1)
    for weeks in WEEKDAY_WINDOWS:
        start = np.maximum(last - 7 * weeks, last % 7 - 7) + 7
        sold = history.weekly_units[rows, last + 7] - history.weekly_units[rows, start]
        seen = history.weekly_evidence[rows, last + 7] - history.weekly_evidence[rows, start]
        columns[f"same weekday of {weeks} weeks"] = _safe_ratio(sold, seen) / own
    _add_last_year(history, origin, rows, days, columns)
    dates = history.panel.dates
    columns["weekday"] = read_weekdays(dates)[days].astype(float)
    columns["day of month"] = (dates - dates.astype("datetime64[M]")).astype(int)[days].astype(float)
    columns["day of year"] = (dates - dates.astype("datetime64[Y]")).astype(int)[days].astype(float)
    group = history.codes[rows]
    base = history.season[:, max(0, origin - LEVEL_DAYS) : max(origin, 1)].mean(1)
    columns["season"] = history.season[group, days] - base[group]
    if len(history.events):
        code, ahead, since, coming = history.events[:, days].astype(float)
        # From the origin nobody saw beyond the horizon.
        unseen = days + ahead >= origin + history.panel.horizon
        columns["event"] = code
        columns["days since an event"] = since
        columns["days to an event"] = np.where(unseen, NEXT_EVENT_DAYS, ahead)
        columns["coming event"] = np.where(unseen, 0.0, coming)
    _add_known(history, origin, rows, days, columns)
    return list(columns), np.column_stack(list(columns.values())).astype(np.float32)


def _add_last_year(history: ItemHistory, origin: int, rows: Codes, days: Codes, columns: dict[str, Doubles]) -> None:
    before, seen = _sum_window(history, max(0, origin - LAST_YEAR), LEVEL_DAYS)
    own = (_safe_ratio(before, seen) + history.floor / LEVEL_DAYS)[rows]
    for reach in (0, 3, 14):
        start, end = days - LAST_YEAR - reach, days - LAST_YEAR + reach + 1
        usable = (start >= 0) & (end <= origin)
        start, end = np.where(usable, start, 0), np.where(usable, end, 0)
        sold = history.units[rows, end] - history.units[rows, start]
        count = history.evidence[rows, end] - history.evidence[rows, start]
        columns[f"last year within {reach}"] = np.where(usable, _safe_ratio(sold, count) / own, np.nan)


def _add_known(history: ItemHistory, origin: int, rows: Codes, days: Codes, columns: dict[str, Doubles]) -> None:
    panel = history.panel
    for name, (log_price, sums, counts) in history.prices.items():
        price = log_price[rows, days].astype(np.float64)
        columns[name] = price
        for window in (28, 364):
            start = max(0, origin - window)
            mean = _safe_ratio(sums[:, origin] - sums[:, start], counts[:, origin] - counts[:, start])
            columns[f"{name} against {window}"] = price - mean[rows]
    for name in [*history.columns.item_flags, *history.columns.item_numbers]:
        if name in panel.known:
            columns[name] = panel.known[name][rows, days].astype(np.float64)
    for name in [*history.columns.flags, *history.columns.numbers]:
        values = column_by_day(panel, name) if name in panel.known else None
        if values is not None:
            columns[name] = values[days].astype(np.float64)


def _flag_lift(history: ItemHistory, origin: int, name: str, yes: float) -> Doubles:
    """Return the log ratio of an item's sales on flag days to the others, over the last year."""
    values = column_by_day(history.panel, name) if name in history.panel.known else None
    if values is None:
        return np.zeros(len(history.codes))
    start = max(0, origin - LAST_YEAR)
    up = (values[start:origin] == yes).astype(np.float32)
    sold = history.filled[:, start:origin] @ np.column_stack([up, 1 - up])
    days_up, days_down = up.sum(), len(up) - up.sum()
    if days_up == 0 or days_down == 0:
        return np.zeros(len(history.codes))
    return np.asarray(np.log((sold[:, 0] + 3) / days_up) - np.log((sold[:, 1] + 3) / days_down), np.float64)


def _event_features(design: Design) -> Floats:
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


def _sum_window(history: ItemHistory, origin: int, days: int) -> tuple[Doubles, Doubles]:
    start = max(0, origin - days)
    sold = history.units[:, origin] - history.units[:, start]
    seen = history.evidence[:, origin] - history.evidence[:, start]
    return sold, seen.astype(np.float64)


def _safe_ratio(part: NDArray[np.floating], whole: NDArray[np.floating]) -> Doubles:
    """Divide, giving NaN where there is nothing to divide by."""
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _cumulate_days(values: Floats | Bools, kind: Any) -> NDArray[Any]:
    result = np.zeros((values.shape[0], values.shape[1] + 1), kind)
    np.cumsum(values, axis=1, out=result[:, 1:], dtype=kind)
    return result


def _cumulate_weekly(values: Floats | Bools, kind: Any) -> NDArray[Any]:
    """Sum every seventh day: column t + 7 holds days t, t - 7, t - 14 ..."""
    items, days = values.shape
    weeks = -(-days // 7)
    padded = np.zeros((items, weeks * 7), kind)
    padded[:, :days] = values
    result = np.zeros((items, weeks + 1, 7), kind)
    np.cumsum(padded.reshape(items, weeks, 7), axis=1, out=result[:, 1:], dtype=kind)
    return result.reshape(items, -1)


def _price_features(panel: Panel, name: str) -> tuple[Floats, Doubles, Floats]:
    values = panel.known[name]
    log_price = np.log(values, out=np.full(values.shape, np.nan, np.float32), where=values > 0)
    there = np.isfinite(log_price[:, : panel.days])
    filled = np.where(there, log_price[:, : panel.days], 0)
    return log_price, _cumulate_days(filled, np.float64), _cumulate_days(there, np.float32)
