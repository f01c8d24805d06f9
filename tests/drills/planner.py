"""A planner who goes on asking while something is wrong, and what they see."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.drills.inside import wait
from tests.drills.serving import Place, Seen


@contextmanager
def asking(service: Place, paths: list[str], pause: float = 0.1) -> Iterator[Seen]:
    """Ask for one page after the other until the end, once there are forecasts, noting each answer."""
    service.settle()
    seen, stop = Seen(), threading.Event()
    thread = threading.Thread(target=_ask, args=(service, paths, seen, stop, pause), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(30)


def wait_for_answers(seen: Seen, count: int) -> bool:
    """Wait until so many answers have come."""
    return wait(lambda: len(seen.seconds) >= count)


def read_state(service: Place) -> dict[str, Any]:
    """Return what the service says of itself."""
    with service.client() as client:
        answer: dict[str, Any] = client.get("/readyz").json()
        return answer


def _ask(service: Place, paths: list[str], seen: Seen, stop: threading.Event, pause: float) -> None:
    with service.client() as client:
        for path in itertools.cycle(paths):
            if stop.is_set():
                return
            begun = time.monotonic()
            try:
                answer = client.get(path, headers={"accept": "*/*" if path.startswith("/v1/") else "text/html"})
                seen.note(answer.status_code, time.monotonic() - begun)
            except httpx.HTTPError as error:
                seen.note(type(error).__name__, time.monotonic() - begun)
            stop.wait(pause)
