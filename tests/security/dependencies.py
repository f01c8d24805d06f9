"""Looks at every locked dependency, offline; `python -m tests.security.dependencies` names what must not be.

Each is pinned to one version with its hashes, names no index, is the same in all locks, and comes under a licence that
lets an Apache-2.0 project ship it. What is known to be vulnerable only a network can tell: `make audit`.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

LOCKS = sorted((Path(__file__).parents[2] / "locks").glob("*.txt"))
ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)")
UNFIT = re.compile(
    r"(?<!L)(?<!Lesser )(GPL|General Public License)|AGPL|SSPL|Server Side Public|Commons Clause|BUSL", re.I
)


def check(locks: list[Path]) -> Iterator[str]:
    """Name each fault by lock file and package."""
    # A package may have a version for each Python; the first lock that names it says which.
    versions: dict[str, tuple[str, set[str]]] = {}
    for lock in locks:
        text = lock.read_text("utf-8")
        if re.search(r"^\s*--(extra-)?(index-url|find-links)|@ https?://", text, re.MULTILINE):
            yield f"{lock.name}: names where packages come from"
        for entry in ENTRY.split(text)[1:]:
            pinned = PIN.match(entry)
            if not pinned:
                yield f"{lock.name}: {entry.split()[0]} is not pinned to one version"
                continue
            name, version = pinned.groups()
            if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry):
                yield f"{lock.name}: {name} has no hash"
            first, there = versions.setdefault(name, (lock.name, set()))
            if first == lock.name:
                there.add(version)
            elif version not in there:
                yield f"{lock.name}: {name} is {version}, but {', '.join(sorted(there))} in {first}"
    for name in sorted(versions):
        if unfit := UNFIT.search(licence(name)):
            yield f"{name}: comes under {unfit.group()}"


def licence(name: str) -> str:
    """Return what an installed package says of its licence; nothing of one for another platform."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return ""
    classifiers = [line for line in told.get_all("Classifier") or [] if line.startswith("License")]
    return told.get("License-Expression") or "; ".join(classifiers) or (told.get("License") or "").split("\n")[0]


def main() -> None:
    """Check the locks of this checkout."""
    found = list(check(LOCKS))
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
