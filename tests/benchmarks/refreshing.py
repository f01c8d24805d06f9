"""How long a planner waits for new numbers: python -m tests.benchmarks.refreshing [REFRESHES].

On the demo's chain, embedded: from the request of one store's refresh to the first answer that shows its publication,
one refresh after the other, and what each step takes of it.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.drills.serving import run_foreact, serve


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        done = run_foreact("demo", "--no-serve", "--workspace", str(workspace))
        if done.returncode:
            sys.exit(done.stderr)
        waits: list[float] = []
        steps: dict[str, list[float]] = {}
        with serve(workspace) as place:
            place.settle()
            with place.client() as client:
                stores = [one["store"] for one in client.get("/v1/stores").json()["stores"]]
                for number in range(count):
                    begun = time.perf_counter()
                    refresh = follow(client, stores[number % len(stores)])
                    waits.append(time.perf_counter() - begun)
                    for step in refresh["steps"]:
                        steps.setdefault(step["name"], []).append(step["seconds"])
        told = statistics.quantiles(waits, n=20)
        sys.stdout.write(
            f"request to visible, {count} refreshes: median {statistics.median(waits):.1f} s, "
            f"5 % to 95 % {told[0]:.1f} to {told[-1]:.1f} s, longest {max(waits):.1f} s\n"
        )
        inside = {name: statistics.median(seconds) for name, seconds in steps.items()}
        inside["starting, between steps, becoming visible"] = statistics.median(waits) - sum(inside.values())
        for name, seconds in inside.items():
            sys.stdout.write(f"  {name:<45}{seconds:6.2f} s{seconds / statistics.median(waits):7.0%}\n")


def follow(client: httpx.Client, store: str) -> dict:
    """Ask for a refresh and wait until an answer shows it."""
    refresh = client.post(f"/v1/stores/{store}/refreshes").raise_for_status().json()
    while refresh["state"] in {"queued", "running"}:
        time.sleep(0.1)
        refresh = client.get(f"/v1/refreshes/{refresh['id']}").raise_for_status().json()
    if refresh["state"] != "succeeded":
        raise RuntimeError(refresh["sentence"])
    while client.get("/v1/totals", params={"store": store}).json()["publication"]["version"] < refresh["version"]:
        time.sleep(0.05)
    return refresh


if __name__ == "__main__":
    main()
