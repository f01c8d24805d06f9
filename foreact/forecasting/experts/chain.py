"""The chain's expert: one boosting over all stores and items, relative to each item's level.

What it learns of prices, promotions, feasts and weekdays a store alone may have too few rows for. It is fitted once for
all stores, versioned beside their models, and used as it is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.errors import ForeactError
from foreact.forecasting.experts.evidence import Evidence
from foreact.forecasting.experts.rows import Rows, describe_rows
from foreact.forecasting.experts.store import expect_season
from foreact.forecasting.inputs.arrays import Doubles, Floats
from foreact.forecasting.items.model import on_sale
from foreact.forecasting.reading import PanelReading
from foreact.forecasting.totals.model import TotalsFit
from foreact.spacing import Spacing

FORMAT = 2
BINS = 127
# Rows further back say less about today than they cost.
YEARS = 3
# A name is worth telling apart from this many rows on.
ROWS_A_NAME = 300
# A single cell that sold this many times its level counts as this.
MOST_TIMES = 50.0
SETTINGS: dict[str, Any] = {
    "objective": "reg:tweedie",
    "tweedie_variance_power": 1.2,
    "grow_policy": "lossguide",
    "max_depth": 0,
    "max_leaves": 31,
    "eta": 0.05,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "reg_lambda": 5.0,
    "max_bin": BINS,
    # One thread: the order of additions is the same on any number of cores.
    "nthread": 1,
}
TREES = 240


@dataclass(frozen=True)
class ChainRows:
    """One store's share of the rows to fit on: described, with units over level as target and the level as weight."""

    rows: Rows
    target: Floats


@dataclass(frozen=True)
class ChainFit:
    """A fitted boosting, the names of its features in order, and the texts that each named one may be."""

    text: str
    names: list[str]
    texts: dict[str, list[str]]

    def forecast(self, reading: PanelReading, totals: TotalsFit) -> Doubles:
        """Return items x horizon, described against the season that the store's totals expect."""
        panel = reading.panel
        items, ahead = (place.ravel() for place in np.indices((len(panel.items), panel.horizon)))
        origins = np.full(len(items), panel.days)
        rows = describe_rows(reading, expect_season(reading, totals), items, origins, panel.days + ahead)
        features = _make_matrix(_arrange(rows, self.names, self.texts), self.texts, self.names)
        mean = _parse_booster(self.text).predict(features) * rows.level
        return np.asarray(mean.reshape(-1, panel.horizon) * on_sale(reading.history))


@dataclass(frozen=True)
class ChainForecaster:
    """The chain's fit as an expert on one store."""

    fit: ChainFit
    totals: TotalsFit

    def forecast(self, reading: PanelReading) -> Doubles:
        """Return items x horizon."""
        return self.fit.forecast(reading, self.totals)


def draw_rows(reading: PanelReading, totals: TotalsFit, budget: int, seed: int) -> ChainRows | None:
    """Describe a random part of a store's past cells, each as seen from a random day within the horizon before it."""
    panel, history = reading.panel, reading.history
    oldest = max(panel.spacing.month, panel.days - YEARS * panel.spacing.year)
    seen = np.diff(history.evidence[:, oldest:], axis=1) > 0
    items, days = np.nonzero(seen)
    random = np.random.default_rng(seed)
    if len(items) > budget:
        drawn = np.sort(random.choice(len(items), budget, replace=False))
        items, days = items[drawn], days[drawn]
    days = days + oldest
    origins = days - random.integers(0, panel.horizon, len(days))
    usable = (origins > 0) & (history.evidence[items, np.maximum(origins, 0)] >= panel.spacing.month)
    items, days, origins = items[usable], days[usable], origins[usable]
    if not len(items):
        return None
    rows = describe_rows(reading, expect_season(reading, totals), items, origins, days)
    target = np.minimum(history.filled[items, days] / rows.level, MOST_TIMES)
    return ChainRows(rows, target.astype(np.float32))


def fit_chain(parts: Sequence[ChainRows], seed: int) -> ChainFit | None:
    """Fit the boosting to the rows of all stores."""
    from xgboost import QuantileDMatrix, train

    if not parts:
        return None
    target = np.concatenate([part.target for part in parts])
    weight = np.concatenate([part.rows.level for part in parts])
    if not target.any():
        return None
    texts = _list_texts(parts, len(target))
    names = [*dict.fromkeys(name for part in parts for name in part.rows.numbers), *texts]
    matrix = np.concatenate([_arrange(part.rows, names, texts) for part in parts])
    data = QuantileDMatrix(
        matrix,
        target,
        weight=weight / weight.mean(),
        feature_types=_name_types(names, texts),
        enable_categorical=True,
        max_bin=BINS,
        nthread=1,
    )
    booster = train({**SETTINGS, "seed": seed}, data, TREES)
    return ChainFit(booster.save_raw("json").decode(), names, texts)


