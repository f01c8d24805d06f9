"""One caller's small reads, alone and beside others who ask for much, each of them in a process of its own.

`measure` tells how long the small ones took. The others ask in turn for what they are given, and read it whole.
"""

import itertools
import multiprocessing
import random
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPResponse
from typing import Any

import numpy as np

# What takes so long is not measured, but begun.
BEGINS_SECONDS = 120.0


@dataclass
class Times:
    """How long the small reads took, in milliseconds, how they ended, and how often the others were answered."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    others: int = 0

    def quantile(self, percent: float) -> float:
        return float(np.percentile(self.milliseconds, percent))


def write_request(path: str, headers: dict[str, str]) -> bytes:
    """Write down a request."""
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{lines}\r\n".encode()


def read_answer(caller: socket.socket) -> int:
    """Read an answer to its end, and return its status."""
    answer = HTTPResponse(caller)
    answer.begin()
    while answer.read(1 << 20):
        pass
    answer.close()
    return answer.status


def small_reads(stores: Sequence[str], items: int, days: int, headers: dict[str, str], seed: str) -> Iterator[bytes]:
    """Yield requests for one item and a range of days, hardly one of them twice."""
    dice = random.Random(seed)
    today = datetime.now(UTC).date()
    while True:
        first, last = sorted(dice.sample(range(days), 2))
        when = f"start={today + timedelta(days=first)}&end={today + timedelta(days=last)}"
        yield write_request(
            f"/v1/forecasts?store={dice.choice(stores)}&item=item-{dice.randrange(items):04d}&{when}", headers
        )


def measure(port: int, small: Iterator[bytes], others: Sequence[Sequence[bytes]], seconds: float) -> Times:
    """Return how long small reads take while each of the others asks in turn for what it is given."""
    context = multiprocessing.get_context("spawn")
    answered = context.Value("L", 0)
    begun = context.Barrier(len(others) + 1)
    processes = [context.Process(target=_ask_forever, args=(port, asked, answered, begun)) for asked in others]
    for process in processes:
        process.start()
    try:
        begun.wait(BEGINS_SECONDS)
        times, before = Times(), answered.value
        end = time.perf_counter() + seconds
        with socket.create_connection(("127.0.0.1", port)) as caller:
            while (asked_at := time.perf_counter()) < end:
                caller.sendall(next(small))
                times.statuses.add(read_answer(caller))
                times.milliseconds.append((time.perf_counter() - asked_at) * 1000)
        times.others = answered.value - before
    finally:
        for process in processes:
            process.kill()
            process.join()
    return times


def _ask_forever(port: int, asked: Sequence[bytes], answered: Any, begun: Any) -> None:
    requests = itertools.cycle(asked)
    begun.wait(BEGINS_SECONDS)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as caller:
                while True:
                    caller.sendall(next(requests))
                    read_answer(caller)
                    with answered.get_lock():
                        answered.value += 1
        except (OSError, HTTPException):
            # Whoever is refused may have been hung up on.
            with answered.get_lock():
                answered.value += 1
