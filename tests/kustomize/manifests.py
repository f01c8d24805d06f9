"""Builds kustomizations and finds one's way in what they make."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.parts import require

ROOT = Path(__file__).parents[2] / "kustomize"
INSTALL = "kubectl 1.27 or newer, or kustomize 5 (go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1)"
OVERLAYS = ("local", "dev", "prod")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Object = dict[str, Any]


def find_kustomizations() -> list[Path]:
    """Return every folder that can be built by itself and offline, components aside."""
    files = (file for file in ROOT.rglob("kustomization.yaml") if "kind: Component" not in file.read_text())
    return sorted(file.parent for file in files if not is_from_upstream(file.parent))


def is_from_upstream(folder: Path) -> bool:
    """Return whether a kustomization needs what is fetched from GitHub."""
    way = folder.relative_to(ROOT).parts
    return (way[0] == "upstream" and way[-1] not in {"azure", "envoy-class"}) or (
        way[0] == "overlays" and way[-1] == "kubeflow"
    )


@functools.cache
def build(folder: Path) -> str:
    """Build one kustomization."""
    done = run_kustomize(folder)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return done.stdout


def run_kustomize(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Let kustomize build a folder."""
    kustomize = shutil.which("kustomize")
    command = [kustomize, "build"] if kustomize else [*require("kubectl", install=INSTALL), "kustomize"]
    return subprocess.run(
        [*command, str(folder)], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def load(folder: Path) -> list[Object]:
    """Build one kustomization and give a fresh copy of its objects."""
    return [item for item in yaml.load_all(build(folder), LOADER) if item]


def name(item: Object) -> str:
    """Name an object as messages do: kind namespace/name."""
    metadata = item["metadata"]
    return f"{item['kind']} {metadata.get('namespace', '-')}/{metadata['name']}"


def namespace(item: Object) -> str:
    """Return the object's namespace."""
    return str(item["metadata"].get("namespace", ""))


@dataclass(frozen=True)
class Pods:
    """The pods that an object makes: where the template sits, and whether they are to run for ever."""

    owner: Object
    template: Object
    lasting: bool

    @property
    def spec(self) -> Object:
        """Return the pods' spec."""
        spec: Object = self.template["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        """Return the pods' labels."""
        labels: dict[str, str] = self.template.get("metadata", {}).get("labels", {})
        return labels

    @property
    def containers(self) -> list[Object]:
        """Return the pods' containers, those of initialisation first."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(items: list[Object]) -> Iterator[Pods]:
    """Find everything that makes pods."""
    for item in items:
        match item["kind"]:
            case "Deployment" | "StatefulSet":
                yield Pods(item, item["spec"]["template"], lasting=True)
            case "Job":
                yield Pods(item, item["spec"]["template"], lasting=False)
            case "CronJob":
                yield Pods(item, item["spec"]["jobTemplate"]["spec"]["template"], lasting=False)
            case "RayCluster":
                for group in (item["spec"]["headGroupSpec"], *item["spec"]["workerGroupSpecs"]):
                    yield Pods(item, group["template"], lasting=True)


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Return whether a label selector takes these labels."""
    if not all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(
        labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
        if rule["operator"] == "In"
    )
