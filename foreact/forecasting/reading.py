"""One panel read for all models: demand, design, offers and the items' history, each computed once."""

from dataclasses import dataclass
from functools import cached_property

from foreact.forecasting.inputs.arrays import Codes, Doubles
from foreact.forecasting.inputs.columns import Columns, group_codes
from foreact.forecasting.inputs.demand import Demand, read_demand
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.scale import Scale, read_scale
from foreact.forecasting.inputs.traits import Traits, read_traits
from foreact.forecasting.items.history import PanelHistory, read_history
from foreact.forecasting.items.levels import borrowed_levels
from foreact.forecasting.totals.design import Design, calendar_design, has_seasons
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
    def usual(self) -> Doubles:
        """What each item would borrow of its group if it had no past."""
        return borrowed_levels(self.history, self.codes, self.panel.days)

    @cached_property
    def traits(self) -> Traits:
        """How the items behave as of the origin."""
        return read_traits(self.panel, self.columns, self.demand)

    @cached_property
    def scale(self) -> Scale:
        """The weights and scales of errors after the origin."""
        return read_scale(self.demand.units, self.demand.totals, self.codes, self.panel.spacing.month)


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
        design=calendar_design(panel, columns, has_seasons(panel)),
        offers=read_offers(panel, columns, codes, len(names), demand),
    )


def read_panel_like(reading: PanelReading, columns: Columns, groups: list[str]) -> PanelReading:
    """Read the same panel by another model's columns; as a rule they are the same, and so is the reading."""
    names, _ = group_codes(reading.panel, columns.group, groups)
    alike = columns == reading.columns and names == reading.groups
    return reading if alike else read_panel(reading.panel, columns, groups)
