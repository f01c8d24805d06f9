"""A fresh clone, as far as make reads it, whose environment is set up already."""

import shutil
from pathlib import Path

from tests.kustomize.manifests import ROOT


def make_clone(folder: Path) -> Path:
    """Copy what make reads into a new folder, and return it."""
    folder.mkdir()
    for name in ("Makefile", "deploy.mk", "local.mk", "pyproject.toml"):
        shutil.copy(ROOT.parent / name, folder)
    shutil.copytree(ROOT, folder / "kustomize")
    # By the commands of the environment that tests run in.
    for name in ("locks/dev.txt", ".venv/.ready"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    return folder
