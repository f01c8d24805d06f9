"""Two nightly runs at once: neither loses the other's stores, and what is published is whole."""

from pathlib import Path

from foreact.runs.ledger import RunLedger
from tests.drills.outcome import Outcome
from tests.drills.retailer import make


def drill(folder: Path) -> Outcome:
    """Start two runs of everything in the same second."""
    retailer = make(folder, stores=2)
    before = retailer.check()
    processes = [retailer.start(), retailer.start()]
    said = [process.communicate(timeout=600)[1].strip().splitlines()[-1:] for process in processes]
    codes = [process.returncode for process in processes]
    version, manifest = retailer.check(), retailer.manifest()
    runs = {entry.run for entry in manifest.stores.values()}
    known = {run.id: run.state for run in RunLedger(retailer.blobs).read_history().runs}
    rows = [
        ("exit codes", ", ".join(map(str, codes)) + "".join(f"; {line[0]}" for line in said if line and any(codes))),
        ("versions made", f"{version - before}"),
        ("stores published", f"{len(manifest.stores)} of {len(retailer.stores)}, from {len(runs)} run(s)"),
        ("in the archive", ", ".join(map(str, retailer.reader.list_versions()))),
        ("runs recorded", f"{sum(state == 'succeeded' for state in known.values())} succeeded of {len(known)}"),
    ]
    held = codes == [0, 0] and version == before + 2 and set(manifest.stores) == set(retailer.stores)
    held &= len(known) == 3 and set(known.values()) == {"succeeded"}
    return Outcome("twice", held, rows, "Planners saw one whole publication after the other.")
