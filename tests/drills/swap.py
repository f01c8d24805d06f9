"""Serving under load while publications swap: every answer is of one publication, whole, and none goes back in time."""

import math
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from foreact.publications import prune_objects
from tests.drills.inside import wait
from tests.drills.outcome import Outcome
from tests.drills.serving import Place, Seen, serve
from tests.serving import shop

STORES = [f"S{number:02d}" for number in range(10)]
ITEMS = 60
SWAP_SECONDS = 6.0
CLIENTS = 2
# How soon a publication is to be seen on a machine that has nothing else to do.
PROMISE = 10.0


def drill(folder: Path, minutes: float = 1.0, swaps: int = 0, rate: float = 20.0, promise: float = PROMISE) -> Outcome:
    """Publish again and again while clients ask at a steady rate, each answer held against what was published.

    It lasts for some minutes, or for so many publications, the next one as soon as every client has seen the last.
    """
    with serve(folder, FOREACT_POLL_SECONDS="0.5") as place:
        published: dict[str, list[float]] = {}
        _publish(place, 0, published)
        place.settle()
        seen, stop = [Seen() for _ in range(CLIENTS)], threading.Event()
        clients = [
            threading.Thread(target=_ask, args=(place, one, published, stop, CLIENTS / rate), daemon=True)
            for one in seen
        ]
        for client in clients:
            client.start()
        memory, lags, followed = [place.memory()], list[float](), True
        started = time.monotonic()
        end = started + minutes * 60
        while len(lags) < swaps or (not swaps and time.monotonic() < end):
            begun = time.monotonic()
            version = _publish(place, len(lags) + 1, published)
            lags.append(_visible(place, version))
            memory.append(place.memory())
            if swaps:
                followed &= wait(partial(_have_followed, seen, version))
            else:
                stop.wait(max(0.0, min(SWAP_SECONDS - (time.monotonic() - begun), end - time.monotonic())))
        took = time.monotonic() - started
        stop.set()
        for client in clients:
            client.join()
        whole = Seen(wrong=[text for one in seen for text in one.wrong])
        for one in seen:
            whole.seconds += one.seconds
            for status, count in one.statuses.items():
                whole.statuses[status] = whole.statuses.get(status, 0) + count
        late = sorted(lags)
        rows = [
            ("minutes", f"{took / 60:.3g}"),
            ("publications swapped in", f"{len(lags):,}"),
            *whole.rows(),
            ("publication visible after, p50 / worst", f"{late[len(late) // 2]:.1f} s / {late[-1]:.1f} s"),
            (
                "memory of the service, first / last / most",
                f"{memory[0]:.0f} / {memory[-1]:.0f} / {max(memory):.0f} MiB",
            ),
        ]
        good = followed and not whole.wrong and set(whole.statuses) == {"200"} and late[-1] < promise
        return Outcome(
            "swap",
            good,
            rows,
            "Planners saw whole publications only, each version or the one after it, without an error."
            if good
            else "Some answers were wrong or missing.",
        )


def _publish(place: Place, number: int, published: dict[str, list[float]]) -> int:
    """Publish all stores with numbers of their own; their marks are known before anybody can read them."""
    run = f"swap-{number:05d}"
    tables = {store: shop.make_tables(store, ITEMS, seed=number) for store in STORES}
    for store, made in tables.items():
        published[f"{run}/{store}"] = made["totals"]["mean"].to_pylist()
    at = datetime.now(UTC)
    manifest = shop.publish(place.store, STORES, run=run, generated_at=at, tables=tables)
    prune_objects(place.store)
    return manifest.version


def _visible(place: Place, version: int) -> float:
    """Return after how many seconds the service shows a publication; infinity if it never does."""
    begun = time.monotonic()
    with place.client() as client:
        shown = wait(lambda: (client.get("/readyz").json().get("publication") or 0) >= version)
    return time.monotonic() - begun if shown else math.inf


def _same(given: list[float], published: list[float]) -> bool:
    """Answers are rounded, so they are held to a hundredth; another publication's differ by far more."""
    return len(given) == len(published) and all(abs(a - b) < 0.02 for a, b in zip(given, published, strict=True))


def _ask(place: Place, seen: Seen, published: dict[str, list[float]], stop: threading.Event, pause: float) -> None:
    query = "/v1/totals?" + "&".join(f"store={store}" for store in STORES)
    with place.client() as client:
        while not stop.is_set():
            begun = time.monotonic()
            try:
                answer = client.get(query)
                seen.note(answer.status_code, time.monotonic() - begun)
                if answer.status_code == 200:
                    _check(answer.json(), seen, published)
            except httpx.HTTPError as error:
                seen.note(type(error).__name__, time.monotonic() - begun)
            stop.wait(max(0.0, pause - (time.monotonic() - begun)))


def _have_followed(seen: list[Seen], version: int) -> bool:
    return all(one.newest >= version for one in seen)


def _check(answer: dict[str, Any], seen: Seen, published: dict[str, list[float]]) -> None:
    version = answer["publication"]["version"]
    if version < seen.newest:
        seen.wrong.append(f"version {version} after {seen.newest}")
    runs = {described["run"] for described in answer["stores"].values()}
    if len(runs) != 1:
        seen.wrong.append(f"version {version} mixes the runs {sorted(runs)}")
    means: dict[str, list[float]] = {}
    for row in answer["rows"]:
        means.setdefault(row["store"], []).append(row["mean"])
    for store in STORES:
        run = answer["stores"][store]["run"]
        if not _same(means.get(store, []), published.get(f"{run}/{store}", [])):
            seen.wrong.append(f"version {version}: the numbers of {store} are not those of {run}")
    seen.newest = max(version, seen.newest)
