"""MLflow down for nights on end: every morning is fresh, and nothing is missing in the registry afterwards."""

import sys
import time
from pathlib import Path

from foreact.registry import model_name
from foreact.registry.client import make_client
from tests.drills.outcome import Outcome
from tests.drills.retailer import make
from tests.drills.serving import run_foreact
from tests.services import Process, hold_port

NIGHTS = 7


def drill(folder: Path) -> Outcome:
    """Publish with a real server, take it down for some nights, and bring it back."""
    port = hold_port()
    database, artifacts = folder / "server.db", folder / "artifacts"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(artifacts)),
    ]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = Process(command, port, folder / "mlflow.txt", environment)
    server.start()
    try:
        retailer = make(folder)
        retailer.environment = {"FOREACT_MLFLOW_URI": f"http://127.0.0.1:{port}"}
        first_code, first_said = retailer.run()
        version = retailer.check()
        server.stop()
        nights = []
        for _ in range(NIGHTS):
            begun = time.monotonic()
            code, said = retailer.run()
            nights.append((code, time.monotonic() - begun, said))
        published = retailer.check()
        server.start()
        caught_up = run_foreact("registry", "catch-up", "--workspace", str(retailer.workspace), **retailer.environment)
        client = make_client(retailer.environment["FOREACT_MLFLOW_URI"])
        versions = {store: client.search_model_versions(f"name = '{model_name(store)}'") for store in retailer.stores}
        registered = {len(found) for found in versions.values()}
        code, said = retailer.run()
        after = retailer.check()
    finally:
        server.stop()
    slowest = max(took for _, took, _ in nights)
    rows = [
        ("with the server", "published" if first_code == 0 else first_said),
        (f"{NIGHTS} nights without", "all published" if published == version + NIGHTS else str(nights)),
        ("the slowest of them", f"{slowest:.0f} s"),
        ("server back, catch-up", caught_up.stdout.splitlines()[-1] if caught_up.returncode == 0 else caught_up.stderr),
        ("versions a store then", ", ".join(map(str, sorted(registered)))),
        ("the next night", "published" if code == 0 else said),
    ]
    held = (first_code, code, caught_up.returncode) == (0, 0, 0) and {night[0] for night in nights} == {0}
    held &= published == version + NIGHTS and registered == {1 + NIGHTS} and after == published + 1
    return Outcome(
        "mlflow", held, rows, "Planners saw fresh numbers every morning; afterwards the registry lacked nothing."
    )
