"""The opinions of all experts on one reading of a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from foreact.forecasting.experts.chain import ChainFit, ChainForecaster
from foreact.forecasting.experts.evidence import Weights, classify_items
from foreact.forecasting.experts.installed import ExpertError, InstalledFit
from foreact.forecasting.experts.protocol import CHAIN, STORE, Forecaster
from foreact.forecasting.experts.simple import Simple, SimpleForecaster, has_last_year
from foreact.forecasting.experts.store import Projection, project_store
from foreact.forecasting.inputs.arrays import Bools, Codes, Doubles
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.items.model import ItemsFit, on_sale
from foreact.forecasting.items.silence import find_returning, remaining_shares, repeat_last_year
from foreact.forecasting.reading import PanelReading
from foreact.forecasting.reconcile import reconcile_items, sum_by_group
from foreact.forecasting.totals.model import TotalsFit

# The simple methods that are experts too; last week again is only compared with.
SIMPLE_EXPERTS = (Simple.WEEKDAY_MEAN, Simple.SMOOTHING, Simple.LAST_YEAR)


@dataclass(frozen=True)
class Pool:
    """The experts of one origin: the store's own fits, the chain's, and those of installed experts by name."""

    totals: TotalsFit
    items: ItemsFit | None = None
    chain: ChainFit | None = None
    installed: Mapping[str, InstalledFit] = field(default_factory=dict)

    def list_others(self, panel: Panel) -> dict[str, Forecaster]:
        """Return all experts but the store's own, by name."""
        others: dict[str, Forecaster] = {}
        if self.chain is not None:
            others[CHAIN] = ChainForecaster(self.chain, self.totals)
        others.update({method: SimpleForecaster(method) for method in list_simple_experts(panel)})
        return {**others, **self.installed}


@dataclass(frozen=True)
class Opinions:
    """What each expert forecasts, items x horizon, and what it takes to combine them."""

    means: dict[str, Doubles]
    kinds: Codes
    codes: Codes
    groups: int
    closed: Bools
    # What remains of each item after a silence.
    remaining: Doubles
    # What the simple methods forecast, whether they are experts or only compared with.
    simple: dict[Simple, Doubles]
    # Why installed experts have no opinion, by name.
    left_out: dict[str, str] = field(default_factory=dict)

    def follow(self, method: Simple) -> Doubles:
        """Return items x horizon by one simple method alone."""
        return np.asarray(self.simple[method] * self.remaining[:, None])

    def combine(self, weights: Weights) -> Doubles:
        """Return items x horizon by these weights, the items' own scaled to the totals' so that both add up."""
        chosen = weights.select_experts(list(self.means))
        means = np.stack([self.means[name] for name in chosen.experts])
        if len(self.codes) == 1:
            return np.asarray(np.tensordot(chosen.totals, means, 1) * self.remaining[:, None])
        items = np.einsum("ie,eid->id", chosen.items[self.kinds], means) * self.remaining[:, None]
        sums = np.stack([sum_by_group(mean, self.codes, self.groups) for mean in means])
        return reconcile_items(items, np.tensordot(chosen.totals, sums, 1), self.codes, self.closed)


def list_simple_experts(panel: Panel) -> list[Simple]:
    """Return the simple methods that a history as long as the panel's has a use for."""
    return [
        method
        for method in SIMPLE_EXPERTS
        if method is not Simple.LAST_YEAR or has_last_year(panel.days, panel.spacing)
    ]


def gather_opinions(reading: PanelReading, pool: Pool, items_bias: float | None) -> tuple[Opinions, Projection]:
    """Ask every expert of the pool, and return the store's own projection too, which explains itself."""
    projection = project_store(reading, pool.totals, pool.items, items_bias)
    closed = projection.totals.closed
    means = {STORE: projection.items}
    panel = reading.panel
    sale = on_sale(reading.history) * ~closed
    left_out = {}
    for name, expert in pool.list_others(panel).items():
        try:
            means[name] = np.maximum(expert.forecast(reading), 0.0) * sale
        except ExpertError as error:
            left_out[name] = str(error)
    simple = {
        method: means[method] if method in means else SimpleForecaster(method).forecast(reading) * sale
        for method in Simple
    }
    returning = find_returning(reading.history, reading.usual)
    if returning.any():
        # No level tells of a season that has not begun: last year does.
        season = repeat_last_year(reading.history) * sale
        means = {name: np.where(returning[:, None], season, mean) for name, mean in means.items()}
        simple = {method: np.where(returning[:, None], season, mean) for method, mean in simple.items()}
    kinds = classify_items(reading.history, panel.days)
    remaining = remaining_shares(reading.history, reading.usual, reading.columns)
    return Opinions(means, kinds, reading.codes, len(reading.groups), closed, remaining, simple, left_out), projection


def combine_projection(opinions: Opinions, projection: Projection, weights: Weights) -> Projection:
    """Return the projection with the items that all experts agreed on."""
    return replace(projection, items=opinions.combine(weights))
