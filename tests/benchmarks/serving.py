"""How fast the service answers, beside a bare FastAPI route with the same payload; one table.

`python -m tests.benchmarks.serving` makes a publication of M5's size (10 stores, 30,490 items, 28 days), starts both
under the same server with one worker, and loads them in turn from a process of its own, several times, so that what
else the machine does weighs on both alike. `--models` sets one item's forecast beside what serves models instead of
publications: `mlflow models serve` over a model that merely looks the rows up, and a route that loads the model for
each request. `--beside` times one caller's small reads (one item, a changing range of days) alone and beside two
callers who page through whole stores, load Excel files, or ask for alerts. `--mixed MINUTES` mixes requests while
publications swap, and reports errors, memory, and answers that mixed two versions.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from foreact.blobs.folder import FolderStore
from foreact.quantiles import parse_quantiles
from foreact.runs.defaults import QUANTILES
from serving.auth import keys
from serving.auth.principal import Grant
from tests.benchmarks.beside import measure, small_reads, write_request
from tests.services import hold_port
from tests.serving import shop

STORES = [f"{state}_{number}" for state, count in (("CA", 4), ("TX", 3), ("WI", 3)) for number in range(1, count + 1)]
ITEMS, HORIZON = 3_049, 28
ROUNDS, CONNECTIONS = 7, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixed", type=float, default=0, metavar="MINUTES")
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        store = FolderStore(workspace / "blobs")
        publish(store, 1)
        token = keys.create_key(store, "bench", Grant(role="admin"), created_by="bench")[0]
        with run("foreact", workspace) as (port, process, ready):
            peaks = ", peak ".join(memory(process.pid, what) for what in ("VmRSS", "VmHWM"))
            say(f"start to ready: {ready:.2f} s; memory then {peaks}")
            if chosen.mixed:
                asyncio.run(mix(store, port, token, chosen.mixed * 60, process.pid))
            elif chosen.beside:
                compare_small_reads(port, token, chosen.seconds)
            elif chosen.models:
                compare_models(workspace, port, token, chosen.seconds)
            else:
                compare(workspace, port, token, chosen.seconds)


def publish(store: FolderStore, seed: int) -> None:
    now = datetime.now(UTC)
    shop.publish(
        store,
        STORES,
        run=f"run-{seed}",
        items=ITEMS,
        horizon=HORIZON,
        as_of=now.date() - timedelta(days=1),
        generated_at=now,
        seed=seed,
        shares=parse_quantiles(QUANTILES),
        regions={name: name[:2] for name in STORES},
    )


def compare(workspace: Path, port: int, token: str, seconds: float) -> None:
    headers = {"authorization": f"Bearer {token}"}
    paths = {
        "one item of one store": [f"/v1/forecasts?store=CA_1&item=item-{n:04d}" for n in range(0, ITEMS, 13)],
        "one store, 28 days": ["/v1/forecasts?store=CA_1&limit=100000"],
        "totals of all stores": ["/v1/totals"],
    }
    say(f"{'what':<24}{'bytes':>10}{'ours/s':>9}{'bare/s':>9}{'ratio':>7}   p50, p95, p99 in ms: ours | bare")
    for name, asked in paths.items():
        payload = httpx.get(f"http://127.0.0.1:{port}{asked[0]}", headers=headers, timeout=60).content
        (workspace / "payload").write_bytes(payload)
        with run("bare", workspace) as (bare, _, _):
            ratios, ours, theirs = [], [], []
            for _ in range(ROUNDS):
                # In turn, so that what else the machine does weighs on both.
                a = load(port, [write_request(path, headers) for path in asked], seconds / 2)
                b = load(bare, [write_request("/bare", headers)], seconds / 2)
                ratios.append(len(a) / len(b))
                ours.append(a)
                theirs.append(b)
            rates = [statistics.median(len(times) / (seconds / 2) for times in side) for side in (ours, theirs)]
            tails = [np.percentile(np.concatenate(side) * 1000, (50, 95, 99)) for side in (ours, theirs)]
            told = " | ".join(", ".join(f"{value:.2f}" for value in tail) for tail in tails)
            numbers = f"{rates[0]:>9,.0f}{rates[1]:>9,.0f}{statistics.median(ratios):>7.2f}"
            say(f"{name:<24}{len(payload):>10,}{numbers}   {told}")


def compare_models(workspace: Path, port: int, token: str, seconds: float) -> None:
    items = [f"item-{number:04d}" for number in range(ITEMS)]
    headers = {"authorization": f"Bearer {token}"}
    ours = [write_request(f"/v1/forecasts?store=CA_1&item={item}", headers) for item in items[::13]]
    say(f"{'one item of one store':<44}{'answers/s':>10}{'ours, times':>12}   p50, p95, p99 in ms")
    peers = {
        "mlflow models serve, rows looked up": ("mlflow", [invoke(item) for item in items[::13]]),
        "a route that loads the store's model": ("loading", [write_request("/forecast", {})]),
    }
    for name, (what, requests) in peers.items():
        with run(what, workspace) as (peer, _, _):
            load(peer, requests, 1)
            ratios, theirs = [], []
            for _ in range(ROUNDS):
                a, b = load(port, ours, seconds / 2), load(peer, requests, seconds / 2)
                ratios.append(len(a) / len(b))
                theirs.append(b)
            rate = statistics.median(len(times) / (seconds / 2) for times in theirs)
            tail = ", ".join(f"{v:.1f}" for v in np.percentile(np.concatenate(theirs) * 1000, (50, 95, 99)))
            say(f"{name:<44}{rate:>10,.1f}{statistics.median(ratios):>12,.0f}   {tail}")


def compare_small_reads(port: int, token: str, seconds: float) -> None:
    """Print how long small reads take alone and beside others who ask for much: medians of the rounds."""
    headers = {"authorization": f"Bearer {token}"}
    today = datetime.now(UTC).date()
    stores = [f"/v1/forecasts?store={store}&limit=100000" for store in STORES]
    # No page of these is cached.
    ranges = [
        f"{path}&end={today + timedelta(days=last)}" for last in range(HORIZON - 10, HORIZON - 1) for path in stores
    ]
    packed = {**headers, "accept-encoding": "gzip"}
    files, alerts = ["/stores/CA_1/export.xlsx"], [f"/v1/alerts?limit={limit}" for limit in range(900, 1_000)]
    asked: dict[str, list[bytes]] = {
        "alone": [],
        "beside whole stores": [write_request(path, headers) for path in stores],
        "beside whole stores, compressed": [write_request(path, packed) for path in stores],
        "beside changing days of them": [write_request(path, headers) for path in ranges],
        "beside changing days, compressed": [write_request(path, packed) for path in ranges],
        "beside stores as Excel": [write_request(path, headers) for path in files],
        "beside alerts": [write_request(path, headers) for path in alerts],
    }
    say(f"{'small reads':<38}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8} ms{'reads/s':>10}{'others/s':>10}")
    for name, requests in asked.items():
        rounds = []
        for number in range(ROUNDS):
            small = small_reads(STORES, ITEMS, HORIZON, headers, f"{name}, {number}")
            times = measure(port, small, [requests, requests[1:] + requests[:1]] if requests else [], seconds)
            tail = [times.quantile(percent) for percent in (50, 95, 99, 100)]
            rounds.append([*tail, len(times.milliseconds) / seconds, times.others / seconds])
        p50, p95, p99, most, small_rate, large_rate = np.median(rounds, axis=0)
        say(f"{name:<38}{p50:>8.2f}{p95:>8.2f}{p99:>8.2f}{most:>8.2f}   {small_rate:>10,.0f}{large_rate:>10,.1f}")


def invoke(item: str) -> bytes:
    """Write down a request as MLflow's model server takes it."""
    body = json.dumps({"dataframe_split": {"columns": ["item"], "data": [[item]]}}).encode()
    head = ["POST /invocations HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    return "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body


def load(port: int, requests: list[bytes], seconds: float) -> np.ndarray:
    """Ask as fast as answers come, over a few kept connections; give each answer's seconds."""
    return asyncio.run(_load(port, requests, seconds))


async def _load(port: int, requests: list[bytes], seconds: float) -> np.ndarray:
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        place = number
        while (begun := time.perf_counter()) < end:
            writer.write(requests[place % len(requests)])
            place += CONNECTIONS
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            if b"\r\ntransfer-encoding: chunked" in head.lower():
                while length := int(await reader.readline(), 16):
                    await reader.readexactly(length + 2)
                await reader.readline()
            else:
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return np.array(times)


async def mix(store: FolderStore, port: int, token: str, seconds: float, pid: int) -> None:
    """Ask for everything while publications swap every minute."""
    end, asked, errors, mixed, versions = time.monotonic() + seconds, 0, 0, 0, set()
    runs: dict[int, str] = {}

    async def client(number: int) -> None:
        nonlocal asked, errors, mixed
        dice = random.Random(number)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            while time.monotonic() < end:
                name, item = dice.choice(STORES), f"item-{dice.randrange(ITEMS):04d}"
                path = dice.choice(
                    [f"/v1/forecasts?store={name}&item={item}", "/v1/totals", "/v1/alerts", f"/v1/history?store={name}"]
                )
                answer = await http.get(path, headers={"authorization": f"Bearer {token}"})
                asked += 1
                if answer.status_code != 200:
                    errors += 1
                    continue
                body = answer.json()
                version = body["publication"]["version"]
                versions.add(version)
                found = {source["run"] for source in body["stores"].values()}
                mixed += len(found) != 1 or found != {runs.setdefault(version, next(iter(found)))}

    async def swap() -> None:
        seed = 2
        while time.monotonic() < end:
            await asyncio.to_thread(publish, store, seed)
            seed += 1
            await asyncio.sleep(min(60, max(0, end - time.monotonic())))
            say(f"{asked:,} answers, {errors} errors, {mixed} mixed, {len(versions)} versions, {memory(pid, 'VmRSS')}")

    await asyncio.gather(swap(), *(client(number) for number in range(4)))


@contextlib.contextmanager
def run(what: str, workspace: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]", float]]:
    port = hold_port()
    begun = time.perf_counter()
    command = [sys.executable, "-m", "tests.benchmarks.served", what, str(workspace), str(port)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}{'/ping' if what == 'mlflow' else '/readyz'}").status_code in {
                    200,
                    404,
                }:
                    break
            if process.poll() is not None:
                raise RuntimeError(f"{what} did not start")
            time.sleep(0.02)
        yield port, process, time.perf_counter() - begun
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def memory(pid: int, what: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return f"{next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024:,.0f} MiB"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
