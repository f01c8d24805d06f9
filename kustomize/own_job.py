"""Make the evaluation's Job somebody's own: a name that no other has, the image that runs here, and what was asked.

Reads what `kubectl kustomize` builds and writes what `kubectl create` takes.
"""

import getpass
import json
import re
import sys
from datetime import UTC, datetime

# Kubernetes takes no longer names of Jobs, and the time is part of them.
LONGEST_PERSON = 30


def make_own_job(manifest: str, image: str, person: str, options: list[str], now: datetime) -> str:
    """Return the manifest of a Job for a person, with further options of `foreact evaluate`."""
    whose = re.sub(r"[^a-z0-9]+", "-", person.lower())[:LONGEST_PERSON].strip("-") or "nobody"
    named = manifest.replace("evaluate-nobody", f"evaluate-{whose}-{now:%m%d-%H%M%S}")
    owned = named.replace("value: nobody", f"value: {json.dumps(person)}")
    placed = owned.replace("image: foreact-pipeline\n", f"image: {image}\n")

    def add_options(last: re.Match[str]) -> str:
        return last[0] + "".join(f"{last[1]}- {json.dumps(option)}\n" for option in options)

    return re.sub(r"( *)- /tmp/foreact\n", add_options, placed)


if __name__ == "__main__":
    sys.stdout.write(make_own_job(sys.stdin.read(), sys.argv[1], getpass.getuser(), sys.argv[2:], datetime.now(UTC)))
