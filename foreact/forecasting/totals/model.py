"""The model of a store's totals by group: a ridge of log totals on the design, one linear system a store."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foreact.forecasting.inputs.columns import Columns, column_by_day, column_texts
from foreact.forecasting.inputs.demand import Bools, Demand, Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.totals.design import KNOT_DAYS, Days, Design, read_weekdays, trend_design
from foreact.forecasting.totals.offers import Offers

PENALTY = 0.3
OFFER_PENALTY = 0.3
MEMORY_DAYS = 1000.0
REFITS = 2
CLIP = 2.0
TREND_PENALTY = 15.0
LEVEL_DAYS = 20.0
# Days back and share of the residual of then that comes back.
LAST_YEARS = {364: 0.45, 728: 0.1}
# From how many robust deviations on a day stands out, and the share of what is beyond that comes back on its date.
STANDS_OUT = 2.0
DATE_SHARE = 0.7
# Residual variance that the penalties were set for; noisier groups are held tighter.
USUAL_VARIANCE = 0.02


@dataclass(frozen=True)
class TotalsFit:
    """What is learnt of the groups' totals; levels are read off the history at hand when it forecasts."""

    groups: list[str]
    origin: np.datetime64
    names: list[str]
    # columns x groups, ramps x groups, groups
    coefficients: Doubles
    ramps: Doubles
    intercepts: Doubles
    offsets: Doubles
    offers: list[str]
    # offers x groups
    responses: Doubles


@dataclass(frozen=True)
class TotalsForecast:
    """The days ahead by group, and how the logs add up."""

    # groups x horizon
    mean: Doubles
    # groups x all days: log of what the fit expects, without level.
    season: Doubles
    # groups: log of the present level against the fit.
    level: Doubles
    # groups x horizon: what `season` has from earlier years' residuals.
    recurring: Doubles
    # horizon
    closed: Bools


