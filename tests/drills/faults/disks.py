"""A disk that is full, and one that is slow."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.drills.faults.row import Row, say_seen, short, was_served
from tests.drills.inside import wait
from tests.drills.planner import asking, read_state, wait_for_answers
from tests.drills.retailer import Retailer, make
from tests.drills.serving import run_foreact, serve

MIB = 160
# In microseconds: what each of these calls takes longer.
SLOW = {"fsync,fdatasync,rename,renameat2": 500_000, "openat": 2_000}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of its own, in memory; it takes the right to mount."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MIB}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path) -> Row:
    """Fill the disk of a workspace before a run, and again in the middle of one."""
    with small_disk(folder / "disk") as disk:
        retailer = make(disk)
        ballast = disk / "ballast"
        before = retailer.check()
        with serve(retailer.workspace, FOREACT_POLL_SECONDS="0.5") as service, asking(service, retailer.pages) as seen:
            _fill(ballast)
            code, said = retailer.run()
            key = run_foreact("keys", "create", "--name", "x", "--workspace", str(retailer.workspace))
            with service.client() as client:
                refresh = client.post(f"/v1/stores/{retailer.stores[0]}/refreshes")
            ballast.unlink()
            told = retailer.events()
            process = retailer.start()
            reached = retailer.wait_for('"step": "train", "state": "started"', told, process)
            _fill(ballast)
            middle = process.communicate(timeout=600)[1].strip().splitlines()[-1:]
            unchanged = retailer.check() == before
            wait_for_answers(seen, len(seen.seconds) + 20)
            ballast.unlink()
            last_code, last_said = retailer.run()
            after = retailer.check()
            shown = wait(lambda: read_state(service).items() >= {"status": "ready", "publication": after}.items(), 60)
            ended = wait(lambda: "running" not in retailer.ledger(), 90)
            runs = ", ".join(retailer.ledger())
    held = was_served(seen) and (code, process.returncode, last_code, key.returncode) == (1, 1, 0, 1)
    held &= reached and unchanged and after == before + 1 and shown and ended and refresh.status_code == 503
    words = [
        say_seen(seen),
        f"a run: {short(retailer, said)}",
        f"in mid-run: {short(retailer, ''.join(middle))}",
        f"a refresh: {refresh.status_code} {refresh.json().get('error', {}).get('message', '')[:150]}",
        f"a key: {short(retailer, key.stderr.strip())}",
        f"space again: {f'version {after}' if last_code == 0 else short(retailer, last_said)}, runs {runs}",
    ]
    return Row("a full disk, before a run and in mid-run", held, "; ".join(words))


def slow_disk(retailer: Retailer) -> Row:
    """Let every write that is waited for, and every file that is opened, take longer, in the service and in a run."""
    strace = shutil.which("strace")
    if strace is None:
        return Row("a slow disk", False, "not seen: needs strace")
    inject = [part for calls, delay in SLOW.items() for part in ("-e", f"inject={calls}:delay_enter={delay}")]
    slowly = [strace, "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={','.join(SLOW)}", *inject]
    before = retailer.check()
    with (
        serve(retailer.workspace, *slowly, FOREACT_POLL_SECONDS="0.5") as service,
        asking(service, retailer.pages) as seen,
    ):
        begun = time.monotonic()
        retailer.prefix = slowly
        try:
            code, said = retailer.run()
        finally:
            retailer.prefix = []
        took = time.monotonic() - begun
        after = retailer.check()
        shown = wait(lambda: read_state(service)["publication"] == after, 60)
    held = code == 0 and after == before + 1 and shown and was_served(seen)
    words = [
        f"half a second more for each fsync and rename, 2 ms for each file opened: {say_seen(seen)}",
        f"a run {f'published version {after}' if code == 0 else short(retailer, said)} after {took:.0f} s",
    ]
    return Row("a slow disk", held, "; ".join(words))


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
