"""What an image is made of, as CycloneDX JSON: `python docker/sbom.py [FOLDER] [IMAGE=REFERENCE ...]`.

The Python environment is listed from the lock files. The base's own packages are known once an image is built: given
its reference (pipeline=foreact-pipeline:1a2b3c), the image is looked into, and nothing of it is run. Nothing is asked
of any network.
"""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("pipeline", "serving")
# A name, a version, perhaps a marker; then the hashes of its files on lines of their own.
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$")
# Installed beside what its lock file names, from that of the developers: see the Dockerfile.
BESIDES = {"pipeline": "kfp"}
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


def read_base(reference: str) -> list[dict[str, Any]]:
    """List what a built image has from its base: Debian's packages, and a Python that the base built itself."""
    found = json.loads(_docker("image", "inspect", reference))[0]
    container = _docker("create", "--network", "none", reference).decode().strip()
    try:
        release = dict(re.findall(r'^(\w+)="?([^"\n]*)', _copy(container, "/usr/lib/os-release"), re.MULTILINE))
        status = _copy(container, "/var/lib/dpkg/status")
    finally:
        _docker("rm", container)
    packages = [dict(re.findall(r"^(\S+): (.*)", entry, re.MULTILINE)) for entry in status.split("\n\n")]
    distro = f"{release['ID']}-{release['VERSION_ID']}"
    components = [
        _component(
            p["Package"],
            p["Version"],
            f"pkg:deb/{release['ID']}/{quote(p['Package'])}@{quote(p['Version'])}?arch={p['Architecture']}&distro={distro}",
        )
        for p in packages
        if p.get("Status", "").endswith(" installed")
    ]
    python = dict(variable.split("=", 1) for variable in found["Config"]["Env"]).get("PYTHON_VERSION")
    return components + ([_component("python", python, f"pkg:generic/python@{python}")] if python else [])


def _docker(*arguments: str) -> bytes:
    return subprocess.run([os.environ.get("DOCKER", "docker"), *arguments], check=True, capture_output=True).stdout


def _copy(container: str, path: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(_docker("cp", "--follow-link", f"{container}:{path}", "-"))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        assert file is not None  # noqa: S101 - a regular file, or docker had failed
        return file.read().decode()


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def make(image: str, base: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Make the list of one image; without what its base holds, it says so. The same input gives the same bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    components = []
    besides = [package for package in read_lock(ROOT / "locks" / "dev.txt") if package["name"] == BESIDES.get(image)]
    for package in read_lock(ROOT / "locks" / f"{image}.txt") + besides:
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', package['name']).lower()}@{package['version']}"
        # A lock names the hash of each file that may be installed; which one is depends on the platform.
        files = [{"name": "foreact:accepted-sha256", "value": digest} for digest in sorted(package["hashes"])]
        marker = [{"name": "foreact:marker", "value": package["marker"]}] if package["marker"] else []
        found = _component(package["name"], package["version"], purl)
        components.append({**found, "properties": marker + files})
    components += base or []
    root = {"type": "container", "bom-ref": f"foreact-{image}", "name": f"foreact-{image}"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**root, "version": project["version"]}},
        "components": components,
        "compositions": [
            {"aggregate": "incomplete" if base is None else "complete", "assemblies": [root["bom-ref"]]},
        ],
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [c["bom-ref"] for c in components]}],
    }


def main() -> None:
    """Write sbom-<image>.json for each image into the folder named, or build/."""
    built = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    folder = next((Path(argument) for argument in sys.argv[1:] if "=" not in argument), ROOT / "build")
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        path = folder / f"sbom-{image}.json"
        base = read_base(built[image]) if image in built else None
        path.write_text(json.dumps(make(image, base), indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
