"""Secrets, dependencies, bills of materials, and the threats that tests stand against."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.scan import ROOT, kept_files, scan

LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def test_nothing_that_git_keeps_holds_a_secret() -> None:
    assert list(scan(kept_files())) == []


@pytest.mark.parametrize(
    "line",
    [
        "AccountKey=" + "Ab1/" * 22,
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


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_dependency_is_pinned_with_hashes_and_names_no_index(lock: Path) -> None:
    text = lock.read_text()
    pins = re.findall(r"^[A-Za-z0-9][^\n]*", text, re.MULTILINE)
    assert pins
    assert all("==" in pin for pin in pins), [pin for pin in pins if "==" not in pin]
    assert all(
        re.search(r"--hash=sha256:[0-9a-f]{64}", part) for part in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    )
    assert "://" not in text.replace("https://", "://") or not re.search(r"--(extra-)?index-url|@ https?://", text)


@pytest.mark.parametrize("image", ["pipeline", "serving"])
def test_the_bill_of_materials_lists_every_locked_package(image: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "docker" / "sbom.py"), str(tmp_path)], check=True, capture_output=True)
    bill = json.loads((tmp_path / f"sbom-{image}.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / "locks" / f"{image}.txt").read_text(), re.M))
    assert {(part["name"], part["version"]) for part in bill["components"]} == locked
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
