"""A morning whose night never ran, with Kubeflow, Ray and MLflow away, one at a time and together."""

import json
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foreact.demo import write_demo
from tests.drills.outcome import Outcome
from tests.drills.retailer import Retailer
from tests.drills.serving import run_foreact

STORES = 3
# Nothing listens at port 1.
AWAY = {
    "Kubeflow": {"FOREACT_KFP_HOST": "http://127.0.0.1:1"},
    "Ray": {"FOREACT_RAY_ADDRESS": "ray://127.0.0.1:1"},
    "MLflow": {"FOREACT_MLFLOW_URI": "http://127.0.0.1:1"},
}
ALL = {name: address for each in AWAY.values() for name, address in each.items()}
# The deadline of today has passed, whenever the drill is run.
DUE = {"FOREACT_PUBLISH_DEADLINE": "00:00", "FOREACT_TIMEZONE": "UTC"}


def drill(folder: Path) -> Outcome:
    """Publish on the sales of the day before yesterday, then reforecast on yesterday's, beside each that is away."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    demo = write_demo(folder / "data", yesterday, stores=STORES, items=4, days=420)
    retailer = Retailer(demo.history, demo.known, folder / "workspace", demo.chain.stores)
    code, said = retailer.run("--as-of", f"{yesterday - timedelta(days=1)}")
    if code:
        raise RuntimeError(said)
    rows, held = [("before it", describe(count_fresh(retailer.workspace)))], True
    for away, addresses in {**AWAY, "all three": ALL}.items():
        morning = replace(retailer, workspace=folder / away)
        shutil.copytree(retailer.workspace, morning.workspace)
        begun = time.monotonic()
        done = run_foreact("run", "reforecast", "--workspace", str(morning.workspace), **DUE, **addresses)
        took = time.monotonic() - begun
        fresh, marked = (
            count_fresh(morning.workspace),
            all(each.fallback for each in morning.manifest().stores.values()),
        )
        rows.append((f"{away} away", f"exit code {done.returncode} after {took:.0f} s; {describe(fresh)}"))
        held &= (done.returncode, fresh, marked) == (0, (STORES, STORES), True)
    return Outcome("morning", held, rows, "Planners saw every store fresh, marked as forecast by the model before.")


def count_fresh(workspace: Path) -> tuple[int, int]:
    """Return how many stores are fresh, and how many there are."""
    said = run_foreact("status", "--json", "--workspace", str(workspace), **DUE)
    stores = json.loads(said.stdout)["stores"].values()
    return sum(store["state"] == "fresh" for store in stores), len(stores)


def describe(fresh: tuple[int, int]) -> str:
    return "{} of {} stores fresh".format(*fresh)
