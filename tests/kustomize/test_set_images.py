"""An overlay's digests are set, and what is no digest of a registry is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kustomize.manifests import ROOT

IMAGES = ("pipeline", "serving")
DIGEST = "sha256:" + "1" * 64
ZEROS = "sha256:" + "0" * 64


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "kustomize"
    shutil.copytree(ROOT / "overlays", folder / "overlays")
    shutil.copy(ROOT / "set_images.py", folder)
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "set_images.py", *arguments], capture_output=True, text=True, check=False
    )


def refer(digest: str) -> list[str]:
    return [f"registry.example/foreact-{name}@{digest}" for name in IMAGES]


def test_digests_are_set_in_one_overlay(copy: Path) -> None:
    dev, prod = (copy / "overlays" / overlay / "kustomization.yaml" for overlay in ("dev", "prod"))
    before = prod.read_text()
    assert run(copy, "dev", *refer(DIGEST)).returncode == 0
    assert prod.read_text() == before
    assert dev.read_text().count(DIGEST) == 2
    assert "newName: registry.example/foreact-serving\n" in dev.read_text()
    assert run(copy, "dev", "--check").returncode == 0


@pytest.mark.parametrize("references", [["foreact-pipeline@", "foreact-serving@"], [], refer(DIGEST)[:1]])
def test_what_was_not_pushed_is_refused(copy: Path, references: list[str]) -> None:
    answer = run(copy, "dev", *references)
    assert answer.returncode == 1
    assert "make image push" in answer.stderr


def test_zeros_are_refused(copy: Path) -> None:
    given, unset = run(copy, "dev", *refer(ZEROS)), run(copy, "dev", "--check")
    assert (given.returncode, unset.returncode) == (1, 1)
    assert "make deploy" in given.stderr
    assert "make image push deploy OVERLAY=dev" in unset.stderr


def test_an_overlay_of_tags_has_no_digest_to_set(copy: Path) -> None:
    assert run(copy, "local", "--check").returncode == 0
    assert "no digest of foreact-pipeline to set" in run(copy, "local", *refer(DIGEST)).stderr
