"""For which processors images are built, and by which digest they are deployed."""

import re
import subprocess

import pytest

from tests.kustomize.manifests import ROOT


def plan(*arguments: str) -> list[str]:
    """Return the commands of docker that make would run."""
    make = ["make", "--dry-run", *arguments, "TAG=t", "DOCKER=docker"]
    done = subprocess.run(make, cwd=ROOT.parent, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "docker " in line]


def test_what_stays_here_is_for_this_machine() -> None:
    assert all("--platform" not in line for line in plan("image"))


@pytest.mark.parametrize("target", ["image", "push"])
def test_what_leaves_is_for_the_clusters_nodes(target: str) -> None:
    builds = [line for line in plan(target, "REGISTRY=registry.example") if line.startswith("docker build")]
    assert builds
    assert all("docker build --platform linux/amd64 " in line for line in builds)


def test_several_are_pushed_and_deployed_as_one() -> None:
    several = ("REGISTRY=registry.example", "PLATFORM=linux/amd64,linux/arm64")
    first, second = plan("push", *several)
    for line, name in ((first, "pipeline"), (second, "serving")):
        assert line.startswith("docker buildx build --platform linux/amd64,linux/arm64 ")
        assert re.search(rf"--target {name} --push .*--tag registry.example/foreact-{name}:t ", line)
    digest = r"registry.example/foreact-{0}@\$\(docker buildx imagetools inspect .* registry.example/foreact-{0}:t\)"
    assert re.search("PIPELINE_IMAGE=" + digest.format("pipeline"), second)
    (deployed,) = plan("deploy", *several)
    for name in ("pipeline", "serving"):
        assert re.search(digest.format(name), deployed)
