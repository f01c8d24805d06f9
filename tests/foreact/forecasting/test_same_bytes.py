"""Same data and seed, same bytes, whatever the number of threads that the libraries would like to use."""

import hashlib
import os
import subprocess
import sys

from foreact.forecasting import StoreResult

SCRIPT = """
from foreact.forecasting import train_store
from tests.foreact.forecasting.panels import make_panel
from tests.foreact.forecasting.test_same_bytes import digest
print(digest(train_store(make_panel(items=80, days=560), seed=3)))
"""


def digest(result: StoreResult) -> str:
    """Return one hash of all the numbers of a forecast."""
    forecast = result.forecast
    parts = (forecast.mean, forecast.p10, forecast.p90, forecast.total_p90, *forecast.drivers.values())
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_the_number_of_threads_changes_no_bit(result: StoreResult) -> None:
    for threads in ("1", "4"):
        wish = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | wish, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == digest(result)
