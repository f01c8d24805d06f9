"""Run drills: `python -m tests.drills NAME... [--minutes N] [--nights N] [--stores N] [--out FILE]`.

The exit code is 1 if a promise was broken.
"""

import argparse
import importlib
import inspect
import sys
import tempfile
from pathlib import Path

from tests.drills import DRILLS
from tests.drills.outcome import Outcome


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*DRILLS, []], help=", ".join(DRILLS))
    parser.add_argument("--minutes", type=float, help="how long drills under load last")
    parser.add_argument("--nights", type=float, help="how many nights are spent")
    parser.add_argument("--stores", type=float, help="how many stores a night has")
    parser.add_argument("--rows", type=float, help="of how many nights more MLflow's tables get rows")
    parser.add_argument("--out", type=Path, help="append the results to this page")
    given = parser.parse_args()
    held = True
    for name in given.names or DRILLS:
        outcome = run(name, minutes=given.minutes, nights=given.nights, stores=given.stores, rows=given.rows)
        sys.stdout.write(f"{outcome}\n")
        if given.out:
            with given.out.open("a", encoding="utf-8") as page:
                page.write(f"\n{outcome.markdown()}")
        held &= outcome.held
    sys.exit(0 if held else 1)


def run(name: str, **options: float | None) -> Outcome:
    """Run a drill with those of the options that are given and that it knows."""
    drill = importlib.import_module(f"tests.drills.{DRILLS[name]}").drill
    known = inspect.signature(drill).parameters
    given = {option: value for option, value in options.items() if value and option in known}
    with tempfile.TemporaryDirectory(prefix=f"drill-{name}-") as folder:
        outcome: Outcome = drill(Path(folder), **given)
    return outcome


if __name__ == "__main__":
    main()
