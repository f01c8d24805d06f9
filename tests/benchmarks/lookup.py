"""The least that a model behind MLflow's server can do: hold a store's forecasts and look an item's rows up."""

from typing import Any

import mlflow.models
import mlflow.pyfunc
import pandas as pd


class LookUp(mlflow.pyfunc.PythonModel):
    """An item's rows."""

    def load_context(self, context: Any) -> None:
        """Read the forecasts once."""
        self.rows = dict(list(pd.read_parquet(context.artifacts["rows"]).groupby("item")))

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        """Return the rows of the first item asked for."""
        return self.rows[model_input["item"].iloc[0]]


mlflow.models.set_model(LookUp())
