"""MLflow down during the nightly run: it fails with a sentence, planners keep theirs, and the next makes good."""

import sys
import time
from pathlib import Path

from tests.drills.outcome import Outcome
from tests.drills.retailer import make
from tests.services import Process, hold_port


def drill(folder: Path) -> Outcome:
    """Publish with a real server, take it down for one run, and bring it back."""
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
        begun = time.monotonic()
        down_code, said = retailer.run()
        took = time.monotonic() - begun
        down_said = said.removeprefix("foreact: ").replace(str(folder), "")
        kept = retailer.check() == version
        server.start()
        code, said = retailer.run()
        after = retailer.check()
    finally:
        server.stop()
    rows = [
        ("with the server", "published" if first_code == 0 else first_said),
        ("server down", f"exit {down_code} after {took:.0f} s: {down_said[:180]}"),
        ("published meanwhile", "nothing changed" if kept else "CHANGED"),
        ("server back", "published" if code == 0 else said),
    ]
    held = first_code == 0 and down_code == 1 and kept and code == 0 and after == version + 1
    return Outcome("mlflow", held, rows, "Planners saw the last good forecast; the next run published anew.")
