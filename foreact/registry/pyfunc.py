"""A store's model as `mlflow.pyfunc` loads it: the MLmodel file beside the packed model, and what reads both.

Nothing in it is executed: MLmodel names this module, the model is arrays and JSON.
"""

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foreact.data.dataset.parcel import ParcelInfo
from foreact.forecasting import ChainModel, StoreModel
from foreact.packing import unpacked
from foreact.quantiles import name_quantiles, parse_quantiles
from foreact.registry.records import CHAIN, PACKED
from foreact.registry.registry import Registry
from foreact.vocabulary import DATE, ITEM, MEAN, STORE

if TYPE_CHECKING:
    import pandas as pd

MLMODEL = "MLmodel"
# What an MLmodel file's metadata says of ours.
METADATA = "foreact"
# MLflow's names for the kinds of a frame's columns.
TYPES = {"date": "datetime", "text": "string", "number": "double"}


def describe_flavor(reading: ParcelInfo, *, quantiles: tuple[str, ...], chain_version: str | None) -> str:
    """Return the MLmodel file of a store's model: what loads it, what it takes and returns, and how it reads data.

    `chain_version` is that of the chain's model beside which it was trained; None: it was trained without.
    """
    from foreact.data.dataset.frames import list_columns

    keys = {STORE: "string", ITEM: "string", DATE: "datetime"}
    inputs = {name: TYPES[kind] for name, kind in list_columns(reading).items()}
    outputs = {**keys, **dict.fromkeys((MEAN, *quantiles), "float")}
    description = {
        "flavors": {"python_function": {"loader_module": __name__, "python_version": platform.python_version()}},
        "signature": {"inputs": _describe_columns(inputs), "outputs": _describe_columns(outputs)},
        "metadata": {
            METADATA: {
                "reading": reading.model_dump(mode="json"),
                "quantiles": quantiles,
                "chain_version": chain_version,
            }
        },
    }
    # All JSON is YAML. MLflow's own writer would bring its model classes, which take seconds to import.
    return json.dumps(description, indent=1)


def _describe_columns(types: dict[str, str]) -> str:
    return json.dumps([{"name": name, "type": type_, "required": True} for name, type_ in types.items()])


class StorePredictor:
    """A store's model beside the chain's, taking frames."""

    def __init__(
        self, model: StoreModel, chain: ChainModel | None, reading: ParcelInfo, shares: tuple[float, ...]
    ) -> None:
        self.model, self.chain, self.reading, self.shares = model, chain, reading, shares

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Forecast the frame's dates that come after its last one with units."""
        import pandas as pd

        from foreact.data.dataset.frames import make_parcel

        columns = self.model.columns
        by_item = {*columns.item_flags, *columns.prices, *columns.item_numbers}
        panel = make_parcel(self.reading, frame, by_item).make_panel()
        forecast = self.model.predict(panel, self.chain, self.shares)
        values = {MEAN: forecast.mean, **dict(zip(name_quantiles(self.shares), forecast.quantiles, strict=True))}
        return pd.DataFrame(
            {
                STORE: forecast.store,
                ITEM: np.repeat(forecast.items, len(forecast.dates)),
                DATE: np.tile(forecast.dates, len(forecast.items)),
                **{name: array.astype(np.float32).ravel() for name, array in values.items()},
            }
        )


def _load_pyfunc(path: str) -> StorePredictor:
    """Return the model in a folder that MLflow has fetched; the chain's comes from the registry."""
    from mlflow.models import Model

    about = Model.load(path).metadata[METADATA]
    with unpacked(Path(path, PACKED).read_bytes()) as folder:
        model = StoreModel.load(folder)
    version = about["chain_version"]
    return StorePredictor(
        model,
        None if version is None else _load_chain(version),
        ParcelInfo.model_validate(about["reading"]),
        parse_quantiles(",".join(about["quantiles"])),
    )


def _load_chain(version: str) -> ChainModel:
    import mlflow

    with unpacked(Registry(mlflow.get_registry_uri()).load_version(CHAIN, version).packed) as folder:
        return ChainModel.load(folder)
