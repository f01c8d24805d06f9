"""A refresh storm: at nine o'clock 200 planners ask for new forecasts of 20 stores, and follow them to their end."""

import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from foreact.blobs.folder import FolderStore
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.settings import ServingSettings
from tests.drills.inside import listening
from tests.drills.outcome import Outcome
from tests.serving import shop
from tests.serving.refreshes.runs import runner

PLANNERS = 200
STORES = [f"S{number:02d}" for number in range(20)]
PROMISE = 300.0


@dataclass
class Storm:
    """What the planners saw."""

    # store -> refresh -> when it was asked for, and when it ended
    refreshes: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    joined: int = 0
    refused: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def drill(folder: Path) -> Outcome:
    """Two refreshes at a time, each a process that takes its time and really publishes."""
    store, workspace = FolderStore(folder / "blobs"), folder / "workspace"
    shop.publish(store, STORES)
    planners = [
        keys.create_key(store, f"planner {number}", Grant(role="planner"), created_by="drill")[0]
        for number in range(PLANNERS)
    ]
    settings = ServingSettings(workspace=workspace, _env_file=None)  # type: ignore[call-arg]
    app = create_app(settings, store, runner=runner(store, workspace, "slow", 2))
    storm = Storm()
    with listening(app) as url:
        threads = [
            threading.Thread(target=_ask, args=(url, token, STORES[number % len(STORES)], storm), daemon=True)
            for number, token in enumerate(planners)
        ]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PROMISE + 60)
        lost = sum(thread.is_alive() for thread in threads)
        took = time.monotonic() - begun
    waits = sorted(storm.waits)
    runs = sum(map(len, storm.refreshes.values()))
    for store_id, spans in storm.refreshes.items():
        ordered = sorted(spans.values())
        storm.lies += [
            f"{store_id} was refreshed twice at once" for (_, end), (begin, _) in pairwise(ordered) if begin < end
        ]
    rows = [
        ("planners, stores", f"{PLANNERS}, {len(STORES)}"),
        ("refreshes run", f"{runs}"),
        ("requests that joined one under way", f"{storm.joined}"),
        ("refused", f"{len(storm.refused)}" + (f": {storm.refused[0]}" if storm.refused else "")),
        (
            "request to visible numbers, p50 / worst",
            f"{waits[len(waits) // 2]:.0f} s / {waits[-1]:.0f} s" if waits else "-",
        ),
        ("told something untrue", f"{len(storm.lies)}" + (f": {storm.lies[0]}" if storm.lies else "")),
        ("never answered", f"{lost}"),
        ("whole storm", f"{took:.0f} s"),
    ]
    held = (
        not storm.lies
        and not storm.refused
        and not lost
        and len(waits) == PLANNERS
        and waits[-1] < PROMISE
        and set(storm.refreshes) == set(STORES)
    )
    return Outcome(
        "storm", held, rows, "Each planner saw one refresh a store, their place in the queue, and its new numbers."
    )


def _ask(url: str, token: str, store: str, storm: Storm) -> None:
    begun = time.monotonic()
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=120) as client:
        answer = client.post(f"/v1/stores/{store}/refreshes")
        if answer.status_code != 202:
            with storm.lock:
                storm.refused.append(f"{answer.status_code} {answer.text[:200]}")
            return
        asked = answer.json()
        seen: list[dict[str, Any]] = [asked]
        while not seen[-1]["ended_at"] and time.monotonic() - begun < PROMISE:
            time.sleep(2)
            seen.append(client.get(f"/v1/refreshes/{asked['id']}").json())
        shown = client.get(f"/v1/totals?store={store}").json()
    waited = time.monotonic() - begun
    lies = _lies(store, seen, shown["stores"][store]["run"])
    with storm.lock:
        storm.refreshes.setdefault(store, {})[asked["id"]] = (asked["requested_at"], seen[-1]["ended_at"] or "9999")
        storm.joined += asked["already_running"]
        storm.lies += lies
        storm.waits.append(waited)


def _lies(store: str, seen: list[dict[str, Any]], shown: str) -> list[str]:
    """Find what a planner was told that was not so: a failure, a step back, a place that grew, or numbers not there."""
    last, order = seen[-1], {"queued": 0, "running": 1, "succeeded": 2, "failed": 2}
    lies = []
    if last["state"] != "succeeded":
        lies.append(f"{store}: {last['state']} {last['sentence']}")
    elif shown < last["id"]:
        lies.append(f"{store}: said to be done, but shows the numbers of {shown}")
    states = [order[one["state"]] for one in seen]
    if states != sorted(states):
        lies.append(f"{store}: went from {seen[0]['state']} back")
    return lies
