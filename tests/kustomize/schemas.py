"""Schemas of what is not built into Kubernetes, from the modules that define them; nothing of them is copied here."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.kustomize.manifests import LOADER, Object
from tests.parts import require

# The versions that kustomize/README.md installs.
MODULES = {
    "gateway.networking.k8s.io": ("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard"),
    "gateway.envoyproxy.io": ("github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-helm/charts/crds/crds/generated"),
    "cert-manager.io": ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds"),
    "ray.io": ("github.com/ray-project/kuberay/ray-operator@v1.6.2", "config/crd/bases"),
    "monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd",
    ),
    "secrets-store.csi.x-k8s.io": ("sigs.k8s.io/secrets-store-csi-driver@v1.5.5", "config/crd/bases"),
}
# Azure's monitor took the Prometheus Operator's schema under a group of its own.
SAME = {"azmonitoring.coreos.com": "monitoring.coreos.com"}


@functools.cache
def fetch(group: str) -> Path:
    """Return the folder of a group's definitions in the module cache."""
    (go,) = require("go", install="Go 1.24 or newer")
    module, folder = MODULES[group]
    done = subprocess.run([go, "mod", "download", "-json", module], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert "Dir" in answer, f"{module}: {answer.get('Error')}"
    return Path(answer["Dir"]) / folder


@functools.cache
def find(group: str, version: str, kind: str) -> dict[str, Any]:
    """Return the schema of one custom kind, closed to fields that it does not know."""
    group = SAME.get(group, group)
    for file in sorted(fetch(group).glob("*.yaml")):
        text = file.read_text()
        for definition in yaml.load_all(text, LOADER) if f"    kind: {kind}\n" in text else ():
            if not definition or definition.get("kind") != "CustomResourceDefinition":
                continue
            spec = definition["spec"]
            if spec["group"] == group and spec["names"]["kind"] == kind:
                for served in spec["versions"]:
                    if served["name"] == version and served["served"]:
                        schema: dict[str, Any] = close(served["schema"]["openAPIV3Schema"])
                        schema["properties"]["metadata"] = {"type": "object"}
                        return schema
    raise AssertionError(f"{group}/{version} has no {kind}")


def close(schema: Any) -> Any:
    """Refuse unknown fields, as the API server drops them, and read the dialect's own words."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: close(value) for key, value in schema.items() if key != "format"}
    if isinstance(closed.get("pattern"), str):
        # Go lets a flag stand behind the anchor, Python does not.
        closed["pattern"] = closed["pattern"].replace("^(?i)", "(?i)^")
    if isinstance(closed.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


def check(item: Object) -> None:
    """Validate one custom object."""
    group, version = item["apiVersion"].split("/")
    jsonschema.validate(item, find(group, version, item["kind"]))


def is_custom(item: Object) -> bool:
    """Return whether an object's kind is not built in."""
    group = item["apiVersion"].rpartition("/")[0]
    return group in MODULES or group in SAME
