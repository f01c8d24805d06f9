"""How well each expert did in backtests, and the weights that follow from it.

Evidence is the mean product of any two experts' errors: from it the error of every weighted mean of them follows, and
it adds up over windows and stores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from foreact.forecasting.inputs.arrays import Codes, Doubles
from foreact.forecasting.inputs.scale import Scale
from foreact.forecasting.items.history import PanelHistory

# Kinds of items: too young to judge, selling on few days, small, large.
KINDS = ("new", "rare", "small", "large")
YOUNG_MONTHS = 3
RARE_SHARE, RARE_WEEKS = 0.5, 16
LARGE_UNITS = 10.0
# The chain counts as this many windows of a store's own, or as many as it has.
CHAIN_WINDOWS = 16.0
# Equal weights are preferred as strongly as by so many windows of errors that have nothing in common.
EQUAL_WINDOWS = 0.3


@dataclass(frozen=True)
class Evidence:
    """Sums of the products of experts' errors, relative to the reference's: of totals, and of the kinds of items."""

    experts: tuple[str, ...]
    # experts x experts
    totals: Doubles
    # kinds x experts x experts
    items: Doubles
    windows: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as JSON that `from_json` reads."""
        return {
            "experts": list(self.experts),
            "totals": self.totals.tolist(),
            "items": self.items.tolist(),
            "windows": self.windows,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Evidence":
        """Return the evidence from the JSON that `to_json` returned."""
        return cls(tuple(data["experts"]), np.array(data["totals"]), np.array(data["items"]), data["windows"])

    def select_experts(self, experts: Sequence[str]) -> "Evidence":
        """Return the evidence of some of the experts."""
        if tuple(experts) == self.experts:
            return self
        place = [self.experts.index(name) for name in experts]
        return Evidence(
            tuple(experts), self.totals[np.ix_(place, place)], self.items[:, place][:, :, place], self.windows
        )


@dataclass(frozen=True)
class Weights:
    """The share of each expert in the totals, and in the items of each kind; each set sums to 1."""

    experts: tuple[str, ...]
    totals: Doubles
    # kinds x experts
    items: Doubles

    def to_json(self) -> dict[str, Any]:
        """Return the weights as JSON that `from_json` reads."""
        return {"experts": list(self.experts), "totals": self.totals.tolist(), "items": self.items.tolist()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Weights":
        """Return the weights from the JSON that `to_json` returned."""
        return cls(tuple(data["experts"]), np.array(data["totals"]), np.array(data["items"]))

    def list_shares(self) -> dict[str, float]:
        """Return each expert's share of the totals."""
        return dict(zip(map(str, self.experts), self.totals.tolist(), strict=True))

    def select_experts(self, experts: Sequence[str]) -> "Weights":
        """Return the weights of some of the experts, made to sum to 1 again."""
        place = [self.experts.index(name) for name in experts if name in self.experts]
        names = tuple(self.experts[i] for i in place)
        return Weights(names, _share_out(self.totals[place]), _share_out(self.items[:, place]))


def classify_items(history: PanelHistory, origin: int) -> Codes:
    """Return each item's kind as of the origin."""
    spacing = history.panel.spacing
    start = max(0, origin - RARE_WEEKS * spacing.week)
    seen = history.evidence[:, origin] - history.evidence[:, start]
    selling = (history.selling[:, origin] - history.selling[:, start]) / np.maximum(seen, 1)
    mean = (history.units[:, origin] - history.units[:, start]) / np.maximum(seen, 1)
    kind = np.where(mean >= LARGE_UNITS, KINDS.index("large"), KINDS.index("small"))
    kind = np.where(selling < RARE_SHARE, KINDS.index("rare"), kind)
    return np.where(origin - history.first_sale < YOUNG_MONTHS * spacing.month, KINDS.index("new"), kind)


def gather_evidence(
    opinions: Mapping[str, Doubles], actual: Doubles, scale: Scale, kinds: Codes, reference: str
) -> Evidence:
    """Return the evidence of one window; errors count as in the scaled error, relative to those of `reference`."""
    experts = tuple(opinions)
    known = np.isfinite(actual)
    truth = np.nan_to_num(actual)
    miss = np.stack([np.where(known, opinions[name] - truth, 0.0) for name in experts])
    place = experts.index(reference)
    worth = scale.weights[0] / scale.scales[0]
    items = np.stack(
        [_relate(np.einsum("i,eid,fid->ef", worth * (kinds == kind), miss, miss), place) for kind in range(len(KINDS))]
    )
    membership = np.zeros((scale.groups, len(kinds)))
    membership[scale.codes, np.arange(len(kinds))] = 1.0
    groups = np.einsum("gi,eid->egd", membership, miss)
    of_groups = np.einsum("g,egd,fgd->ef", scale.weights[1] / scale.scales[1], groups, groups)
    whole = groups.sum(1)
    of_whole = np.einsum("ed,fd->ef", whole, whole) / scale.scales[2][0]
    return Evidence(experts, _relate(of_groups, place) + _relate(of_whole, place), items)


def _relate(products: Doubles, place: int) -> Doubles:
    own = products[place, place]
    return products / own if own > 0 else np.zeros_like(products)


def add_evidence(parts: Sequence[Evidence]) -> Evidence | None:
    """Return the sum over windows or stores; experts that any of them lacks are left out."""
    if not parts:
        return None
    experts = [name for name in parts[0].experts if all(name in part.experts for part in parts)]
    chosen = [part.select_experts(experts) for part in parts]
    return Evidence(
        tuple(experts),
        np.sum([part.totals for part in chosen], axis=0),
        np.sum([part.items for part in chosen], axis=0),
        float(sum(part.windows for part in chosen)),
    )


def learn_weights(own: Sequence[Evidence], chain: Sequence[Evidence], experts: Sequence[str]) -> Weights:
    """Return the weights with the least squared error in a store's evidence, held towards the chain's and equal ones.

    The chain's evidence is that of other stores; those that know nothing of one of the experts have no say.
    """
    parts = [*own]
    others = add_evidence([one.select_experts(experts) for one in chain if set(experts) <= set(one.experts)])
    if others is not None and others.windows > 0:
        share = min(1.0, CHAIN_WINDOWS / others.windows)
        parts.append(Evidence(others.experts, others.totals * share, others.items * share, others.windows * share))
    equal = np.full(len(experts), 1 / len(experts))
    known = add_evidence([part.select_experts(experts) for part in parts])
    if known is None:
        return Weights(tuple(experts), equal, np.tile(equal, (len(KINDS), 1)))
    whole = _least_error(known.items.sum(0), known.windows)
    items = [_least_error(kind, known.windows) if np.trace(kind) > 0 else whole for kind in known.items]
    return Weights(tuple(experts), _least_error(known.totals, known.windows), np.array(items))


def _least_error(products: Doubles, windows: float) -> Doubles:
    """Return the weights from 0 up, summing to 1, with the least squared error, leaning to equal ones."""
    count = len(products)
    errors = np.diag(products)
    if errors.max() <= 0:
        return np.full(count, 1 / count)
    # One that made no error at all is followed, too.
    smallest = max(float(errors.min()), 1e-6 * float(errors.max()))
    leaning = products + np.eye(count) * EQUAL_WINDOWS * smallest / max(windows, 1.0)
    best, least = np.full(count, 1 / count), np.inf
    for subsets in _list_subsets(count):
        parts = leaning[subsets[:, :, None], subsets[:, None, :]]
        solved = np.linalg.solve(parts, np.ones((*subsets.shape, 1)))[..., 0]
        usable = (solved.sum(1) > 0) & (solved >= 0).all(1)
        weights = solved[usable] / solved[usable].sum(1, keepdims=True)
        missed = (weights[:, None] @ parts[usable] @ weights[..., None]).ravel()
        for chosen, shares, error in zip(subsets[usable], weights, missed.tolist(), strict=True):
            if error < least - 1e-12:
                least = error
                best = np.zeros(count)
                best[chosen] = shares
    return best


@lru_cache
def _list_subsets(count: int) -> list[Codes]:
    """Return the subsets of so many experts, those of one size together."""
    return [np.array(list(combinations(range(count), size))) for size in range(1, count + 1)]


def _share_out(values: Doubles) -> Doubles:
    total = values.sum(-1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1.0), 1 / values.shape[-1])
