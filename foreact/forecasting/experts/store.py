"""The store's own expert: a ridge of its totals, one boosting of its items, and both reconciled."""

from dataclasses import dataclass, replace

import numpy as np

from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.items.history import ItemHistory, complete_history, window_sums
from foreact.forecasting.items.model import ItemsFit, fit_items, forecast_items, on_sale
from foreact.forecasting.reading import PanelReading
from foreact.forecasting.reconcile import blend_totals, reconcile_items, sum_by_group
from foreact.forecasting.totals.forecast import TotalsForecast, forecast_totals
from foreact.forecasting.totals.model import TotalsFit, align_groups, fit_totals, season_logs


@dataclass(frozen=True)
class Projection:
    """The means over the horizon, items x horizon, and the parts they come from."""

    items: Doubles
    totals: TotalsForecast
    # horizon: the sum of the items' own forecasts before reconciliation; None where they have none.
    own: Doubles | None = None


def fit_store_totals(reading: PanelReading) -> TotalsFit:
    """Fit the model of totals to a reading."""
    return fit_totals(reading.panel, reading.demand, reading.design, reading.offers, reading.groups)


def fit_store_items(reading: PanelReading, totals: TotalsFit, seed: int) -> ItemsFit | None:
    """Fit the model of items against the totals' season; None for a single item, which is its total."""
    return fit_items(build_item_history(reading, totals), seed) if len(reading.codes) > 1 else None


def build_item_history(reading: PanelReading, totals: TotalsFit) -> ItemHistory:
    """Return the items' history against the season that the totals expect."""
    season = expect_season(reading, totals)
    return complete_history(reading.history, reading.columns, reading.codes, design=reading.design, season=season)


def expect_season(reading: PanelReading, totals: TotalsFit) -> Doubles:
    """Return groups x all days: the log of the season that the fit of totals expects."""
    return season_logs(align_groups(totals, reading.groups), reading.design)


def project_totals(reading: PanelReading, totals: TotalsFit) -> TotalsForecast:
    """Forecast the totals over the horizon."""
    fitted = align_groups(totals, reading.groups)
    return forecast_totals(fitted, reading.panel, reading.demand, reading.design, reading.offers, reading.columns)


def project_store(
    reading: PanelReading, totals: TotalsFit, items: ItemsFit | None, items_bias: float | None
) -> Projection:
    """Forecast totals and items, blend the items' sums into the totals, and reconcile."""
    ahead = project_totals(reading, totals)
    if len(reading.codes) == 1:
        # The total is the item.
        return Projection(ahead.mean.copy(), ahead)
    ahead = replace(ahead, mean=ahead.mean * _remaining_shares(reading))
    mean = forecast_items(items, build_item_history(reading, totals))
    if items is None:
        return Projection(reconcile_items(mean, ahead.mean, reading.codes, ahead.closed), ahead)
    groups = blend_totals(ahead.mean, sum_by_group(mean, reading.codes, len(ahead.mean)), items_bias)
    return Projection(reconcile_items(mean, groups, reading.codes, ahead.closed), ahead, mean.sum(0) * ~ahead.closed)


def _remaining_shares(reading: PanelReading) -> Doubles:
    """Return groups x horizon: the share of what sold lately that is still on sale; nobody takes over the rest."""
    sold, seen = window_sums(reading.history, reading.panel.days, reading.panel.spacing.month)
    recent = (sold / np.maximum(seen, 1))[:, None]
    sale = on_sale(reading.history)
    groups = len(reading.groups)
    whole = sum_by_group(recent * np.ones_like(sale), reading.codes, groups)
    left = sum_by_group(recent * sale, reading.codes, groups)
    return np.divide(left, whole, out=np.ones_like(left), where=whole > 0)
