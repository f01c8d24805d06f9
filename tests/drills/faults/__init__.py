"""Faults of processes, disks, names, certificates, clocks and the blob store: what planners saw, and what was lost."""

from collections.abc import Iterator
from pathlib import Path

from tests.drills.faults.clocks import shift_clock
from tests.drills.faults.disks import fill_disk, slow_disk
from tests.drills.faults.network import end_certificate, lie, lose_names, refuse, through
from tests.drills.faults.row import Row
from tests.drills.faults.stopped import stop_runs, stop_service
from tests.drills.front import Front, serve_front
from tests.drills.outcome import Outcome
from tests.drills.retailer import make
from tests.services import serve_azurite


def drill(folder: Path, minutes: float = 3) -> Outcome:
    """Make one fault after the other; the blob store refuses for so many minutes."""
    rows = list(_make_faults(folder, minutes))
    return Outcome(
        "faults",
        all(row.held for row in rows),
        [(row.fault, "held" if row.held else "BROKEN", row.result) for row in rows],
        "Planners were answered throughout; what was published stayed whole, and the next run went through.",
        ("fault", "promise", "what was seen"),
    )


def _make_faults(folder: Path, minutes: float) -> Iterator[Row]:
    for name in ("local", "remote", "tls", "full"):
        (folder / name).mkdir()
    retailer = make(folder / "local")
    yield stop_service(retailer)
    yield from stop_runs(retailer)
    yield slow_disk(retailer)
    yield shift_clock(retailer)
    yield fill_disk(folder / "full")
    with serve_azurite(folder / "remote") as azurite, serve_front(Front(azurite.process.port)) as front:
        retailer = make(folder / "remote", **through(front, azurite))
        yield refuse(retailer, front, minutes)
        yield lie(retailer, front)
        yield lose_names(retailer, azurite, folder / "remote")
    yield end_certificate(folder / "tls")
