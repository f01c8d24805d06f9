"""An overlay's digests are set, and taken over from another overlay."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kustomize.manifests import ROOT

IMAGES = ("pipeline", "serving")
DIGEST = "sha256:" + "1" * 64


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "kustomize"
    shutil.copytree(ROOT / "overlays", folder / "overlays")
    shutil.copy(ROOT / "set_images.py", folder)
    shutil.copytree(ROOT.parent / "compiled", tmp_path / "compiled")
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "set_images.py", *arguments], capture_output=True, text=True, check=False
    )


def test_set_and_promote(copy: Path) -> None:
    dev, prod = (copy / "overlays" / overlay / "kustomization.yaml" for overlay in ("dev", "prod"))
    before = prod.read_text()
    assert run(copy, "dev", *(f"registry.example/foreact-{name}@{DIGEST}" for name in IMAGES)).returncode == 0
    assert prod.read_text() == before
    assert run(copy, "prod", "--like", "dev").returncode == 0
    for file in (dev, prod):
        assert file.read_text().count(DIGEST) == 2
        assert "newName: registry.example/foreact-serving\n" in file.read_text()


def test_the_nightly_run_takes_the_deployed_image(copy: Path, tmp_path: Path) -> None:
    """As `docker build` writes it into the serving image, so that Kubeflow keeps one version of both."""
    assert run(copy, "dev", *(f"registry.example/foreact-{name}@{DIGEST}" for name in IMAGES)).returncode == 0
    assert run(copy, "dev", "--pipelines", str(tmp_path / "made")).returncode == 0
    image = f"registry.example/foreact-pipeline@{DIGEST}"
    for name in ("retrain-all", "retrain-store"):
        [sed] = re.findall(r"sed -i \"(s\|.*\|)\" /compiled", (ROOT.parent / "Dockerfile").read_text())
        source = ROOT.parent / "compiled" / f"{name}.yaml"
        built = subprocess.run(
            ["sed", sed.replace("${PIPELINE_IMAGE}", image), source], capture_output=True, text=True, check=True
        ).stdout
        assert (tmp_path / "made" / f"{name}.yaml").read_text() == built
        assert f"image: {image}" in built


def test_an_overlay_without_digests_has_no_pipelines_of_its_own(copy: Path, tmp_path: Path) -> None:
    assert "names no digest" in run(copy, "local", "--pipelines", str(tmp_path / "made")).stderr


def test_what_was_not_pushed_is_refused(copy: Path) -> None:
    answer = run(copy, "dev", "foreact-pipeline@", "foreact-serving@")
    assert answer.returncode == 1
    assert "push first" in answer.stderr
