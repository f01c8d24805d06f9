"""One item's store on made-up days, and the forecast of its total."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.experts.store import fit_store_totals
from foreact.forecasting.inputs.columns import infer_columns
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.reading import read_panel
from foreact.forecasting.totals.forecast import forecast_totals

Days = NDArray[np.datetime64]


def list_days(first: date, last: date) -> Days:
    """Return the days from the first to the last."""
    return np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)


def forecast_days(
    days: Days, factor: NDArray[np.float64], horizon: int, known: dict[str, NDArray[np.float32]] | None = None
) -> dict[str, float]:
    """Forecast the last days of a store that sells a hundred a day, times a factor: the total of each by its date."""
    random = np.random.default_rng(7)
    units = random.poisson(100 * factor).astype(np.float32)
    units[len(days) - horizon :] = np.nan
    panel = Panel(
        store="s",
        items=np.array(["all"]),
        dates=days,
        days=len(days) - horizon,
        units=units[None, :],
        known=known or {},
        categories={},
        attributes={},
    )
    columns = infer_columns(panel)
    reading = read_panel(panel, columns)
    fit = fit_store_totals(reading)
    totals = forecast_totals(fit, panel, reading.demand, reading.design, reading.offers, columns).mean.sum(0)
    return dict(zip(days[-horizon:].astype(str), totals.tolist(), strict=True))
