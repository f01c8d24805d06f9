"""Secrets, dependencies, bills of materials, and the threats that tests stand against."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security import dependencies
from tests.security.scan import ROOT, kept_files, scan


def test_nothing_that_git_keeps_holds_a_secret() -> None:
    assert list(scan(kept_files())) == []


@pytest.mark.parametrize(
    "line",
    [
        "AccountKey=" + "Ab1/" * 22,
        "client_secret: '" + "abc~d.efg_" * 3 + "'",
        "password = '" + "q7Zr9Lx2Vb5Nt8Kd3Wm1" + "'",
        "https://user:" + "hunter2pass@host/path",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "?sv=1&sig=" + "a1B2c3D4e5" * 4,
        "gh" + "p_" + "a1B2c3D4e5" * 3,
    ],
)
def test_planted_secrets_are_found_and_never_repeated(line: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.txt"
    path.write_text(f"one\n{line}\n")
    [found] = scan([path])
    assert found.startswith(f"{path}:2: ")
    assert line not in found


def test_every_dependency_is_pinned_hashed_and_fit_to_ship() -> None:
    assert list(dependencies.check(dependencies.LOCKS)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("httpx>=0.28\n", "httpx>=0.28 is not pinned"),
        ("httpx==0.28.1\n", "httpx has no hash"),
        (f"--index-url https://example.org\nhttpx==1 --hash=sha256:{'0' * 64}\n", "names where packages come from"),
        (f"httpx==1 --hash=sha256:{'0' * 64}\n", "httpx is 1, but"),
    ],
)
def test_a_dependency_that_must_not_be_is_named(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "spoilt.txt").write_text(text)
    assert any(fault in line for line in dependencies.check([*dependencies.LOCKS, tmp_path / "spoilt.txt"]))


def test_a_licence_that_cannot_be_shipped_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for unfit in ("GPL-3.0-or-later", "GNU Affero General Public License v3", "SSPL-1.0"):
        monkeypatch.setattr(dependencies, "licence", lambda name, unfit=unfit: unfit if name == "httpx" else "MIT")
        assert [line.split(":")[0] for line in dependencies.check(dependencies.LOCKS)] == ["httpx"]
    monkeypatch.setattr(dependencies, "licence", lambda _: "GNU Library or Lesser General Public License (LGPL)")
    assert list(dependencies.check(dependencies.LOCKS)) == []


@pytest.mark.parametrize("image", ["pipeline", "serving"])
def test_the_bill_of_materials_lists_every_locked_package(image: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "docker" / "sbom.py"), str(tmp_path)], check=True, capture_output=True)
    bill = json.loads((tmp_path / f"sbom-{image}.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / "locks" / f"{image}.txt").read_text(), re.M))
    if image == "pipeline":
        # Installed beside the others, from the developers' lock file.
        locked |= set(re.findall(r"^(kfp)==(\S+)", (ROOT / "locks" / "dev.txt").read_text(), re.M))
    assert {(part["name"], part["version"]) for part in bill["components"]} == locked
    assert [each["aggregate"] for each in bill["compositions"]] == ["incomplete"]
    assert all(part["purl"].startswith("pkg:pypi/") and part["properties"] for part in bill["components"])


def test_each_threat_names_tests_that_there_are() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    rows = re.findall(r"^\| (T\d+) \|.*\| (.*?) \|$", text, re.MULTILINE)
    assert len(rows) >= 10
    for threat, tests in rows:
        named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", tests)
        assert named, threat
        for path, name in named:
            assert (ROOT / path).is_file(), path
            assert not name or re.search(rf"def {name}\b|class {name}\b", (ROOT / path).read_text()), f"{path}::{name}"