def fit_totals(panel: Panel, demand: Demand, design: Design, offers: Offers, groups: list[str]) -> TotalsFit:
    """Fit every group's log totals; days without evidence weigh nothing."""
    days = panel.days
    origin = panel.dates[0] + np.timedelta64(days, "D")
    ramps = max(0, days // KNOT_DAYS - 1)
    matrix = np.hstack([design.matrix[:days], trend_design(panel.dates[:days], origin, ramps), np.ones((days, 1))])
    penalties = PENALTY * np.concatenate([design.penalties, np.full(ramps, TREND_PENALTY), [1e-6]])
    weights = 0.5 ** ((days - 1 - np.arange(days)) / MEMORY_DAYS)
    offsets = _log_offsets(demand.totals)
    solution = np.zeros((matrix.shape[1], len(groups)))
    responses = np.zeros((len(offers.names), len(groups)))
    seen = np.isfinite(demand.totals)
    for mask in np.unique(seen, axis=0) if len(groups) else []:
        if not mask.any():
            continue
        members = np.flatnonzero((seen == mask).all(1))
        target = np.log(demand.totals[members][:, mask] + offsets[members, None]).T
        own = offers.values[:, members][:, :, : len(mask)][:, :, mask]
        solution[:, members], responses[:, members] = _solve_ridge(matrix[mask], target, weights[mask], penalties, own)
    columns = len(design.names)
    return TotalsFit(
        groups=groups,
        origin=origin,
        names=design.names,
        coefficients=solution[:columns],
        ramps=solution[columns:-1],
        intercepts=solution[-1],
        offsets=offsets,
        offers=offers.names,
        responses=responses,
    )


def _solve_ridge(
    matrix: Doubles, target: Doubles, weights: Doubles, penalties: Doubles, offers: Doubles
) -> tuple[Doubles, Doubles]:
    """Weighted ridge, refitted with residuals clipped, noisy groups held tighter; offers are fitted in turns."""
    weighted = matrix * weights[:, None]
    gram = weighted.T @ matrix
    centre = np.average(target, axis=0, weights=weights)
    shared = np.linalg.inv(gram + np.diag(penalties))
    inverses: dict[Any, Any] = {}
    clipped: Doubles = target
    solution = shared @ (weighted.T @ (clipped - centre))
    responses = np.zeros(offers.shape[:2])
    for refit in range(REFITS + (len(offers) > 0)):
        plain = matrix @ solution + centre
        fitted = plain + np.einsum("kgt,kg->tg", offers, responses)
        residual = target - fitted
        spread = 1.4826 * np.median(np.abs(residual), axis=0) + 1e-9
        if refit == 0:
            for group in np.flatnonzero(spread**2 > 1.5 * USUAL_VARIANCE):
                tighter = penalties * min(spread[group] ** 2 / USUAL_VARIANCE, 100.0)
                inverses[group] = np.linalg.inv(gram + np.diag(tighter))
        clipped = np.asarray(fitted + np.clip(residual, -CLIP * spread, CLIP * spread))
        responses = _fit_responses(offers, clipped - plain, weights)
        right = weighted.T @ (clipped - centre - np.einsum("kgt,kg->tg", offers, responses))
        solution = shared @ right
        for group, inverse in inverses.items():
            solution[:, group] = inverse @ right[:, group]
    solution[-1] += centre
    return solution, responses


def _fit_responses(offers: Doubles, residual: Doubles, weights: Doubles) -> Doubles:
    """Return each group's response to its own offers: a small ridge on what the rest leaves over."""
    responses = np.zeros(offers.shape[:2])
    for group in range(offers.shape[1] if len(offers) else 0):
        own = offers[:, group] - np.average(offers[:, group], axis=1, weights=weights)[:, None]
        gram = (own * weights) @ own.T + np.diag(np.full(len(own), OFFER_PENALTY))
        responses[:, group] = np.linalg.solve(gram, (own * weights) @ residual[:, group])
    return responses


def forecast_totals(
    fit: TotalsFit, panel: Panel, demand: Demand, design: Design, offers: Offers, columns: Columns
) -> TotalsForecast:
    """Carry the fit over the horizon: last year's residual, drift and the present level on top."""
    days, horizon = panel.days, panel.horizon
    season = fitted_logs(fit, panel, design) + offer_logs(fit, offers).sum(0)
    with np.errstate(invalid="ignore"):
        residual = np.log(demand.totals + fit.offsets[:, None]) - season[:, :days]
    recurring = _last_years(residual, horizon) + _same_dates(residual, panel, design)
    season[:, days:] += recurring + _project_drift(demand.totals, horizon)
    level = _recent_level(demand.totals, season[:, :days])
    closed = closed_ahead(panel, demand, columns)
    mean = np.exp(season[:, days:] + level[:, None]) * ~closed
    mean[~np.isfinite(demand.totals).any(1) | (np.nansum(demand.totals, axis=1) <= 0)] = 0.0
    return TotalsForecast(mean, season, level, recurring, closed)


def fitted_logs(fit: TotalsFit, panel: Panel, design: Design) -> Doubles:
    """Return groups x all days of the panel: the logs that the fit expects, trend included."""
    trend = trend_design(panel.dates, fit.origin, len(fit.ramps)) @ fit.ramps
    return np.asarray(season_logs(fit, design) + trend.T)


def season_logs(fit: TotalsFit, design: Design) -> Doubles:
    """Return groups x all days: what the design alone explains, without any trend."""
    ours, theirs = _shared_columns(fit, design)
    return np.asarray((design.matrix[:, theirs] @ fit.coefficients[ours] + fit.intercepts).T)


def driver_logs(fit: TotalsFit, design: Design) -> dict[str, Doubles]:
    """Split `season_logs` by driver: groups x all days each."""
    ours, theirs = _shared_columns(fit, design)
    drivers = np.array([design.drivers[j] for j in theirs])
    result = {}
    for driver in dict.fromkeys(drivers.tolist()):
        mine = drivers == driver
        result[driver] = (design.matrix[:, np.array(theirs)[mine]] @ fit.coefficients[np.array(ours)[mine]]).T
    return result


def offer_logs(fit: TotalsFit, offers: Offers) -> Doubles:
    """Return what each of the fit's offers does to the groups' logs: offers x groups x all days."""
    logs = np.zeros((len(fit.offers), *offers.values.shape[1:]))
    for i, name in enumerate(fit.offers):
        if name in offers.names:
            logs[i] = offers.values[offers.names.index(name)] * fit.responses[i][:, None]
    return logs


def align_groups(fit: TotalsFit, groups: list[str]) -> TotalsFit:
    """Return the fit for these groups, the first of which are its own; a new group starts as the others' mean."""
    more = len(groups) - len(fit.groups)
    if more <= 0:
        return fit

    def padded(values: Doubles) -> Doubles:
        mean = values.mean(-1, keepdims=True) if values.shape[-1] else np.zeros((*values.shape[:-1], 1))
        return np.concatenate([values, np.repeat(mean, more, axis=-1)], axis=-1)

    return replace(
        fit,
        groups=groups,
        coefficients=padded(fit.coefficients),
        ramps=padded(fit.ramps),
        intercepts=padded(fit.intercepts),
        offsets=padded(fit.offsets),
        responses=padded(fit.responses),
    )


def _shared_columns(fit: TotalsFit, design: Design) -> tuple[list[int], list[int]]:
    position = {name: i for i, name in enumerate(design.names)}
    pairs = [(i, position[name]) for i, name in enumerate(fit.names) if name in position]
    return [i for i, _ in pairs], [j for _, j in pairs]


def _log_offsets(totals: Doubles) -> Doubles:
    """Return what is added before the log: small against a usual day, so that a zero has a log."""
    with np.errstate(invalid="ignore"):
        count = np.isfinite(totals).sum(1)
        mean = np.nansum(totals, axis=1) / np.maximum(count, 1)
    return np.where(mean > 0, np.minimum(0.5, 0.1 * mean), 0.5)


def _last_years(residual: Doubles, horizon: int) -> Doubles:
    """Return what comes back of the residuals around the same weekday of earlier years, three days' mean each."""
    days = residual.shape[1]
    result = np.zeros((len(residual), horizon))
    known = _excess_residuals(residual) - _standing_out(residual)
    for back, share in LAST_YEARS.items():
        for step in range(horizon):
            day = days + step - back
            if 1 <= day < days - 1:
                result[:, step] += share * known[:, day - 1 : day + 2].mean(1)
    return result


def _same_dates(residual: Doubles, panel: Panel, design: Design) -> Doubles:
    """Return what comes back of days that stood out a year ago on the same date, unless an event has moved since."""
    days = panel.days
    if days == 0:
        return np.zeros((len(residual), panel.horizon))
    dates = panel.dates.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    before = ((month - 12).astype("datetime64[D]") + (dates - month.astype("datetime64[D]")) - dates[0]).astype(int)
    ahead = np.arange(days, len(dates))
    then = np.maximum(before[ahead], 0)
    events = design.matrix[:, np.array(design.drivers) == "event"]
    usable = (before[ahead] >= 0) & (then < days) & (events[ahead] == events[then]).all(1)
    then = np.where(usable, then, 0)
    return np.asarray(DATE_SHARE * _standing_out(residual)[:, then] * usable)


def _excess_residuals(residual: Doubles) -> Doubles:
    return np.asarray(np.nan_to_num(np.clip(residual, -0.7, 0.7)))


def _standing_out(residual: Doubles) -> Doubles:
    """Return by how much each residual is beyond the usual ones of its group."""
    usual = [np.median(np.abs(row[np.isfinite(row)])) if np.isfinite(row).any() else 0.0 for row in residual]
    known = _excess_residuals(residual)
    beyond = np.abs(known) - STANDS_OUT * 1.4826 * np.array(usual)[:, None]
    return np.asarray(np.sign(known) * np.maximum(beyond, 0.0))


def _project_drift(totals: Doubles, horizon: int) -> Doubles:
    """Let last year's growth, held to 15 %, go on over the horizon."""
    days = totals.shape[1]
    if days < 364 + 91:
        return np.zeros((len(totals), horizon))
    now, then = totals[:, -91:], totals[:, -91 - 364 : -364]
    both = np.isfinite(now) & np.isfinite(then)
    new, old = np.where(both, now, 0).sum(1), np.where(both, then, 0).sum(1)
    usable = (both.sum(1) >= 45) & (new > 0) & (old > 0)
    growth = np.log(np.where(usable, new, 1) / np.where(usable, old, 1))
    return np.clip(growth, -0.15, 0.15)[:, None] * (np.arange(1, horizon + 1) / 364)[None, :]


def _recent_level(totals: Doubles, season: Doubles) -> Doubles:
    """Return the log ratio of actual to fitted over the recent past."""
    seen = np.isfinite(totals)
    last = totals.shape[1] - 1 - seen[:, ::-1].argmax(1)
    age = np.clip(last[:, None] - np.arange(totals.shape[1]), 0, None)
    weights = np.where(seen, 0.5 ** (age / LEVEL_DAYS), 0.0)
    actual = (weights * np.nan_to_num(totals)).sum(1)
    fitted = (weights * np.exp(season)).sum(1)
    # A group that has stopped selling fades instead of vanishing in a log of zero.
    usable = np.where(fitted > 0, fitted, 1.0)
    return np.where(fitted > 0, np.log(np.maximum(actual, 1e-3 * usable) / usable), 0.0)


def closed_ahead(panel: Panel, demand: Demand, columns: Columns) -> Bools:
    """Say which days ahead are closed: by flag, or as the weekday, the event or the date has closed it before."""
    days = panel.days
    if panel.open is not None:
        return np.asarray(~panel.open[:, days:].any(0))
    told = np.asarray(np.isfinite(panel.units[:, :days]).any(0))
    week, heard = read_weekdays(panel.dates), _weeks_heard(panel.dates[:days], told)
    # A day of which no row tells, in a week of which others do.
    past = demand.closed | (heard & ~told)
    if not past.any():
        return np.zeros(panel.horizon, bool)
    shut = np.zeros(len(week), bool)
    for day in range(7):
        recent = past[heard & (week[:days] == day)][-26:]
        if len(recent) >= 3 and recent.mean() >= 0.9:
            shut |= week == day
    closed = shut[days:]
    # On other weekdays it may be the event or the date.
    telling = heard & ~shut[:days]
    for name, values in columns.events.items():
        shown = column_by_day(panel, name) if name in panel.known else None
        if shown is None:
            continue
        words = column_texts(panel, name, shown)
        for value in values:
            before = past[telling & (words[:days] == value)]
            if len(before) and before.mean() >= 0.8:
                closed |= words[days:] == value
    return closed | _closed_dates(panel.dates, telling, past)


def _weeks_heard(dates: Days, told: Bools) -> Bools:
    """Say which days are in a week, Monday to Sunday, of which any day is told."""
    weeks = (dates.astype("datetime64[D]").astype(np.int64) + 3) // 7
    _, place = np.unique(weeks, return_inverse=True)
    return np.asarray(np.bincount(place, told)[place] > 0)


def _closed_dates(dates: Days, telling: Bools, past: Bools) -> Bools:
    """Say which days ahead have a date that was closed in every year, twice at least."""
    days = len(past)
    month_day = np.array([str(date)[5:10] for date in dates.astype("datetime64[D]")])
    closed = np.zeros(len(dates) - days, bool)
    for value in np.unique(month_day[:days][past & telling]):
        before = past[telling & (month_day[:days] == value)]
        if len(before) >= 2 and before.all():
            closed |= month_day[days:] == value
    return closed
