"""One look at a panel: it is read once, and totals and items are carried over its horizon and made to agree."""

from dataclasses import dataclass
from functools import cached_property

from foreact.forecasting.combining.reconcile import blend_totals, reconcile_items, sum_by_group
from foreact.forecasting.inputs.columns import Codes, Columns, group_codes
from foreact.forecasting.inputs.demand import Demand, Doubles, read_demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.scale import Scale, read_scale
from foreact.forecasting.items.features import ItemHistory, Past, read_past, view_history
from foreact.forecasting.items.model import ItemsFit, fit_items, forecast_items
from foreact.forecasting.totals.design import SEASON_DAYS, Design, calendar_design
from foreact.forecasting.totals.model import (
    TotalsFit,
    TotalsForecast,
    align_groups,
    fit_totals,
    forecast_totals,
    season_logs,
)
from foreact.forecasting.totals.offers import Offers, read_offers


@dataclass(frozen=True)
class PanelReading:
    """A panel and what is made of it before any model looks."""

    panel: Panel
    columns: Columns
    groups: list[str]
    codes: Codes
    demand: Demand
    design: Design
    offers: Offers

    @cached_property
    def past(self) -> Past:
        """The items' history, cumulated for all models that look at it."""
        return read_past(self.panel, self.columns, self.demand)

    @cached_property
    def scale(self) -> Scale:
        """What errors from here on are measured against."""
        return read_scale(self.demand.units, self.demand.totals, self.codes)


@dataclass(frozen=True)
class Projection:
    """The days ahead: items x horizon, and how they came about."""

    items: Doubles
    totals: TotalsForecast
    # horizon: the sum of the items' own forecasts, before they are made to agree; nothing where they have none.
    own: Doubles | None = None


def read_panel(panel: Panel, columns: Columns, groups: list[str] | None = None) -> PanelReading:
    """Read a panel the way a model's columns say."""
    names, codes = group_codes(panel, columns.group, groups)
    demand = read_demand(panel, codes, len(names))
    return PanelReading(
        panel=panel,
        columns=columns,
        groups=names,
        codes=codes,
        demand=demand,
        design=calendar_design(panel, columns, panel.days >= SEASON_DAYS),
        offers=read_offers(panel, columns, codes, len(names), demand),
    )


def read_panel_like(reading: PanelReading, columns: Columns, groups: list[str]) -> PanelReading:
    """Read the same panel the way of another model: as a rule it is the same way."""
    names, _ = group_codes(reading.panel, columns.group, groups)
    alike = columns == reading.columns and names == reading.groups
    return reading if alike else read_panel(reading.panel, columns, groups)


def fit_store_totals(reading: PanelReading) -> TotalsFit:
    """Fit the totals of what was read."""
    return fit_totals(reading.panel, reading.demand, reading.design, reading.offers, reading.groups)


def fit_store_items(reading: PanelReading, totals: TotalsFit, seed: int) -> ItemsFit | None:
    """Fit the items against what the totals expect; a lone item is its total."""
    return fit_items(build_item_history(reading, totals), seed) if len(reading.codes) > 1 else None


def build_item_history(reading: PanelReading, totals: TotalsFit) -> ItemHistory:
    """Return the items' history against the season that the totals expect."""
    season = season_logs(align_groups(totals, reading.groups), reading.design)
    return view_history(reading.past, reading.columns, reading.codes, design=reading.design, season=season)


def project_totals(reading: PanelReading, totals: TotalsFit) -> TotalsForecast:
    """Carry the totals over the horizon."""
    fitted = align_groups(totals, reading.groups)
    return forecast_totals(fitted, reading.panel, reading.demand, reading.design, reading.offers, reading.columns)


def project_store(
    reading: PanelReading, totals: TotalsFit, items: ItemsFit | None, items_bias: float | None
) -> Projection:
    """Forecast totals and items, let the items have a say in the totals, and make them agree."""
    ahead = project_totals(reading, totals)
    if len(reading.codes) == 1:
        # The total is the item.
        return Projection(ahead.mean.copy(), ahead)
    mean = forecast_items(items, build_item_history(reading, totals))
    if items is None:
        return Projection(reconcile_items(mean, ahead.mean, reading.codes, ahead.closed), ahead)
    groups = blend_totals(ahead.mean, sum_by_group(mean, reading.codes, len(ahead.mean)), items_bias)
    return Projection(reconcile_items(mean, groups, reading.codes, ahead.closed), ahead, mean.sum(0) * ~ahead.closed)
