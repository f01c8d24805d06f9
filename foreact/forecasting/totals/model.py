"""The model of a store's totals by group: a ridge of log totals on the design, one linear system a store."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.inputs.demand import Demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.totals.design import Design, knot_width, trend_design
from foreact.forecasting.totals.offers import Offers

PENALTY = 0.3
OFFER_PENALTY = 0.3
MEMORY_DAYS = 1000.0
REFITS = 2
CLIP = 2.0
TREND_PENALTY = 15.0
# Residual variance that the penalties were set for; noisier groups get stronger penalties.
USUAL_VARIANCE = 0.02


@dataclass(frozen=True)
class TotalsFit:
    """The fitted model of the groups' totals; levels are read from the history when it forecasts."""

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


def fit_totals(panel: Panel, demand: Demand, design: Design, offers: Offers, groups: list[str]) -> TotalsFit:
    """Fit every group's log totals; days without evidence weigh nothing."""
    days = panel.days
    origin = panel.spacing.list_dates(panel.dates[0], days + 1)[days]
    ramps = max(0, days // knot_width(panel.spacing) - 1)
    trend = trend_design(panel.spacing, np.arange(days) - days, ramps)
    matrix = np.hstack([design.matrix[:days], trend, np.ones((days, 1))])
    penalties = PENALTY * np.concatenate([design.penalties, np.full(ramps, TREND_PENALTY), [1e-6]])
    weights = 0.5 ** ((days - 1 - np.arange(days)) * panel.spacing.days / MEMORY_DAYS)
    offsets = _log_offsets(demand.totals)
    solution = np.zeros((matrix.shape[1], len(groups)))
    responses = np.zeros((len(offers.names), len(groups)))
    seen = np.isfinite(demand.totals)
    for mask in {row.tobytes(): row for row in seen}.values():
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
    """Solve the weighted ridge, then refit: residuals clipped, noisy groups penalised more, offers fitted in turn."""
    weighted = matrix * weights[:, None]
    gram = weighted.T @ matrix
    centre = np.average(target, axis=0, weights=weights)
    shared = cho_factor(gram + np.diag(penalties))
    tighter: dict[Any, Any] = {}
    clipped: Doubles = target
    solution = cho_solve(shared, weighted.T @ (clipped - centre))
    responses = np.zeros(offers.shape[:2])
    for refit in range(REFITS + (len(offers) > 0)):
        plain = matrix @ solution + centre
        fitted = plain + np.einsum("kgt,kg->tg", offers, responses)
        residual = target - fitted
        spread = 1.4826 * np.median(np.abs(residual), axis=0) + 1e-9
        if refit == 0:
            for group in np.flatnonzero(spread**2 > 1.5 * USUAL_VARIANCE):
                stronger = penalties * min(spread[group] ** 2 / USUAL_VARIANCE, 100.0)
                tighter[group] = cho_factor(gram + np.diag(stronger))
        clipped = np.asarray(fitted + np.clip(residual, -CLIP * spread, CLIP * spread))
        responses = _fit_responses(offers, clipped - plain, weights)
        right = weighted.T @ (clipped - centre - np.einsum("kgt,kg->tg", offers, responses))
        solution = cho_solve(shared, right)
        for group, factor in tighter.items():
            solution[:, group] = cho_solve(factor, right[:, group])
    solution[-1] += centre
    return solution, responses


def _fit_responses(offers: Doubles, residual: Doubles, weights: Doubles) -> Doubles:
    """Return each group's response to its own offers: a small ridge on the residual of the rest."""
    responses = np.zeros(offers.shape[:2])
    for group in range(offers.shape[1] if len(offers) else 0):
        own = offers[:, group] - np.average(offers[:, group], axis=1, weights=weights)[:, None]
        gram = (own * weights) @ own.T + np.diag(np.full(len(own), OFFER_PENALTY))
        responses[:, group] = np.linalg.solve(gram, (own * weights) @ residual[:, group])
    return responses


def fitted_logs(fit: TotalsFit, panel: Panel, design: Design) -> Doubles:
    """Return groups x all days of the panel: the logs that the fit expects, trend included."""
    ahead = -panel.spacing.count_periods(panel.dates[0], np.array([fit.origin]))[0]
    trend = trend_design(panel.spacing, np.arange(len(panel.dates)) + ahead, len(fit.ramps)) @ fit.ramps
    return np.asarray(season_logs(fit, design) + trend.T)


def season_logs(fit: TotalsFit, design: Design) -> Doubles:
    """Return groups x all days: the logs that the design alone explains, without trend."""
    fit_columns, design_columns = _shared_columns(fit, design)
    return np.asarray((design.matrix[:, design_columns] @ fit.coefficients[fit_columns] + fit.intercepts).T)


def driver_logs(fit: TotalsFit, design: Design) -> dict[str, Doubles]:
    """Split `season_logs` by driver: groups x all days each."""
    fit_columns, design_columns = _shared_columns(fit, design)
    drivers = np.array([design.drivers[j] for j in design_columns])
    result = {}
    for driver in dict.fromkeys(drivers.tolist()):
        of_driver = drivers == driver
        result[driver] = (
            design.matrix[:, np.array(design_columns)[of_driver]] @ fit.coefficients[np.array(fit_columns)[of_driver]]
        ).T
    return result


def offer_logs(fit: TotalsFit, offers: Offers) -> Doubles:
    """Return the effect of each of the fit's offers on the groups' logs: offers x groups x all days."""
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

    def pad_groups(values: Doubles) -> Doubles:
        mean = values.mean(-1, keepdims=True) if values.shape[-1] else np.zeros((*values.shape[:-1], 1))
        return np.concatenate([values, np.repeat(mean, more, axis=-1)], axis=-1)

    return replace(
        fit,
        groups=groups,
        coefficients=pad_groups(fit.coefficients),
        ramps=pad_groups(fit.ramps),
        intercepts=pad_groups(fit.intercepts),
        offsets=pad_groups(fit.offsets),
        responses=pad_groups(fit.responses),
    )


def _shared_columns(fit: TotalsFit, design: Design) -> tuple[list[int], list[int]]:
    """Return the places of the columns that both have: in the fit, and in the design."""
    position = {name: i for i, name in enumerate(design.names)}
    pairs = [(i, position[name]) for i, name in enumerate(fit.names) if name in position]
    return [i for i, _ in pairs], [j for _, j in pairs]


def _log_offsets(totals: Doubles) -> Doubles:
    """Return the offset added before the log, small compared with a usual day, so that a zero has a log."""
    with np.errstate(invalid="ignore"):
        count = np.isfinite(totals).sum(1)
        mean = np.nansum(totals, axis=1) / np.maximum(count, 1)
    return np.where(mean > 0, np.minimum(0.5, 0.1 * mean), 0.5)
