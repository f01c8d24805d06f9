"""What an image's Python environment is made of, as CycloneDX JSON, from its lock file: `python docker/sbom.py`.

Nothing is asked of any network. The base image's own packages are listed by whoever makes that image.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("pipeline", "serving")
# A name, a version, perhaps a marker; then the hashes of its files on lines of their own.
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def read_lock(path: Path) -> list[dict[str, Any]]:
    """Read a lock file's packages: name, version, hashes."""
    packages: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        pin = _PIN.match(line)
        if pin:
            packages.append({"name": pin[1], "version": pin[2], "marker": pin[3] or "", "hashes": []})
        elif packages:
            packages[-1]["hashes"] += _HASH.findall(line)
    return packages


def make(image: str) -> dict[str, Any]:
    """Make the list of one image; the same lock file gives the same bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    components = []
    for package in read_lock(ROOT / "locks" / f"{image}.txt"):
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', package['name']).lower()}@{package['version']}"
        component = {"type": "library", "bom-ref": purl, "name": package["name"], "version": package["version"]}
        # A lock names the hash of each file that may be installed; which one is depends on the platform.
        files = [{"name": "foreact:accepted-sha256", "value": digest} for digest in sorted(package["hashes"])]
        marker = [{"name": "foreact:marker", "value": package["marker"]}] if package["marker"] else []
        components.append({**component, "purl": purl, "properties": marker + files})
    root = {"type": "container", "bom-ref": f"foreact-{image}", "name": f"foreact-{image}"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**root, "version": project["version"]}},
        "components": components,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [c["bom-ref"] for c in components]}],
    }


def main() -> None:
    """Write sbom-<image>.json for each image into the folder named, or build/."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        path = folder / f"sbom-{image}.json"
        path.write_text(json.dumps(make(image), indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
