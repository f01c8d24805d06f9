"""How often the rule that holds stores back would hold one that nothing is wrong with, night after night.

    python -m tests.benchmarks.departures --history sales.csv --known calendar.csv --nights 56 --stores 100

walks the last nights of a history, whichever files `foreact run` would take, or of the made-up chain without any. Each
store is trained anew every `--retrain` nights and forecast every night. A line says how many stores and store-nights
there were, how many the rule would hold, the factors between two nights that one in a thousand and none goes beyond,
the largest part of its own bound that one came to, the same of levels beside past weeks, and all stores' largest one.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from components.ingest.step import ingest
from components.validate.step import validate
from foreact.blobs import BlobPlace
from foreact.data.dataset.stored import Dataset
from foreact.demo import write_demo
from foreact.errors import ForeactError
from foreact.forecasting.forecast import Forecast
from foreact.forecasting.inputs.panel import Panel
from foreact.forecasting.judging.departures import (
    CHAIN_FACTOR,
    LEVEL_FACTOR,
    Outlook,
    compare_expectations,
    expect_window,
    find_departure,
    find_range,
)
from foreact.forecasting.training import train_store
from foreact.runs.events import Events

SHARES = (0.1, 0.5, 0.9)


def main() -> None:
    """Walk the nights and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history")
    parser.add_argument("--known", action="append", default=[])
    parser.add_argument("--columns", default="")
    parser.add_argument("--horizon", type=int, default=0)
    parser.add_argument("--nights", type=int, default=56)
    parser.add_argument("--stores", type=int, default=20)
    parser.add_argument("--retrain", type=int, default=14)
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = take_in(given, Path(folder))
        stores = data.stores[:: max(1, len(data.stores) // given.stores)]
        print_line(given.name or Path(given.history or "the made-up chain").name, walk_stores(data, stores, given))


def take_in(given: argparse.Namespace, folder: Path) -> Dataset:
    """Read the files, or make some up."""
    history, known, horizon = given.history, given.known, given.horizon
    if not history:
        demo = write_demo(folder / "demo", date(2026, 3, 31))
        history, known, horizon = str(demo.history), [str(path) for path in demo.known], demo.horizon
    taken = ingest(
        history=history, known=known, columns=given.columns, country="", as_of="", horizon=horizon, missing="auto",
        store="", place=BlobPlace(folder), events=Events(), scratch=folder,
    )  # fmt: skip
    return validate(
        dataset=taken.dataset, rejected=folder / "rejected.csv", max_rejected_share=0.05, events=Events(),
        today=taken.dataset.info.as_of,
    ).checked  # fmt: skip


def walk_stores(data: Dataset, stores: list[str], given: argparse.Namespace) -> pd.DataFrame:
    """Return a row for each store and night."""
    rows = []
    for number, store in enumerate(stores):
        panel = data.pack_store(store).make_panel()
        rows += [{"store": store, **row} for row in walk_nights(panel, given.nights, given.retrain)]
        sys.stderr.write(f"\r{number + 1} of {len(stores)}")
    return pd.DataFrame(rows)


def walk_nights(panel: Panel, nights: int, retrain: int) -> Iterator[dict[str, object]]:
    """Forecast after each of the last days, and compare with the night before."""
    last: Outlook | None = None
    model = None
    first = max(panel.days - nights, panel.days // 2)
    for day in range(first, panel.days + 1):
        known = panel.truncate_at(day)
        if np.isfinite(known.units).sum() == 0:
            continue
        forecast = None
        if model is not None and (day - first) % retrain:
            # Items that are new to an old model may have no forecast by it.
            with suppress(ForeactError):
                forecast = model.predict(known, None, SHARES)
        if forecast is None:
            result = train_store(known, shares=SHARES)
            model, forecast = result.model, result.forecast
        new = make_outlook(known, forecast)
        step = compare_expectations(new, last) if last else None
        sold, expected = find_range(new), expect_window(new)
        yield {
            "night": known.dates[day - 1],
            "held": find_departure(new, last) or "",
            "new": step.new if step else np.nan,
            "last": step.last if step else np.nan,
            "bound": step.bound if step else np.nan,
            "level": max(expected / sold.highest, sold.lowest / expected) if sold and expected else np.nan,
        }
        last = new


def make_outlook(panel: Panel, forecast: Forecast) -> Outlook:
    """Return the outlook as it would be read from the publication."""
    days = np.arange(panel.days)
    past, year = panel.spacing.past, panel.spacing.year
    kept = (days >= panel.days - past) | (
        (days >= panel.days - year - past) & (days < panel.days - year + panel.horizon)
    )
    units = panel.units[:, : panel.days][:, kept]
    known = np.isfinite(units).any(axis=0)
    sold = pd.Series(np.nansum(units, axis=0)[known], pd.to_datetime(panel.dates[: panel.days][kept][known]))
    low, _, high = forecast.total_quantiles
    ahead = pd.DataFrame({"mean": forecast.total_mean, "low": low, "high": high}, pd.to_datetime(forecast.dates))
    return Outlook(panel.spacing, sold, ahead)


def print_line(name: str, rows: pd.DataFrame) -> None:
    """Print what the rule makes of a set."""
    step = np.abs(np.log(rows["new"] / rows["last"]))
    together = rows.groupby("night")[["new", "last"]].sum().query("last > 0")
    chain = np.exp(np.abs(np.log(together["new"] / together["last"])).max())
    held = rows[rows["held"] != ""]
    over = (step > rows["bound"]).sum()
    level = rows["level"]
    sys.stdout.write(
        f"\n| {name} | {rows['store'].nunique():,} | {len(rows):,} | {len(held)}, {over} by the last publication | "
        f"{np.exp(step.quantile(0.999)):.2f}, {np.exp(step.max()):.2f} | {(step / rows['bound']).max():.2f} | "
        f"{level.quantile(0.999):.2f}, {level.max():.2f} of {LEVEL_FACTOR:g} | {chain:.2f} of {CHAIN_FACTOR:g} |\n"
    )
    for line in held.head(20).to_dict("records"):
        sys.stdout.write(f"    {line['store']} {line['night']:%Y-%m-%d}: {line['held']}\n")


if __name__ == "__main__":
    main()
