"""What a forecast costs and is worth: python -m tests.benchmarks.forecasting COMMAND; all of it: make benchmark.

scaling    made-up stores of 250 to 3,000 items: CPU seconds, peak memory and milliseconds a series
chains     the whole train step over 1,000 to 300,000 series, copies of one made-up store of 1,000 items: seconds,
           milliseconds a series, and the peak memory of the step's own process
stores     1,115 stores of one series and 942 days: CPU seconds in all
accuracy   the made-up chain against its own future, beside the baselines; with --peers PYTHON, which has statsforecast,
           mlforecast, lightgbm and prophet, beside those as well
stockouts  the made-up chain with its stock-out flags, without them, and with its zeros doubted instead: the bias
"""

import json
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from components.ingest.step import ingest
from components.train.step import train
from foreact.blobs import BlobPlace
from foreact.data.dataset.stored import Dataset
from foreact.demo import make_chain, simulate_sales, write_demo
from foreact.forecasting import Panel, train_store
from foreact.forecasting.experts.simple import Simple, forecast_simply
from foreact.forecasting.inputs.stockouts import find_stockouts
from foreact.forecasting.inputs.threads import single_thread
from foreact.naming import encode_id
from foreact.runs import defaults
from foreact.runs.events import Events
from foreact.runs.process import TaskSize
from tests.foreact.forecasting.demo import demo_panel

LAST = date(2025, 9, 14)
HORIZON = 28
SIZES = (250, 500, 1000, 2000, 3000)
PEERS = Path(__file__).with_name("peers.py")
app = typer.Typer(add_completion=False, help=__doc__)


def made_up(items: int, days: int, stores: int = 1, horizon: int = HORIZON) -> list[tuple[Panel, NDArray[np.float64]]]:
    """Return panels of the made-up chain, each with what was sold in the days ahead."""
    chain = make_chain(LAST, horizon, days=days, stores=stores, items=items)
    made = []
    for store in range(stores):
        sales = simulate_sales(chain, store)
        panel, _ = demo_panel(chain, sales)
        made.append((panel, np.where(sales.on_sale, sales.units, 0)[days:].T.astype(np.float64)))
    return made


def cost(items: int, days: int) -> tuple[float, float]:
    """Return the CPU seconds of one training and the peak memory of its process in GiB."""
    import sklearn.ensemble  # noqa: F401  # Loading it is the process's cost, not the store's.

    panel = made_up(items, days)[0][0]
    started = time.process_time()
    train_store(panel)
    return time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


@app.command()
def scaling(days: int = 1941) -> None:
    """Measure one training by number of items, each in a process of its own."""
    typer.echo(f"{'items':>6} {'CPU s':>8} {'GiB':>6} {'ms a series':>12}")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for items in SIZES:
            seconds, memory = pool.apply(cost, (items, days))
            typer.echo(f"{items:>6} {seconds:>8.1f} {memory:>6.2f} {1000 * seconds / items:>12.2f}")


