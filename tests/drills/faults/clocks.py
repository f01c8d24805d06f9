"""A machine whose clock is ten minutes off, either way."""

from pathlib import Path
from typing import Any

from tests.drills.faults.row import Row, say_seen, short, was_served
from tests.drills.inside import wait
from tests.drills.planner import asking, read_state
from tests.drills.retailer import Retailer
from tests.drills.serving import Place, serve

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def shift_clock(retailer: Retailer) -> Row:
    """Let a run's clock be ahead and behind of the service's, and the service's of everybody's."""
    [library] = [str(path) for path in Path("/").glob(LIBRARIES.lstrip("/"))] or [""]
    if not library:
        return Row("a clock 10 minutes off", False, "not seen: needs libfaketime")
    first = retailer.check()
    told: dict[str, list[str]] = {}
    codes = []
    with serve(retailer.workspace, FOREACT_POLL_SECONDS="0.5") as service, asking(service, retailer.pages) as seen:
        for name, shift in (("ahead", "+10m"), ("behind", "-10m"), ("right", "")):
            retailer.environment = _shifted(library, shift)
            codes.append(retailer.run())
            version = retailer.check()
            wait(lambda version=version: read_state(service)["publication"] == version)
            told[f"a run whose clock is {name}"] = _read_reasons(service, retailer)
    retailer.environment = {}
    for name, shift in (("ahead", "+10m"), ("behind", "-10m")):
        environment = _shifted(library, shift)
        with serve(retailer.workspace, FOREACT_POLL_SECONDS="0.5", **environment) as service:
            with asking(service, retailer.pages) as shifted:
                told[f"a service whose clock is {name}"] = _read_reasons(service, retailer)
            seen.seconds += shifted.seconds
            for status, count in shifted.statuses.items():
                seen.statuses[status] = seen.statuses.get(status, 0) + count
    last = retailer.check()
    failed = [short(retailer, said) for code, said in codes if code]
    held = not failed and last == first + len(codes) and was_served(seen) and "running" not in retailer.ledger()
    held &= any("clock" in reason for reason in told["a run whose clock is ahead"])
    held &= any("clock" in reason for reason in told["a service whose clock is behind"])
    clocks = [
        f"{name}: {next((why for why in reasons if 'clock' in why), 'nothing of it')}" for name, reasons in told.items()
    ]
    words = [
        say_seen(seen),
        *failed,
        f"versions {first} to {last}",
        *(f"planners are told by {each}" for each in clocks),
    ]
    return Row("a clock 10 minutes off", held, "; ".join(words))


def _shifted(library: str, shift: str) -> dict[str, str]:
    if not shift:
        return {}
    return {"LD_PRELOAD": library, "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}


def _read_reasons(service: Place, retailer: Retailer) -> list[str]:
    store = retailer.stores[0]
    with service.client() as client:
        answer: dict[str, Any] = client.get(f"/v1/totals?store={store}").json()
    reasons: list[str] = answer["stores"][store]["freshness"]["reasons"]
    return reasons
