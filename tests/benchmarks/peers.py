"""What a user would pick instead, on the same series: run by the Python of an environment of its own.

peers.py FOLDER reads units.npy (series x days) and about.json, and writes one NAME.npy (series x horizon) a method and
seconds.json. Needs statsforecast, mlforecast, lightgbm and prophet.
"""

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


def long_form(units: np.ndarray, start: str) -> pd.DataFrame:
    """Return unique_id, ds, y as the libraries want it."""
    series, days = units.shape
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(series), days),
            "ds": np.tile(pd.date_range(start, periods=days), series),
            "y": units.ravel().astype(float),
        }
    )


def by_statsforecast(frame: pd.DataFrame, horizon: int, name: str) -> np.ndarray:
    """Fit AutoETS or AutoTheta to every series by itself, on its last year."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, AutoTheta

    model = {"AutoETS": AutoETS, "AutoTheta": AutoTheta}[name](season_length=7)
    recent = frame[frame.ds > frame.ds.max() - pd.Timedelta(days=364)]
    forecast = StatsForecast(models=[model], freq="D", n_jobs=1).forecast(df=recent, h=horizon)
    return forecast[name].to_numpy().reshape(-1, horizon)


def by_mlforecast(frame: pd.DataFrame, horizon: int) -> np.ndarray:
    """Fit LightGBM to lags, rolling means and the calendar of all series together."""
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    model = MLForecast(
        models={"lgbm": LGBMRegressor(objective="poisson", n_estimators=200, verbosity=-1, n_jobs=1)},
        freq="D",
        lags=[7, 14, 28, 364],
        lag_transforms={1: [RollingMean(7), RollingMean(28)]},
        date_features=["dayofweek", "day", "month"],
    )
    forecast = model.fit(frame, static_features=[]).predict(horizon)
    return forecast["lgbm"].to_numpy().reshape(-1, horizon)


def by_prophet(frame: pd.DataFrame, horizon: int) -> np.ndarray:
    """Fit Prophet with its defaults to every series by itself."""
    from prophet import Prophet

    rows = []
    for _, series in frame.groupby("unique_id"):
        model = Prophet().fit(series[["ds", "y"]])
        rows.append(model.predict(model.make_future_dataframe(horizon, include_history=False))["yhat"].to_numpy())
    return np.array(rows)


def main(folder: Path) -> None:
    """Run every method that is installed."""
    about = json.loads((folder / "about.json").read_text())
    frame, horizon = long_form(np.load(folder / "units.npy"), about["start"]), about["horizon"]
    methods: dict[str, Callable[[], np.ndarray]] = {
        "AutoETS": lambda: by_statsforecast(frame, horizon, "AutoETS"),
        "AutoTheta": lambda: by_statsforecast(frame, horizon, "AutoTheta"),
        "LightGBM": lambda: by_mlforecast(frame, horizon),
        "Prophet": lambda: by_prophet(frame, horizon),
    }
    seconds = {}
    for name, method in methods.items():
        started = time.process_time()
        np.save(folder / f"{name}.npy", np.maximum(method(), 0.0))
        seconds[name] = time.process_time() - started
    (folder / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
