"""The drivers of the store's total: units by cause that add up to it."""

import numpy as np

from foreact.forecasting.experts.store import Projection
from foreact.forecasting.forecast import LEVEL
from foreact.forecasting.inputs.arrays import Doubles, Floats
from foreact.forecasting.reading import PanelReading
from foreact.forecasting.totals.model import TotalsFit, align_groups, driver_logs, offer_logs

SEASON, CLOSED = "season", "closed"


def explain_totals(reading: PanelReading, totals: TotalsFit, projection: Projection) -> dict[str, Floats]:
    """Split every group's day into level and drivers by logarithmic means, which add up exactly."""
    panel = reading.panel
    days = panel.days
    fitted = align_groups(totals, reading.groups)
    logs = driver_logs(fitted, reading.design)
    logs |= dict(zip(fitted.offers, offer_logs(fitted, reading.offers), strict=True))
    # Normal is the mean of the last year, so that a constant effect is level.
    usual = slice(max(0, days - panel.spacing.year), days)
    effects = {
        name: values[:, days:] - values[:, usual].mean(1, keepdims=True) for name, values in logs.items() if days
    }
    ahead = projection.totals
    effects[SEASON] = effects.get(SEASON, 0.0) + ahead.recurring
    open_mean = np.exp(ahead.season[:, days:] + ahead.level[:, None])
    final = np.zeros_like(open_mean)
    np.add.at(final, reading.codes, projection.items)
    trading = np.where(ahead.closed, open_mean, np.maximum(final, 0))
    pulled = sum(effects.values(), np.zeros_like(open_mean))
    # Growth and the items' own sum add something smooth to the drivers: it counts as level.
    base = np.where(trading > 0, trading / np.exp(pulled), 0.0)
    weight = _logarithmic_mean(trading, base)
    result = {LEVEL: base.sum(0)}
    for name, effect in effects.items():
        result[name] = (weight * effect).sum(0)
    result[CLOSED] = (final - trading).sum(0)
    return {name: np.asarray(values, np.float32) for name, values in result.items() if name == LEVEL or values.any()}


def _logarithmic_mean(a: Doubles, b: Doubles) -> Doubles:
    """Return (a - b) / log(a / b), and a where they are the same."""
    positive = (a > 0) & (b > 0)
    ratio = np.log(np.divide(a, b, out=np.ones_like(a), where=positive))
    near = np.abs(ratio) < 1e-9
    mean = np.divide(a - b, ratio, out=a.copy(), where=~near)
    return np.where(positive, mean, 0.0)
