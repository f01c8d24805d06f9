"""A store's model: what was learnt, what proves it, and how it is saved without any code to execute."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.errors import ForeactError
from foreact.forecasting.combining.drivers import explain_totals
from foreact.forecasting.combining.projection import PanelReading, project_store, read_panel
from foreact.forecasting.forecast import Forecast
from foreact.forecasting.inputs.columns import Columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.items.model import ItemsFit
from foreact.forecasting.judging.intervals import Intervals, apply_to_cells, apply_to_totals
from foreact.forecasting.totals.model import TotalsFit

FORMAT = 2
FIT_ARRAYS = ("coefficients", "ramps", "intercepts", "offsets", "responses")
TRUSTED = [
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "functools.partial",
    "sklearn.utils.validation.check_array",
]


@dataclass(frozen=True)
class Proof:
    """The same recipe as it was learnt at earlier origins, so that a later run can judge it on days it has not seen."""

    totals: list[TotalsFit] = field(default_factory=list)
    items: ItemsFit | None = None


@dataclass(frozen=True)
class StoreModel:
    """All that is needed to forecast a store from its panel."""

    store: str
    as_of: np.datetime64
    horizon: int
    columns: Columns
    totals: TotalsFit
    items: ItemsFit | None
    intervals: Intervals
    items_bias: float | None
    proof: Proof

    def predict(self, panel: Panel) -> Forecast:
        """Forecast the days that the panel has ahead; level and recent sales are read off its history."""
        with single_thread():
            return self.forecast(read_panel(panel, self.columns, self.totals.groups))

    def forecast(self, reading: PanelReading) -> Forecast:
        """Forecast from a panel that has been read the model's way."""
        ahead = project_store(reading, self.totals, self.items, self.items_bias)
        if not np.isfinite(ahead.items).all():
            raise ForeactError(f"The model of store {self.store!r} gives no finite forecast.")
        return assemble_forecast(
            reading.panel, ahead.items, self.intervals, explain_totals(reading, self.totals, ahead)
        )

    def save(self, folder: Path) -> None:
        """Write the model into a folder: JSON, arrays without pickles, and the boosting in skops' format."""
        folder.mkdir(parents=True, exist_ok=True)
        fits = [self.totals, *self.proof.totals]
        arrays: dict[str, NDArray[Any]] = dict(self.intervals.to_arrays())
        for i, fit in enumerate(fits):
            for name in FIT_ARRAYS:
                arrays[f"{i}.{name}"] = getattr(fit, name)
        np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
        about = {
            "format": FORMAT,
            "store": self.store,
            "as_of": str(self.as_of.astype("datetime64[D]")),
            "horizon": self.horizon,
            "columns": self.columns.to_json(),
            "items_bias": self.items_bias,
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
            "proof_items": None if self.proof.items is None else self.proof.items.names,
        }
        (folder / "model.json").write_text(json.dumps(about, sort_keys=True))
        for name, items in (("items", self.items), ("proof_items", self.proof.items)):
            if items is not None:
                _dump_booster(items.booster, folder / f"{name}.skops")

    @classmethod
    def load(cls, folder: Path) -> "StoreModel":
        """Read a model without executing anything that it brings along."""
        try:
            about = json.loads((folder / "model.json").read_text())
            if about["format"] != FORMAT:
                raise ForeactError(f"The model in {folder} has format {about['format']}, not {FORMAT}: train it anew.")
            with np.load(folder / "arrays.npz", allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, KeyError, ValueError) as error:
            raise ForeactError(f"{folder} holds no whole model ({error}): train it anew.") from error
        fits = [
            TotalsFit(
                groups=fit["groups"],
                origin=np.datetime64(fit["origin"], "D"),
                names=fit["names"],
                offers=fit["offers"],
                **{name: arrays[f"{i}.{name}"] for name in FIT_ARRAYS},
            )
            for i, fit in enumerate(about["totals"])
        ]
        items = {
            name: None if about[name] is None else ItemsFit(_load_booster(folder / f"{name}.skops"), about[name])
            for name in ("items", "proof_items")
        }
        return cls(
            store=about["store"],
            as_of=np.datetime64(about["as_of"], "D"),
            horizon=about["horizon"],
            columns=Columns.from_json(about["columns"]),
            totals=fits[0],
            items=items["items"],
            intervals=Intervals(arrays["edges"], arrays["cells"], arrays["totals"]),
            items_bias=about["items_bias"],
            proof=Proof(fits[1:], items["proof_items"]),
        )


def assemble_forecast(
    panel: Panel, mean: NDArray[np.float64], intervals: Intervals, drivers: dict[str, Any]
) -> Forecast:
    """Put intervals around means."""
    total = mean.sum(0)
    p10, p50, p90 = apply_to_cells(intervals, mean)
    low, high = apply_to_totals(intervals, total)
    return Forecast(
        store=panel.store,
        items=panel.items,
        dates=panel.dates[panel.days :],
        mean=mean.astype(np.float32),
        p10=p10,
        p50=p50,
        p90=p90,
        total_mean=total.astype(np.float32),
        total_p10=low,
        total_p90=high,
        drivers=drivers,
    )


def _dump_booster(booster: Any, file: Path) -> None:
    from skops.io import dump

    dump(booster, file)


def _load_booster(file: Path) -> Any:
    from skops.io import load

    try:
        return load(file, trusted=TRUSTED)
    except Exception as error:
        raise ForeactError(f"{file} is no boosting that may be loaded ({error}): train the model anew.") from error