@app.command()
def chains(items: int = 1000, days: int = 400, sizes: str = "1,3,10,30,100,300") -> None:
    """Measure the train step by number of stores, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = write_demo(folder, LAST, stores=1, items=items, days=days)
        done = ingest(
            history=str(demo.history), known=[str(table) for table in demo.known], columns="", country="", as_of="",
            horizon=HORIZON, missing="auto", store="", place=BlobPlace(folder),
            events=Events(), scratch=folder,
        )  # fmt: skip
        typer.echo(f"{'series':>8} {'seconds':>8} {'ms a series':>12} {'GiB':>6}")
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            for count in map(int, sizes.split(",")):
                seconds, memory = pool.apply(_train_copies, (done.dataset.write_record(), folder, count))
                series = count * items
                typer.echo(f"{series:>8,} {seconds:>8.1f} {1000 * seconds / series:>12.2f} {memory:>6.2f}")


def _train_copies(record: str, folder: Path, count: int) -> tuple[float, float]:
    """Train so many copies of a dataset's only store; return the seconds, and this process's peak memory in GiB."""
    data = Dataset.open(record, BlobPlace(folder))
    (store,) = data.stores
    names = {f"{store} {number:03}": data.info.stores[store] for number in range(count)}
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        own = re.compile(rf"/{re.escape(encode_id(store))}(?=[./])")
        parts = {
            own.sub(f"/{encode_id(name)}", part): there for name in names for part, there in data.info.parts.items()
        }
        info = data.info.model_copy(update={"stores": names, "parts": parts})
        started = time.monotonic()
        train(
            run="copies", data=Dataset(info, data.place), trained=copy / "trained", report=copy / "report.html",
            find_live=lambda stores, as_of: {}, margin=defaults.MARGIN, seed=0, quantiles=defaults.QUANTILES,
            max_fallback_share=0.0, events=Events(), size=TaskSize.parse("2", "8Gi"),
        )  # fmt: skip
        return time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


@app.command()
def stores(count: int = 1115, days: int = 942, horizon: int = 48) -> None:
    """Measure trainings of stores that have one series each; a tenth are run and scaled up."""
    panel = made_up(10, days, horizon=horizon)[0][0]
    one = [_only(panel, item) for item in range(len(panel.items))]
    train_store(one[0])
    started = time.process_time()
    for number in range(count // 10):
        train_store(one[number % len(one)])
    typer.echo(f"{count} stores: {(time.process_time() - started) * 10:.0f} CPU s")


def _only(panel: Panel, item: int) -> Panel:
    def row(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values if values.ndim == 1 else values[[item]]

    return replace(
        panel,
        items=panel.items[[item]],
        units=panel.units[[item]],
        open=None if panel.open is None else panel.open[[item]],
        stockout=None if panel.stockout is None else panel.stockout[[item]],
        known={name: row(values) for name, values in panel.known.items()},
        attributes={name: values[[item]] for name, values in panel.attributes.items()},
    )


@app.command()
def stockouts(stores: int = 10) -> None:
    """Measure what hidden stock-outs do to the bias against expected units, and what doubting zeros mends."""
    chain = make_chain(LAST, HORIZON, stores=stores)
    biases = []
    for store in range(stores):
        sales = simulate_sales(chain, store)
        panel, _ = demo_panel(chain, sales)
        doubted = np.zeros(panel.units.shape, bool)
        doubted[:, : panel.days] = find_stockouts(panel.units[:, : panel.days])
        wanted = sales.expected[panel.days :].sum()
        biases.append(
            [
                train_store(replace(panel, stockout=stockout)).forecast.mean.sum() / wanted - 1
                for stockout in (panel.stockout, None, doubted)
            ]
        )
    flagged, hidden, mended = np.mean(biases, axis=0)
    typer.echo(f"bias with flags {flagged:+.2%}, hidden {hidden:+.2%}, zeros doubted {mended:+.2%}")
    typer.echo(f"of what hiding them costs, {1 - (mended - flagged) / (hidden - flagged):.0%} comes back")


@app.command()
def accuracy(items: int = 50, days: int = 912, count: int = 4, peers: Path | None = None) -> None:
    """Score the days ahead of the made-up chain: WAPE by item and day, WAPE of the store's day, bias, seconds."""
    made = made_up(items, days, count)
    typer.echo(f"{'method':>20} {'WAPE':>7} {'by day':>7} {'bias':>7} {'CPU s':>8}")
    started = time.process_time()
    ours = [train_store(panel).forecast.mean.astype(np.float64) for panel, _ in made]
    _row("foreact", made, ours, time.process_time() - started)
    for name in Simple:
        started = time.process_time()
        with single_thread():
            means = [forecast_simply(name, p.units[:, : p.days], p.horizon, p.spacing) for p, _ in made]
        _row(name, made, means, time.process_time() - started)
    if peers is not None:
        for name, (means, seconds) in _ask_peers(peers, made).items():
            _row(name, made, means, seconds)


def _ask_peers(
    python: Path, made: list[tuple[Panel, NDArray[np.float64]]]
) -> dict[str, tuple[list[NDArray[np.float64]], float]]:
    with tempfile.TemporaryDirectory() as folder:
        units = np.concatenate([np.nan_to_num(panel.units[:, : panel.days]) for panel, _ in made])
        np.save(Path(folder) / "units.npy", units)
        first = made[0][0]
        about = {"start": str(first.dates[0]), "horizon": first.horizon}
        (Path(folder) / "about.json").write_text(json.dumps(about))
        subprocess.run([str(python), str(PEERS), folder], check=True, stdout=sys.stderr)
        seconds = json.loads((Path(folder) / "seconds.json").read_text())
        cuts = np.cumsum([len(panel.items) for panel, _ in made])[:-1]
        return {name: (np.split(np.load(Path(folder) / f"{name}.npy"), cuts), spent) for name, spent in seconds.items()}


def _row(
    name: str,
    made: list[tuple[Panel, NDArray[np.float64]]],
    means: list[NDArray[np.float64]],
    seconds: float,
) -> None:
    actual = np.stack([sold for _, sold in made])
    mean = np.stack(means)
    sold = actual.sum()
    wape = np.abs(mean - actual).sum() / sold
    by_day = np.abs(mean.sum(1) - actual.sum(1)).sum() / sold
    typer.echo(f"{name:>20} {wape:>7.3f} {by_day:>7.3f} {mean.sum() / sold - 1:>+7.1%} {seconds:>8.1f}")


if __name__ == "__main__":
    app()
