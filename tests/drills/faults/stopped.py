"""Processes that are told to end in mid-work: each step of a run, as a drain and as an eviction, and the service."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from foreact.steps import STEPS
from tests.drills.faults.row import Row, say_seen, short, was_served
from tests.drills.inside import wait
from tests.drills.planner import asking, read_state
from tests.drills.retailer import Retailer, descendants
from tests.drills.serving import serve

# How long Kubernetes lets a pod end by itself.
GRACE_SECONDS = 30


def stop_runs(retailer: Retailer) -> list[Row]:
    """Ask each step's process to end, and then everything that runs with it, as when its node is drained."""
    rows = []
    with serve(retailer.workspace, FOREACT_POLL_SECONDS="0.5") as service:
        for step in STEPS:
            with asking(service, retailer.pages) as seen:
                evicted = _stop_in(retailer, step, whole=False)
                drained = _stop_in(retailer, step, whole=True)
            held = evicted.held and drained.held and was_served(seen)
            rows.append(Row(f"SIGTERM in {step}", held, f"{say_seen(seen)}; {evicted.result}; {drained.result}"))
        with asking(service, retailer.pages) as seen:
            before = retailer.check()
            code, said = retailer.run()
            after = retailer.check()
            shown = wait(lambda: read_state(service)["publication"] == after)
    held = code == 0 and after == before + 1 and shown and was_served(seen)
    runs = ", ".join(sorted(set(retailer.ledger())))
    rows.append(
        Row(
            "the run after all that",
            held and "running" not in runs,
            f"version {after}, all runs {runs}" if code == 0 else said,
        )
    )
    return rows


def _stop_in(retailer: Retailer, step: str, *, whole: bool) -> Row:
    """Ask one process of a run to end in mid-step, or all of them; those that do not, are killed after a while."""
    version, before = retailer.check(), retailer.events()
    process = retailer.start()
    reached = retailer.wait_for(f'"step": "{step}", "state": "started"', before, process)
    begun = time.monotonic()
    targets = [*descendants(process.pid), process.pid] if whole else _find_step(process.pid)
    for pid in targets:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    killed = False
    try:
        said = process.communicate(timeout=GRACE_SECONDS if whole else 300)[1]
    except subprocess.TimeoutExpired:
        killed = True
        for pid in [*descendants(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        said = process.communicate()[1]
    took = time.monotonic() - begun
    # What cleans up after it, and the service, tell how it ended.
    wait(lambda: retailer.ledger()[-1] != "running", 120)
    after = retailer.check()
    record = retailer.ledger()[-1]
    # In publish the swap may have happened; half of it never has.
    kept = after in ({version, version + 1} if step == "publish" else {version})
    told = record == ("succeeded" if after > version else "failed")
    what = "drained" if whole else "evicted"
    words = short(retailer, (said.strip().splitlines() or [""])[-1])
    result = f"{what}: ended after {took:.1f} s{', killed' if killed else ''}, version {after}, run {record}: {words}"
    return Row(step, reached and bool(targets) and kept and told, result)


def _find_step(pid: int) -> list[int]:
    """Return the process of the step that is at work."""
    for child in descendants(pid):
        with suppress(OSError):
            title = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"kfp.dsl.executor_main" in title:
                return [child]
    return []


def stop_service(retailer: Retailer) -> Row:
    """Ask the service to end while it answers and while a refresh runs, and start another."""
    store, before = retailer.stores[0], retailer.check()
    with serve(retailer.workspace, FOREACT_POLL_SECONDS="0.5") as service:
        with asking(service, retailer.pages, pause=0) as seen:
            with service.client() as client:
                asked = client.post(f"/v1/stores/{store}/refreshes").json()
                wait(lambda: client.get(f"/v1/refreshes/{asked['id']}").json()["state"] == "running")
            wait(lambda: len(seen.seconds) > 50)
            begun = time.monotonic()
            service.process.stop()
            took = time.monotonic() - begun
        service.process.start()
        with asking(service, retailer.pages) as again, service.client() as client:
            ended = wait(lambda: client.get(f"/v1/refreshes/{asked['id']}").json()["ended_at"], 300)
            state = client.get(f"/v1/refreshes/{asked['id']}").json()
    after = retailer.check()
    refused = {status: count for status, count in seen.statuses.items() if status != "200"}
    # What was begun was answered; afterwards nobody listens.
    held = set(refused) <= {"ConnectError"} and bool(ended) and was_served(again)
    held &= (state["state"] == "succeeded") == (after == before + 1)
    words = [
        f"ended after {took:.1f} s; {say_seen(seen)} (nobody listened until the next was started)",
        f"by the next {say_seen(again)}; the refresh {state['state']} {state.get('sentence') or ''}, version {after}",
    ]
    return Row("SIGTERM of the service, a refresh under way", held, "; ".join(words))
