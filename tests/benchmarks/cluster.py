"""What a training of many stores takes on N workers: python -m tests.benchmarks.cluster WORKSPACE [--stores 10000].

WORKSPACE is one that retrain-all has run in. Measured here: what one store costs a worker, what it costs the driver,
and what a task costs through a real `ray://` cluster (a head and two workers in a network of their own). From these a
simulation tells how long N workers take. Assumed: how long a node takes to come, and a worker's size.
"""

import argparse
import contextlib
import heapq
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.train.fanout import TASKS_AHEAD, Task, open_workers
from components.train.step import BASE_BYTES, BYTES_A_ROW
from foreact.runs.process import TaskSize
from tests.benchmarks.datasets import open_last_dataset

NODE_SECONDS = 180.0
CORES, MEMORY = 4, 8 * 1024**3
# What Ray gives to tasks of a node's memory; the rest is its object store and itself.
TASK_SHARE = 0.7
SAMPLE = 6
ROUNDS = 200


@dataclass(frozen=True)
class Costs:
    """Seconds a store, and seconds a worker process takes to begin."""

    fits: list[float]
    begin: float
    driver: float
    task: float
    at_once: int


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor seconds of some work: what a core takes that nobody else uses."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def measure(workspace: Path) -> Costs:
    """Measure what a store costs, single-threaded as a Ray task runs."""
    from tests.components.train.small import make_jobs

    data = open_last_dataset(workspace)
    stores = data.stores[:SAMPLE]
    jobs = make_jobs(data, stores)
    begin, train_store_job = cpu(_load)
    fits, driver, sizes = [], [], []
    for number, store in enumerate(stores):
        took, files = cpu(lambda store=store: train_store_job(jobs[store], None))
        if number or len(stores) == 1:
            # The first one also pays for imports that are made when they are needed.
            fits.append(took)
        else:
            begin += took
        there, sent = cpu(lambda store=store: pickle.dumps(jobs[store]))
        back, _ = cpu(lambda files=files: pickle.loads(pickle.dumps(files)))
        driver.append(there + back)
        sizes.append(len(sent))
    begin = max(0.0, begin - sum(fits) / len(fits))
    memory = max(BASE_BYTES + BYTES_A_ROW * data.info.stores[s].rows for s in stores)
    at_once = max(1, min(CORES, int(MEMORY * TASK_SHARE // memory)))
    rows = sum(data.info.stores[s].rows for s in stores) / len(stores)
    say(f"a store: {rows:,.0f} rows, {sum(sizes) / len(sizes) / 1e3:.1f} kB sent, {memory / 2**30:.1f} GiB claimed")
    say(f"a store's fit: {_spread(fits)} s of one core; a worker process begins in {begin:.1f} s")
    say(f"a store for the driver: {_spread(driver)} s")
    task = through_ray(int(sum(sizes) / len(sizes)))
    say(f"a task through ray://: {task * 1000:.1f} ms")
    return Costs(fits, begin, sum(driver) / len(driver), task, at_once)


def _load() -> Any:
    from components.train.worker import train_store_job
    from foreact.forecasting import train_store  # noqa: F401 - imports are part of what is measured

    return train_store_job


def _spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def through_ray(size: int) -> float:
    """Send empty work of this size through a real cluster in a network of its own; gives seconds a task."""
    with tempfile.TemporaryDirectory(prefix="r") as folder:
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-m",
             "tests.benchmarks.cluster", "--inside", folder, str(size)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure_length(data: bytes, _: None) -> int:
    """Do next to nothing with what was sent."""
    return len(data)


def inside(folder: Path, size: int) -> float:
    """Time tasks that do nothing, in the network namespace."""
    from tests.components.train.ray_cluster import CLIENT, TOKEN, node, raise_loopback, ready

    raise_loopback()
    os.environ |= {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    with contextlib.ExitStack() as stack:
        hidden = folder / "data"
        hidden.mkdir()
        ready(stack.enter_context(node("head", folder / "h", hidden)))
        for number in range(2):
            ready(stack.enter_context(node("worker", folder / f"w{number}", hidden)))
        tasks = (Task(str(number), random.randbytes(size), 1) for number in range(ROUNDS + TASKS_AHEAD))
        workers = stack.enter_context(open_workers(ROUNDS, size=TaskSize(1, 2**30), address=CLIENT))
        outcomes = workers.run(measure_length, tasks)
        for _ in range(TASKS_AHEAD):
            next(outcomes)
        started = time.monotonic()
        count = sum(1 for _ in outcomes)
        return (time.monotonic() - started) / count


def simulate(costs: Costs, stores: int, workers: int) -> tuple[float, float]:
    """Play a training through; gives its seconds, and the share of them that the driver is busy."""
    draw = random.Random(7)
    slots = workers * costs.at_once
    # Each slot is a worker process: its node comes, then it begins.
    free = [NODE_SECONDS + costs.begin] * slots
    heapq.heapify(free)
    running: list[float] = []
    clock = busy = 0.0
    each = costs.driver + costs.task
    ahead = max(TASKS_AHEAD, 2 * workers * CORES)
    left, done = stores, 0
    while done < stores:
        # The driver has one hand: it sends while there is room, else it takes back what ends next.
        if left and len(running) < ahead:
            clock += each / 2
            busy += each / 2
            start = max(clock, heapq.heappop(free))
            end = start + draw.choice(costs.fits)
            heapq.heappush(free, end)
            heapq.heappush(running, end)
            left -= 1
        else:
            clock = max(clock, heapq.heappop(running)) + each / 2
            busy += each / 2
            done += 1
    return clock, busy / clock


def table(costs: Costs, stores: int) -> Iterator[str]:
    """Return what clusters of growing size take."""
    yield f"{stores:,} stores, {costs.at_once} at once on a worker of {CORES} cores and {MEMORY >> 30} GiB"
    yield "| workers | minutes | driver busy | worker hours |"
    yield "| ---: | ---: | ---: | ---: |"
    for workers in (1, 2, 4, 8, 16, 32, 64):
        seconds, busy = simulate(costs, stores, workers)
        yield f"| {workers} | {seconds / 60:,.0f} | {busy:.0%} | {workers * seconds / 3600:,.1f} |"


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and simulate."""
    if sys.argv[1] == "--inside":
        say(json.dumps(inside(Path(sys.argv[2]), int(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--stores", type=int, default=10_000)
    given = parser.parse_args()
    costs = measure(given.workspace)
    for line in table(costs, given.stores):
        say(line)


if __name__ == "__main__":
    # One core a task, as Ray sees to on its workers; before any library looks.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