def _make_matrix(features: Floats, texts: Mapping[str, list[str]], names: Sequence[str]) -> Any:
    from xgboost import DMatrix

    return DMatrix(features, feature_types=_name_types(names, texts), enable_categorical=True, nthread=1)


def _name_types(names: Sequence[str], texts: Mapping[str, list[str]]) -> list[str]:
    return ["c" if name in texts else "q" for name in names]


def _list_texts(parts: Iterable[ChainRows], rows: int) -> dict[str, list[str]]:
    """Return the texts of every named feature that has more than one, and rows enough for each."""
    found: dict[str, set[str]] = {}
    for part in parts:
        for name, values in part.rows.texts.items():
            found.setdefault(name, set()).update(np.unique(values).tolist())
    return {
        name: sorted(values)
        for name, values in found.items()
        if len(values) > 1 and (rows >= ROWS_A_NAME * len(values) or not name.startswith(("store", "item")))
    }


def _arrange(rows: Rows, names: Sequence[str], texts: Mapping[str, list[str]]) -> Floats:
    """Return rows x features in the order of the fit, NaN for what a store lacks or a text that the fit never saw."""
    matrix = np.full((len(rows.level), len(names)), np.nan, np.float32)
    for i, name in enumerate(names):
        if name in texts:
            if name in rows.texts:
                matrix[:, i] = _encode(rows.texts[name], texts[name])
        elif name in rows.numbers:
            matrix[:, i] = rows.numbers[name]
    return matrix


def _encode(values: NDArray[np.str_], known: list[str]) -> Floats:
    place = {text: i for i, text in enumerate(known)}
    distinct, codes = np.unique(values, return_inverse=True)
    return np.array([place.get(text, np.nan) for text in distinct.tolist()], np.float32)[codes]


@lru_cache(maxsize=4)
def _parse_booster(text: str) -> Any:
    from xgboost import Booster

    booster = Booster({"nthread": 1})
    booster.load_model(bytearray(text.encode()))
    return booster


@dataclass(frozen=True)
class ChainModel:
    """The chain's fit, an earlier one for backtests, and what backtests say of all experts, by some of the stores."""

    as_of: np.datetime64
    horizon: int
    spacing: Spacing
    stores: int
    rows: int
    final: ChainFit
    # Fitted on the days before the oldest origin at which stores test their items; None: too short a history.
    earlier: ChainFit | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)

    def list_evidence(self, store: str) -> list[Evidence]:
        """Return the evidence of all stores but one, so that its windows are weighed by others alone."""
        return [evidence for name, evidence in self.evidence.items() if name != store]

    def save(self, folder: Path) -> None:
        """Write the model into a folder as JSON, the boostings' own too."""
        folder.mkdir(parents=True, exist_ok=True)
        fits = {"final": self.final, "earlier": self.earlier}
        description = {
            "format": FORMAT,
            "as_of": str(self.as_of.astype("datetime64[D]")),
            "horizon": self.horizon,
            "spacing": self.spacing.value,
            "stores": self.stores,
            "rows": self.rows,
            "fits": {name: {"names": fit.names, "texts": fit.texts} for name, fit in fits.items() if fit},
            "evidence": {store: evidence.to_json() for store, evidence in self.evidence.items()},
        }
        (folder / "chain.json").write_text(json.dumps(description, sort_keys=True))
        for name, fit in fits.items():
            if fit is not None:
                (folder / f"{name}.json").write_text(fit.text)

    @classmethod
    def load(cls, folder: Path) -> "ChainModel":
        """Return the model saved in a folder, without executing anything in it."""
        try:
            description = json.loads((folder / "chain.json").read_text())
            if description["format"] != FORMAT:
                raise ForeactError(
                    f"The chain's model in {folder} has format {description['format']}, not {FORMAT}: train it again."
                )
            fits = {
                name: ChainFit((folder / f"{name}.json").read_text(), fit["names"], fit["texts"])
                for name, fit in description["fits"].items()
            }
            return cls(
                as_of=np.datetime64(description["as_of"], "D"),
                horizon=description["horizon"],
                spacing=Spacing(description["spacing"]),
                stores=description["stores"],
                rows=description["rows"],
                final=fits["final"],
                earlier=fits.get("earlier"),
                evidence={store: Evidence.from_json(each) for store, each in description["evidence"].items()},
            )
        except (OSError, KeyError, ValueError) as error:
            raise ForeactError(f"{folder} has no complete model of the chain ({error}): train it again.") from error
