"""One panel read for the models, fitted, and forecast: totals and items over its horizon, reconciled."""

from dataclasses import dataclass
from functools import cached_property

from foreact.forecasting.combining.reconcile import blend_totals, reconcile_items, sum_by_group
from foreact.forecasting.inputs.arrays import Codes, Doubles
from foreact.forecasting.inputs.columns import Columns, group_codes
from foreact.forecasting.inputs.demand import Demand, read_demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.scale import Scale, read_scale
from foreact.forecasting.inputs.traits import Traits, read_traits
from foreact.forecasting.items.history import ItemHistory, PanelHistory, complete_history, read_history
from foreact.forecasting.items.model import ItemsFit, fit_items, forecast_items
from foreact.forecasting.totals.design import SEASON_DAYS, Design, calendar_design
from foreact.forecasting.totals.forecast import TotalsForecast, forecast_totals
from foreact.forecasting.totals.model import TotalsFit, align_groups, fit_totals, season_logs
from foreact.forecasting.totals.offers import Offers, read_offers


@dataclass(frozen=True)
class PanelReading:
    """A panel and what the models need of it."""

    panel: Panel
    columns: Columns
    groups: list[str]
    codes: Codes
    demand: Demand
    design: Design
    offers: Offers

    @cached_property
    def history(self) -> PanelHistory:
        """The items' history, cumulated once for all models."""
        return read_history(self.panel, self.columns, self.demand)

    @cached_property
    def traits(self) -> Traits:
        """How the items behave as of the origin."""
        return read_traits(self.panel, self.columns, self.demand)

    @cached_property
    def scale(self) -> Scale:
        """The weights and scales of errors after the origin."""
        return read_scale(self.demand.units, self.demand.totals, self.codes)


@dataclass(frozen=True)
class Projection:
    """The means over the horizon, items x horizon, and the parts they come from."""

    items: Doubles
    totals: TotalsForecast
    # horizon: the sum of the items' own forecasts before reconciliation; None where they have none.
    own: Doubles | None = None


def read_panel(panel: Panel, columns: Columns, groups: list[str] | None = None) -> PanelReading:
    """Read a panel by a model's columns."""
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
    """Read the same panel by another model's columns; as a rule they are the same, and so is the reading."""
    names, _ = group_codes(reading.panel, columns.group, groups)
    alike = columns == reading.columns and names == reading.groups
    return reading if alike else read_panel(reading.panel, columns, groups)


def fit_store_totals(reading: PanelReading) -> TotalsFit:
    """Fit the model of totals to a reading."""
    return fit_totals(reading.panel, reading.demand, reading.design, reading.offers, reading.groups)


def fit_store_items(reading: PanelReading, totals: TotalsFit, seed: int) -> ItemsFit | None:
    """Fit the model of items against the totals' season; None for a single item, which is its total."""
    return fit_items(build_item_history(reading, totals), seed) if len(reading.codes) > 1 else None


def build_item_history(reading: PanelReading, totals: TotalsFit) -> ItemHistory:
    """Return the items' history against the season that the totals expect."""
    season = season_logs(align_groups(totals, reading.groups), reading.design)
    return complete_history(reading.history, reading.columns, reading.codes, design=reading.design, season=season)


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
    mean = forecast_items(items, build_item_history(reading, totals))
    if items is None:
        return Projection(reconcile_items(mean, ahead.mean, reading.codes, ahead.closed), ahead)
    groups = blend_totals(ahead.mean, sum_by_group(mean, reading.codes, len(ahead.mean)), items_bias)
    return Projection(reconcile_items(mean, groups, reading.codes, ahead.closed), ahead, mean.sum(0) * ~ahead.closed)
