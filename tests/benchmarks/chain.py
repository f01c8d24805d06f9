"""How the service fares with a chain that is larger than its memory; one table.

`python -m tests.benchmarks.chain` makes a publication of 2,000 stores, 1,500 items and 28 days (3 million series, 84
million rows, some 3 GB in a temporary folder; no training), and starts the service on it: once without anything that an
earlier process left, then again, then as four processes on the same workspace. `--stores` makes fewer, `--folder` keeps
what was made for the next time, outlines too. `--without-outlines` makes stores as they were published before workers
wrote outlines, so that the first service has to read all of them; `--first` stops when that one is ready.
"""

import argparse
import hashlib
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa

from foreact.blobs.folder import FolderStore
from foreact.outlines.outline import encode_outline
from foreact.parquet import encode_parquet
from foreact.publications import Kind, PublishedModel, PublishedObject, Publisher, StoreEntry
from foreact.publications.contract import StoreTables, object_name
from foreact.quantiles import name_quantiles, parse_quantiles
from foreact.runs.defaults import QUANTILES
from serving.auth import keys
from serving.auth.principal import Grant
from serving.publication import outlines
from tests.benchmarks.serving import memory, run, say

ITEMS, HORIZON, PAST = 1_500, 28, 56
SHARES = parse_quantiles(QUANTILES)
WORKERS, SWAPS = 4, 7
DAY = np.timedelta64(1, "D")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=2_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--without-outlines", action="store_true")
    parser.add_argument("--first", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        workspace = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = [f"store-{number:05d}" for number in range(given.stores)]
        blobs = FolderStore(workspace / "blobs")
        if not (workspace / "blobs").exists():
            begun = time.perf_counter()
            publish(workspace / "blobs", stores, "run-1", with_outlines=not given.without_outlines)
            size = sum(path.stat().st_size for path in (workspace / "blobs").rglob("*") if path.is_file())
            say(f"made in {time.perf_counter() - begun:.0f} s: {len(stores):,} stores, {size / 1e9:.2f} GB")
        token = keys.create_key(blobs, "bench", Grant(role="admin"), created_by="bench")[0]
        headers = {"authorization": f"Bearer {token}"}
        if not any(blobs.list(outlines.FOLDER)):
            with run("foreact", workspace) as (_, process, ready):
                row("ready, as the first that ever read it", f"{ready:.1f} s", process.pid)
        shutil.rmtree(workspace / ".serving", ignore_errors=True)
        if given.first:
            return
        with run("foreact", workspace) as (port, process, ready):
            row("ready", f"{ready:.1f} s", process.pid)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
                measure(client, stores, process.pid)
                measure_swaps(client, workspace / "blobs", stores)
        measure_workers(workspace, headers, stores)


def measure(client: httpx.Client, stores: list[str], pid: int) -> None:
    """Print how long answers take, and what the service takes then."""
    row("overview, first", f"{ask(client, '/'):.2f} s", pid)
    row("overview, median of 5", f"{statistics.median(ask(client, '/') for _ in range(5)):.2f} s", pid)
    untouched = stores[3 :: max(1, len(stores) // 300)]
    for what, path in (
        ("an item of a store not touched before", "/v1/forecasts?store={}&item=item-0700"),
        ("its page, of another such store", "/stores/{}/items/item-0007"),
    ):
        some = untouched[: len(untouched) * 2 // 3] if "page" not in what else untouched[len(untouched) * 2 // 3 :]
        times = np.array([ask(client, path.format(store)) for store in some]) * 1_000
        tail = ", ".join(f"{value:.0f}" for value in np.percentile(times, (50, 95, 99)))
        row(f"{what}, p50, p95, p99 of {len(some)}", f"{tail} ms", pid)
    begun, size, first = time.perf_counter(), 0, 0.0
    with client.stream("GET", "/v1/totals?format=csv") as answer:
        for piece in answer.iter_bytes():
            first = first or time.perf_counter() - begun
            size += len(piece)
    row(
        f"all totals as CSV, {size / 1e6:.1f} MB: first byte, all",
        f"{first:.2f}, {time.perf_counter() - begun:.1f} s",
        pid,
    )
    row("alerts, 1,000", f"{ask(client, '/v1/alerts?limit=1000'):.2f} s", pid)
    row("an item of all stores, 10,000 rows", f"{ask(client, '/v1/forecasts?item=item-0700'):.1f} s", pid)
    row("metrics", f"{ask(client, '/metrics'):.2f} s", pid)


def measure_swaps(client: httpx.Client, folder: Path, stores: list[str]) -> None:
    """Print how long five stores' new numbers take from the swap to an answer that has them."""
    times = []
    for number in range(SWAPS):
        entries = make_entries(folder, stores[number * 5 : number * 5 + 5], f"swap-{time.time_ns()}")
        version = Publisher(FolderStore(folder)).publish(entries, by="bench", reason="bench").manifest.version
        begun = time.perf_counter()
        while client.get(f"/v1/totals?store={stores[number * 5]}").json()["publication"]["version"] != version:
            time.sleep(0.01)
        times.append(time.perf_counter() - begun)
    told = ", ".join(f"{value:.2f}" for value in (statistics.median(times), max(times)))
    say(f"{f'a swap of 5 stores, visible: median, most of {SWAPS}':<62}{told + ' s':>18}")


def measure_workers(workspace: Path, headers: dict[str, str], stores: list[str]) -> None:
    """Print what several processes on one machine take, each of which is asked for the same stores."""
    with ExitStack() as stack:
        running = [stack.enter_context(run("foreact", workspace)) for _ in range(WORKERS)]
        for port, _, _ in running:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
                for store in stores[5::50]:
                    ask(client, f"/v1/forecasts?store={store}&item=item-0700")
                    ask(client, f"/v1/forecasts?store={store}&limit=100000")
        sizes = [[read_size(process.pid, what) for what in ("Rss", "Pss", "Pss_File")] for _, process, _ in running]
        rss, pss, file = np.array(sizes).sum(axis=0)
        say(f"{WORKERS} processes, 40 stores read by each: {rss:,.0f} MiB counted singly, {pss:,.0f} MiB together "
            f"({file:,.0f} of them files that are shared)")  # fmt: skip


def read_size(pid: int, what: str) -> float:
    """Return one of the sums that Linux makes of a process's memory, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def ask(client: httpx.Client, path: str) -> float:
    """Ask once, and return the seconds that it took."""
    begun = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - begun


def row(what: str, value: str, pid: int) -> None:
    """Print a line of the table, with the memory of the process now and at most."""
    say(f"{what:<62}{value:>18}   {memory(pid, 'VmRSS')}, peak {memory(pid, 'VmHWM')}")


def publish(folder: Path, stores: list[str], run: str, *, with_outlines: bool) -> None:
    """Publish stores, written by all cores straight into the folder."""
    parts = [stores[start::16] for start in range(16)]
    entries: dict[str, StoreEntry] = {}
    with ProcessPoolExecutor() as pool:
        for made in pool.map(make_entries, [folder] * 16, parts, [run] * 16, [with_outlines] * 16):
            entries |= made
    Publisher(FolderStore(folder)).publish(entries, by="bench", reason="bench")


def make_entries(folder: Path, stores: list[str], run: str, with_outlines: bool = True) -> dict[str, StoreEntry]:
    """Write the objects of stores, and return what a manifest says of them."""
    return {store: make_entry(folder, store, run, with_outlines) for store in stores}


def make_entry(folder: Path, store: str, run: str, with_outlines: bool) -> StoreEntry:
    now = datetime.now(UTC)
    as_of = now.date() - timedelta(days=1)
    tables = make_tables(store, run, np.datetime64(as_of))
    contents = {kind: encode_parquet(table) for kind, table in tables.items()}
    objects = {
        kind: write_object(folder, object_name(run, store, kind), data, tables[kind].num_rows)
        for kind, data in contents.items()
    }
    if with_outlines:
        outline = encode_outline(store, StoreTables(quantiles=name_quantiles(SHARES), objects=objects), contents)
        objects["outline"] = write_object(folder, object_name(run, store, "outline"), outline)
    return StoreEntry(
        run=run,
        as_of=as_of,
        generated_at=now,
        horizon=HORIZON,
        items=ITEMS,
        model=PublishedModel(name=f"foreact-{store}", version="3", run=run),
        data_hash="made-up",
        code_version="made-up",
        objects=objects,
        accuracy={"wape": 0.21, "bias": 0.01, "coverage": 0.8, "naive_wape": 0.34},
        quantiles=name_quantiles(SHARES),
        attributes={"region": f"region-{hash(store) % 12}"},
    )


def write_object(folder: Path, name: str, data: bytes, rows: int = 0) -> PublishedObject:
    """Write an object, and return what a manifest says of it; a run waits for the disk, which this need not."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return PublishedObject(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data), rows=rows)


def make_tables(store: str, run: str, as_of: np.datetime64) -> dict[Kind, pa.Table]:
    """Make a store's tables: a rhythm of weeks, items by size, noise, and some items that are about to peak."""
    random = np.random.default_rng([*store.encode(), *run.encode()])
    names = pa.array([f"item-{number:04d}" for number in range(ITEMS)])
    ahead = as_of + DAY * np.arange(1, HORIZON + 1)
    behind = as_of - DAY * np.r_[364 + PAST - 1 : 364 - HORIZON - 1 : -1, PAST - 1 : -1 : -1]
    level = random.gamma(1.5, 8, (ITEMS, 1)).astype(np.float32) + np.float32(0.5)
    mean = level * random.uniform(0.7, 1.4, (1, HORIZON)).astype(np.float32)
    mean[random.choice(ITEMS, 20, replace=False), :7] *= 2.5
    spread = np.sqrt(mean) * random.uniform(0.9, 1.1, mean.shape).astype(np.float32)
    steps = {
        name: np.float32(step)
        for name, step in zip(name_quantiles(SHARES), np.linspace(-1.6, 2, len(SHARES)), strict=True)
    }
    total, wide = mean.sum(axis=0), np.sqrt((spread**2).sum(axis=0)) * 1.5
    sold = random.poisson(np.broadcast_to(level, (ITEMS, len(behind)))).astype(np.float32)

    def long(days: np.ndarray, **columns: np.ndarray) -> pa.Table:
        texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(ITEMS * len(days), np.int32)), pa.array([store]))
        items = pa.DictionaryArray.from_arrays(pa.array(np.repeat(np.arange(ITEMS, dtype=np.int32), len(days))), names)
        dates = pa.array(np.tile(days, ITEMS))
        return pa.table({"store": texts, "item": items, "date": dates, **{n: v.ravel() for n, v in columns.items()}})

    return {
        "forecasts": long(ahead, mean=mean, **{n: np.maximum(mean + s * spread, 0) for n, s in steps.items()}),
        "totals": pa.table(
            {
                "store": [store] * HORIZON,
                "date": ahead,
                "mean": total,
                **{name: np.maximum(total + step * wide, 0) for name, step in steps.items()},
            }
        ),
        "history": long(behind, units=sold),
        "drivers": pa.table(
            {
                "store": [store] * HORIZON * 2,
                "date": np.tile(ahead, 2),
                "driver": ["level"] * HORIZON + ["weekday"] * HORIZON,
                "units": np.concatenate([np.full(HORIZON, level.sum(), np.float32), total - level.sum()]),
            }
        ),
    }


if __name__ == "__main__":
    main()
