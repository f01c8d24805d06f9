"""Every kustomization builds, and every object is one that the API server takes."""

from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.kustomize import schemas
from tests.kustomize.manifests import ROOT, find_kustomizations, load, name

pytestmark = pytest.mark.kubectl
# The oldest Kubernetes that the runbook installs on.
VERSION = "1.34"


@pytest.mark.parametrize("folder", find_kustomizations(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_objects_are_valid(folder: Path) -> None:
    seen = set()
    for item in load(folder):
        assert name(item) not in seen
        seen.add(name(item))
        try:
            if schemas.is_custom(item):
                schemas.check(item)
            else:
                kubernetes_validate.validate(item, VERSION, strict=True)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as problem:
            pytest.fail(f"{name(item)}: {problem}")
    assert seen or folder.name == "values"


def test_an_unknown_field_is_named() -> None:
    cluster = next(item for item in load(ROOT / "platform/ray") if item["kind"] == "RayCluster")
    cluster["spec"]["headGroupSpec"]["tempalte"] = {}
    with pytest.raises(jsonschema.ValidationError, match="tempalte"):
        schemas.check(cluster)
    service = next(item for item in load(ROOT / "base") if item["kind"] == "Service")
    service["spec"]["selektor"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="selektor"):
        kubernetes_validate.validate(service, VERSION, strict=True)


def test_every_component_is_used_or_builds_on_the_base(tmp_path: Path) -> None:
    used = "".join(file.read_text() for file in (ROOT / "overlays").rglob("kustomization.yaml"))
    components = [*(ROOT / "components").glob("*/kustomization.yaml"), ROOT.parent / "observability/kustomization.yaml"]
    for component in sorted(path.parent for path in components):
        if f"components/{component.name}\n" in used:
            continue
        overlay = tmp_path / component.name
        overlay.mkdir()
        # Kustomize takes relative paths only.
        up = Path(*[".."] * (len(overlay.resolve().parts) - 1))
        text = {
            "resources": [str(up / (ROOT / "base").relative_to("/"))],
            "components": [str(up / component.relative_to("/"))],
        }
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(text))
        for item in load(overlay):
            if schemas.is_custom(item):
                schemas.check(item)
            else:
                kubernetes_validate.validate(item, VERSION, strict=True)


def test_kustomizations_use_no_deprecated_field() -> None:
    old = {"bases", "commonLabels", "patchesStrategicMerge", "patchesJson6902", "vars", "imageTags"}
    for file in ROOT.rglob("kustomization.yaml"):
        assert not old & yaml.safe_load(file.read_text()).keys(), file
