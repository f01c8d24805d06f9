"""A machine whose clock is ten minutes off, either way."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.settings import ServingSettings
from tests.drills.faults.row import Row, say_seen, short, was_served
from tests.drills.inside import listening, wait
from tests.drills.planner import asking, read_state
from tests.drills.retailer import Retailer
from tests.drills.serving import serve

LIBRARIES = "usr/lib/*/faketime/libfaketimeMT.so.1"
OFF = timedelta(minutes=10)
# The library leaves the clock that sleep goes by alone, and then refuses to sleep by it.
AWAKE = """import threading
import time


def sleep(seconds):
    threading.Event().wait(seconds)


time.sleep = sleep
"""


def shift_clock(retailer: Retailer) -> Row:
    """Let the clock of a run be ahead, then right, and so go back; then that of a service either way."""
    library = next(map(str, Path("/").glob(LIBRARIES)), "")
    if not library:
        return Row("a clock 10 minutes off", False, "not seen: needs libfaketime")
    awake = retailer.workspace.parent / "awake"
    awake.mkdir()
    (awake / "sitecustomize.py").write_text(AWAKE)
    first = retailer.check()
    told: dict[str, list[str]] = {}
    codes = []
    ahead = {"LD_PRELOAD": library, "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    ahead["PYTHONPATH"] = os.pathsep.join([str(awake), *filter(None, [os.environ.get("PYTHONPATH")])])
    with serve(retailer.workspace, FOREACT_POLL_SECONDS="0.5") as service, asking(service, retailer.pages) as seen:
        for name, environment in (("a run ahead", ahead), ("a run that is right, after it", {})):
            retailer.environment = environment
            codes.append(retailer.run())
            version = retailer.check()
            wait(lambda version=version: read_state(service)["publication"] == version)
            told[name] = _read_reasons(service.url, service.token, retailer)
    for name, off in (("a service ahead", OFF), ("a service behind", -OFF)):
        # The service's own clock is handed in, for under the library that shifts a process' it hardly answers.
        settings = ServingSettings(workspace=retailer.workspace, _env_file=None)  # type: ignore[call-arg]
        token, _ = keys.create_key(retailer.blobs, "drill", Grant(role="viewer"), created_by="drill")
        app = create_app(settings, retailer.blobs, clock=lambda off=off: datetime.now(UTC) + off)
        with listening(app) as url:
            told[name] = _read_reasons(url, token, retailer)
    last = retailer.check()
    failed = [short(retailer, said) for code, said in codes if code]
    held = not failed and last == first + len(codes) and was_served(seen) and "running" not in retailer.ledger()
    held &= _clock_of(told["a run ahead"]) != "" and _clock_of(told["a run that is right, after it"]) == ""
    held &= _clock_of(told["a service behind"]) != "" and _clock_of(told["a service ahead"]) == ""
    clocks = [f"{name}: {_clock_of(reasons) or 'nothing of it'}" for name, reasons in told.items()]
    words = [say_seen(seen), *failed, f"versions {first} to {last}", f"planners are told by {', '.join(clocks)}"]
    return Row("a clock 10 minutes off", held, "; ".join(words))


def _clock_of(reasons: list[str]) -> str:
    return next((reason for reason in reasons if "clock" in reason), "")


def _read_reasons(url: str, token: str, retailer: Retailer) -> list[str]:
    """Return why planners are told that a store's numbers are not fresh."""
    store = retailer.stores[0]
    bearer = {"authorization": f"Bearer {token}"}
    answer: dict[str, Any] = httpx.get(f"{url}/v1/totals?store={store}", headers=bearer, timeout=120).json()
    reasons: list[str] = answer["stores"][store]["freshness"]["reasons"]
    return reasons
