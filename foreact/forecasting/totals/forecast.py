"""The groups' totals over the horizon: season, what recurs from earlier years, growth, and the present level."""

from dataclasses import dataclass

import numpy as np

from foreact.forecasting.inputs.arrays import Bools, Dates, Doubles
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.totals.closures import predict_closed_days
from foreact.forecasting.totals.design import Design
from foreact.forecasting.totals.feasts import earlier_dates, earlier_feasts, is_movable
from foreact.forecasting.totals.model import TotalsFit, fitted_logs, offer_logs
from foreact.forecasting.totals.offers import Offers
from foreact.spacing import Spacing

LEVEL_DAYS = 20.0
# Years back, and the share of that day's residual that recurs.
LAST_YEARS = {1: 0.45, 2: 0.1}
# A day is outlying from this many robust deviations on; the share of the excess that recurs on its date.
OUTLYING_DEVIATIONS = 2.0
DATE_SHARE = 0.7


@dataclass(frozen=True)
class TotalsForecast:
    """The forecast by group, and the logs that it is made of."""

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


def forecast_totals(
    fit: TotalsFit, panel: Panel, demand: Demand, design: Design, offers: Offers, columns: Columns
) -> TotalsForecast:
    """Forecast the horizon: the fit, last year's residual, growth and the present level."""
    days, horizon = panel.days, panel.horizon
    season = fitted_logs(fit, panel, design) + offer_logs(fit, offers).sum(0)
    with np.errstate(invalid="ignore"):
        residual = np.log(demand.totals + fit.offsets[:, None]) - season[:, :days]
    if panel.spacing is Spacing.DAILY:
        usual = _clip_residuals(residual) - _outlying_residuals(residual)
        recurring = _recur_yearly(usual, panel, reach=1) + _recurring_dates(residual, panel, design)
    else:
        # Among weeks or months the one a year before is the date's own.
        recurring = _recur_yearly(_clip_residuals(residual), panel, reach=0)
    season[:, days:] += recurring + _growth_drift(demand.totals, panel.spacing, horizon)
    level = _recent_levels(demand.totals, season[:, :days], LEVEL_DAYS / panel.spacing.days)
    closed = predict_closed_days(panel, demand, columns)
    mean = np.exp(season[:, days:] + level[:, None]) * ~closed
    mean[~np.isfinite(demand.totals).any(1) | (np.nansum(demand.totals, axis=1) <= 0)] = 0.0
    return TotalsForecast(mean, season, level, recurring, closed)


def _recur_yearly(residual: Doubles, panel: Panel, reach: int) -> Doubles:
    """Return the share of earlier years' residuals that recurs, each the mean of those within reach of the same day."""
    days = panel.days
    result = np.zeros((len(residual), panel.horizon))
    for years, share in LAST_YEARS.items():
        then = days + np.arange(panel.horizon) - years * panel.spacing.year
        here = (then >= reach) & (then < days - reach)
        around = then[here, None] + np.arange(-reach, reach + 1)
        result[:, here] += share * residual[:, around].mean(2)
    return result


def _recurring_dates(residual: Doubles, panel: Panel, design: Design) -> Doubles:
    """Return the share of outlying days that recurs on the same date or movable feast, unless events have moved since.

    What the last two years do not agree on was chance, or a feast that has moved. Where there is one year alone, what
    was outlying on a movable feast is expected on that feast again, and not on its date.
    """
    days = panel.days
    if days == 0:
        return np.zeros((len(residual), panel.horizon))
    dates = panel.dates.astype("datetime64[D]")
    outlying = _outlying_residuals(residual)
    events = design.matrix[:, np.array(design.drivers) == "event"]

    def recall(then: Dates) -> Doubles:
        """Return what was outlying on days of the past, NaN outside the history."""
        place = np.where(np.isnat(then), -1, (then - dates[0]).astype(np.int64))
        seen = (place >= 0) & (place < days)
        same = (events[days:] == events[np.where(seen, place, 0)]).all(1)
        return np.asarray(np.where(seen, outlying[:, np.where(seen, place, 0)] * same, np.nan))

    ahead = dates[days:]
    last, before = (recall(earlier_dates(ahead, years)) for years in (1, 2))
    last = np.where(np.isnan(before) & is_movable(earlier_dates(ahead, 1)), np.nan, last)
    by_date = _agree_on_residual(last, before)
    by_feast = _agree_on_residual(*(recall(earlier_feasts(ahead, years)) for years in (1, 2)))
    return DATE_SHARE * np.where(by_feast != 0, by_feast, by_date)


def _agree_on_residual(last: Doubles, before: Doubles) -> Doubles:
    """Return the smaller of two residuals of one sign, the last year's where it is the only one, else 0."""
    smaller = np.sign(last) * np.minimum(np.abs(last), np.abs(before))
    return np.nan_to_num(np.where(np.isnan(before), last, np.where(last * before > 0, smaller, 0.0)))


def _clip_residuals(residual: Doubles) -> Doubles:
    return np.asarray(np.nan_to_num(np.clip(residual, -0.7, 0.7)))


def _outlying_residuals(residual: Doubles) -> Doubles:
    """Return the excess of each residual over the usual ones of its group."""
    usual = [np.median(np.abs(row[np.isfinite(row)])) if np.isfinite(row).any() else 0.0 for row in residual]
    known = _clip_residuals(residual)
    beyond = np.abs(known) - OUTLYING_DEVIATIONS * 1.4826 * np.array(usual)[:, None]
    return np.asarray(np.sign(known) * np.maximum(beyond, 0.0))


def _growth_drift(totals: Doubles, spacing: Spacing, horizon: int) -> Doubles:
    """Return last year's growth, limited to 15 %, continued over the horizon."""
    days, year = totals.shape[1], spacing.year
    quarter = year // 4
    if days < year + quarter:
        return np.zeros((len(totals), horizon))
    now, then = totals[:, -quarter:], totals[:, -quarter - year : -year]
    both = np.isfinite(now) & np.isfinite(then)
    new, old = np.where(both, now, 0).sum(1), np.where(both, then, 0).sum(1)
    usable = (both.sum(1) >= quarter // 2) & (new > 0) & (old > 0)
    growth = np.log(np.where(usable, new, 1) / np.where(usable, old, 1))
    return np.clip(growth, -0.15, 0.15)[:, None] * (np.arange(1, horizon + 1) / year)[None, :]


def _recent_levels(totals: Doubles, season: Doubles, halving: float) -> Doubles:
    """Return the log ratio of actual to fitted over the recent past."""
    seen = np.isfinite(totals)
    last = totals.shape[1] - 1 - seen[:, ::-1].argmax(1)
    age = np.clip(last[:, None] - np.arange(totals.shape[1]), 0, None)
    weights = np.where(seen, 0.5 ** (age / halving), 0.0)
    actual = (weights * np.nan_to_num(totals)).sum(1)
    fitted = (weights * np.exp(season)).sum(1)
    # A group that has stopped selling fades instead of vanishing in a log of zero.
    usable = np.where(fitted > 0, fitted, 1.0)
    return np.where(fitted > 0, np.log(np.maximum(actual, 1e-3 * usable) / usable), 0.0)
