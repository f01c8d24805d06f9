"""A store's model: its fits, the fits of its backtest, and a format that loads without executing code."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.errors import ForeactError
from foreact.forecasting.drivers import explain_totals
from foreact.forecasting.experts.chain import ChainModel
from foreact.forecasting.experts.evidence import Weights
from foreact.forecasting.experts.installed import InstalledFit, read_fits
from foreact.forecasting.experts.pool import Pool, combine_projection, gather_opinions
from foreact.forecasting.forecast import SHARES, Forecast
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.intervals import Intervals, cell_quantiles, total_quantiles
from foreact.forecasting.items.boosting import read_booster, write_booster
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.reading import PanelReading, read_panel
from foreact.forecasting.reconcile import tie_quantiles
from foreact.forecasting.totals.model import TotalsFit

log = logging.getLogger(__name__)
FORMAT = 4


class OtherFormat(ForeactError):
    """A model was saved by another release."""

    def __init__(self, found: int) -> None:
        age = "an older format" if found < FORMAT else "a newer format than this software knows"
        super().__init__(f"it is of {age}, {found} and not {FORMAT}")


FIT_ARRAYS = ("coefficients", "ramps", "intercepts", "offsets", "responses")


@dataclass(frozen=True)
class BacktestFits:
    """The model as fitted at earlier origins, so that a later run can judge it on days it has not seen."""

    totals: list[TotalsFit] = field(default_factory=list)
    items: ItemsFit | None = None
    installed: Mapping[str, InstalledFit] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreModel:
    """Everything needed to forecast a store from its panel."""

    store: str
    as_of: np.datetime64
    horizon: int
    columns: Columns
    totals: TotalsFit
    items: ItemsFit | None
    intervals: Intervals
    items_bias: float | None
    weights: Weights
    backtest_fits: BacktestFits
    # Fits of installed experts by name.
    installed: Mapping[str, InstalledFit] = field(default_factory=dict)

    def predict(self, panel: Panel, chain: ChainModel | None = None, shares: Sequence[float] = SHARES) -> Forecast:
        """Forecast the panel's horizon beside the chain's model; recent sales are read from the panel's history."""
        with single_thread():
            return self.forecast_reading(read_panel(panel, self.columns, self.totals.groups), chain, shares)

    def forecast_reading(
        self, reading: PanelReading, chain: ChainModel | None, shares: Sequence[float] = SHARES
    ) -> Forecast:
        """Forecast from a panel that was read by this model's columns."""
        pool = Pool(self.totals, self.items, None if chain is None else chain.final, self.installed)
        opinions, ahead = gather_opinions(reading, pool, self.items_bias)
        for name, why in opinions.left_out.items():
            log.warning("the expert %r has no say in store %r: %s", name, self.store, why)
        ahead = combine_projection(opinions, ahead, self.weights)
        if not np.isfinite(ahead.items).all():
            raise ForeactError(f"The model of store {self.store!r} returned a forecast that is not finite.")
        return assemble_forecast(
            reading, ahead.items, self.intervals, explain_totals(reading, self.totals, ahead), shares
        )

    def save(self, folder: Path) -> None:
        """Write the model into a folder: JSON, arrays without pickles, the boosting by skops, experts' bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        fits = [self.totals, *self.backtest_fits.totals]
        arrays: dict[str, NDArray[Any]] = dict(self.intervals.to_arrays())
        for i, fit in enumerate(fits):
            for name in FIT_ARRAYS:
                arrays[f"{i}.{name}"] = getattr(fit, name)
        np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
        description = {
            "format": FORMAT,
            "store": self.store,
            "as_of": str(self.as_of.astype("datetime64[D]")),
            "horizon": self.horizon,
            "columns": self.columns.to_json(),
            "items_bias": self.items_bias,
            "weights": self.weights.to_json(),
            "totals": [
                {
                    "groups": fit.groups,
                    "origin": str(fit.origin.astype("datetime64[D]")),
                    "names": fit.names,
                    "offers": fit.offers,
                }
                for fit in fits
            ],
            "items": None if self.items is None else self.items.names,
            "backtest_items": None if self.backtest_fits.items is None else self.backtest_fits.items.names,
            "experts": list(self.installed),
            "backtest_experts": list(self.backtest_fits.installed),
        }
        (folder / "model.json").write_text(json.dumps(description, sort_keys=True))
        for name, items in (("items", self.items), ("backtest_items", self.backtest_fits.items)):
            if items is not None:
                write_booster(items.booster, folder / f"{name}.skops")
        for kind, experts in (("experts", self.installed), ("backtest_experts", self.backtest_fits.installed)):
            for name, expert in experts.items():
                (folder / f"{kind}.{name}.bin").write_bytes(expert.save())

    @classmethod
    def load(cls, folder: Path) -> "StoreModel":
        """Return the model saved in a folder, without executing anything in it.

        An expert that is not installed any more has no say, and the others have its share.
        """
        try:
            description = json.loads((folder / "model.json").read_text())
            if description["format"] != FORMAT:
                raise OtherFormat(int(description["format"]))
            with np.load(folder / "arrays.npz", allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            experts = {
                kind: {name: (folder / f"{kind}.{name}.bin").read_bytes() for name in description[kind]}
                for kind in ("experts", "backtest_experts")
            }
        except (OSError, KeyError, ValueError) as error:
            raise ForeactError(f"{folder} does not contain a complete model ({error}): train it again.") from error
        fits = [
            TotalsFit(
                groups=fit["groups"],
                origin=np.datetime64(fit["origin"], "D"),
                names=fit["names"],
                offers=fit["offers"],
                **{name: arrays[f"{i}.{name}"] for name in FIT_ARRAYS},
            )
            for i, fit in enumerate(description["totals"])
        ]
        items = {
            name: None
            if description[name] is None
            else ItemsFit(read_booster(folder / f"{name}.skops"), description[name])
            for name in ("items", "backtest_items")
        }
        installed = read_fits(experts["experts"])
        weights = Weights.from_json(description["weights"])
        lost = experts["experts"].keys() - installed.keys()
        return cls(
            store=description["store"],
            as_of=np.datetime64(description["as_of"], "D"),
            horizon=description["horizon"],
            columns=Columns.from_json(description["columns"]),
            totals=fits[0],
            items=items["items"],
            intervals=Intervals(**{each.name: arrays[each.name] for each in fields(Intervals)}),
            items_bias=description["items_bias"],
            weights=weights.select_experts([name for name in weights.experts if name not in lost]),
            backtest_fits=BacktestFits(fits[1:], items["backtest_items"], read_fits(experts["backtest_experts"])),
            installed=installed,
        )


def assemble_forecast(
    reading: PanelReading,
    mean: NDArray[np.float64],
    intervals: Intervals,
    drivers: dict[str, Any],
    shares: Sequence[float],
) -> Forecast:
    """Return the forecast of these means with their quantiles."""
    panel, total = reading.panel, mean.sum(0)
    of_total = total_quantiles(intervals, total, shares)
    return Forecast(
        store=panel.store,
        items=panel.items,
        dates=panel.dates[panel.days :],
        mean=mean.astype(np.float32),
        quantiles=tie_quantiles(cell_quantiles(intervals, mean, reading.traits, shares), of_total, mean, shares),
        total_mean=total.astype(np.float32),
        total_quantiles=of_total,
        shares=tuple(shares),
        drivers=drivers,
    )
