"""What items without a past are expected at, and what they sold: python -m tests.benchmarks.newcomers DATASET STORE...

The dataset is one that the ingest step wrote. Every four weeks, items that begin within the horizon, or did in the week
before, are held against what they sold of it in their first 28 days: by the median of their group, by what is borrowed
without a table, and by an item like them that a planner might name (of the group, of all that began in the year before
the nearest in price). Cells: the sum of absolute errors of days over units. Items: the same of whole periods.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from foreact.forecasting.inputs.columns import infer_columns
from foreact.forecasting.inputs.panel import Likes, Panel
from foreact.forecasting.items.history import sums_before
from foreact.forecasting.items.levels import borrowed_levels, levels_at
from foreact.forecasting.reading import PanelReading, read_panel
from tests.benchmarks.datasets import open_last_dataset

FIRST_DAYS, BEFORE, EVERY = 28, 7, 28
Values = NDArray[np.float64]


def main(workspace: Path, stores: list[str], first: int = 1017) -> None:
    """Print the errors of each way, from day `first` of each store on."""
    actual: list[Values] = []
    expected: dict[str, list[float]] = {}
    data = open_last_dataset(workspace)
    for store in stores:
        panel = data.pack_store(store).make_panel()
        for origin in range(first, panel.days - FIRST_DAYS, EVERY):
            for sold, ways in judge_origin(panel, origin):
                actual.append(sold)
                for way, units in ways.items():
                    expected.setdefault(way, []).append(units)
    sold = sum(units.sum() for units in actual)
    typer.echo(f"{len(actual):,} items, {sum(map(len, actual)):,} days, {sold:,.0f} units")
    typer.echo(f"{'way':>24} {'cells':>7} {'items':>7} {'rmse':>7} {'bias':>7}")
    for way, values in {**expected, "their own means": [units.mean() for units in actual]}.items():
        errors = [value - units for value, units in zip(values, actual, strict=True)]
        cells, items = sum(np.abs(e).sum() for e in errors), sum(abs(e.sum()) for e in errors)
        rmse, bias = np.sqrt(np.mean(np.concatenate(errors) ** 2)), sum(e.sum() for e in errors) / sold
        typer.echo(f"{way:>24} {cells / sold:>7.3f} {items / sold:>7.3f} {rmse:>7.3f} {bias:>+7.1%}")


def judge_origin(panel: Panel, origin: int) -> Iterator[tuple[Values, dict[str, float]]]:
    """Yield what each newcomer sold a day, and what each way expects."""
    known = np.isfinite(panel.units[:, : panel.days])
    begun = np.where(known.any(1), known.argmax(1), panel.days)
    new = np.flatnonzero((begun >= origin - BEFORE) & (begun < origin + FIRST_DAYS))
    past = panel.truncate_at(origin, FIRST_DAYS)
    reading = read_panel(past, infer_columns(past))
    medians = group_medians(reading)
    alike = replace(reading.history, panel=replace(past, likes=name_likes(reading, begun, new)))
    origins = np.full(len(new), origin)
    ways = {
        "median of the group": medians[new],
        "its level with own days": levels_at(reading.history, medians, new, origins),
        "borrowed": levels_at(reading.history, reading.usual, new, origins),
        "one like item": levels_at(alike, borrowed_levels(alike, reading.codes, origin), new, origins),
    }
    for place, item in enumerate(new):
        days = slice(max(origin, begun[item]), min(begun[item], origin) + FIRST_DAYS)
        units = np.nan_to_num(panel.units[item, days]).astype(np.float64)
        yield units, {way: float(values[place]) for way, values in ways.items()}


def group_medians(reading: PanelReading) -> Values:
    """Return the median of the units a day of the items of each one's group."""
    items, year = np.arange(len(reading.codes)), reading.panel.spacing.year
    sold, seen = sums_before(reading.history, items, np.full(len(items), reading.panel.days), year)
    old = seen >= FIRST_DAYS
    return np.array([np.median((sold / np.maximum(seen, 1))[old & (reading.codes == code)]) for code in reading.codes])


def name_likes(reading: PanelReading, begun: NDArray[np.int64], new: NDArray[np.int64]) -> Likes:
    """Name for each newcomer the item of its group that began in the year before and is nearest in price."""
    likes = np.full(len(begun), -1)
    origin, year = reading.panel.days, reading.panel.spacing.year
    prices = [log[np.arange(len(log)), np.isfinite(log).argmax(1)] for log, _, _ in reading.history.prices.values()]
    for item in new:
        peers = np.flatnonzero(
            (begun <= origin - FIRST_DAYS) & (begun > origin - year) & (reading.codes == reading.codes[item])
        )
        if len(peers):
            off = sum(np.abs(np.nan_to_num(price[peers] - price[item], nan=9.0)) for price in prices)
            likes[item] = peers[np.argmin(off)] if len(prices) else peers[-1]
    return Likes(likes, np.ones(len(likes)))


if __name__ == "__main__":
    typer.run(main)
