"""The operations image is made of parts that are pinned, and that fit what they are for."""

import re
from pathlib import Path

from tests.kustomize.manifests import ROOT as MANIFESTS
from tests.security.dependencies import check

FOLDER = Path(__file__).parents[2] / "docker/operations"


def read_module(part: str, module: str) -> str:
    """Return the version of a module that a part is built from."""
    found = re.search(rf"(?m)^\s*(?:require )?{re.escape(module)} v(\S+)", (FOLDER / part / "go.mod").read_text())
    assert found is not None
    assert f"{module} v{found[1]} h1:" in (FOLDER / part / "go.sum").read_text()
    return found[1]


def test_kubectl_is_at_most_one_minor_from_every_cluster() -> None:
    minor = int(read_module("kubernetes", "k8s.io/kubectl").split(".")[1])
    table = (MANIFESTS / "README.md").read_text()
    served = re.search(r"(?m)^\| Kubernetes \| 1\.(\d+) to 1\.(\d+) \|", table)
    assert served is not None
    assert int(served[2]) - 1 <= minor <= int(served[1]) + 1


def test_opentofu_is_the_one_that_terraform_is_checked_with() -> None:
    version = read_module("tofu", "github.com/opentofu/opentofu")
    assert f"OpenTofu {version}" in (FOLDER.parents[1] / "terraform/README.md").read_text()
    assert "docker/operations/tofu" in (FOLDER.parents[1] / "terraform/validate.sh").read_text()


def test_az_is_pinned_by_hashes_and_new_enough_for_the_runbook() -> None:
    assert list(check([FOLDER / "az.txt"])) == []
    found = re.search(r"(?m)^azure-cli==(\d+)\.(\d+)", (FOLDER / "az.txt").read_text())
    wanted = re.search(r"az (\d+)\.(\d+) or newer", (MANIFESTS / "README.md").read_text())
    assert found is not None
    assert wanted is not None
    assert tuple(map(int, found.groups())) >= tuple(map(int, wanted.groups()))


def test_the_image_copies_what_is_there() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    copied = re.findall(r"(?m)^COPY (?!--from)(\S+) ", text)
    assert copied
    assert all((FOLDER / name).exists() for name in copied)
    assert all(f"/built/{tool}" in text for tool in ("tofu", "kubectl", "kubelogin"))
