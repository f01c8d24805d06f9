"""AKS' own gateway can stand in for ours: everything else of a place stays as it is."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.kustomize import invariants, schemas
from tests.kustomize.clones import make_clone
from tests.kustomize.manifests import Object, load, name, namespace
from tests.kustomize.test_invariants import get

pytestmark = pytest.mark.kubectl
# What AKS installs for Kubernetes 1.34 and newer.
DEFINITIONS = "sigs.k8s.io/gateway-api@v1.3.0"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone whose prod has the component."""
    clone = make_clone(tmp_path_factory.mktemp("app-routing") / "clone")
    shutil.copytree(Path(__file__).parents[2] / "observability", clone / "observability")
    file = clone / "kustomize/overlays/prod/kustomization.yaml"
    file.write_text(file.read_text().replace("components:\n", "components:\n  - ../../components/app-routing\n"))
    return clone


@pytest.fixture(scope="module")
def items(clone: Path) -> list[Object]:
    return load(clone / "kustomize/overlays/prod")


@pytest.fixture
def aks_definitions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let objects be checked against the Gateway API that AKS installs."""
    group = "gateway.networking.k8s.io"
    monkeypatch.setitem(schemas.MODULES, group, (DEFINITIONS, schemas.MODULES[group][1]))
    for cached in (schemas.fetch, schemas.find):
        cached.cache_clear()
    yield
    for cached in (schemas.fetch, schemas.find):
        cached.cache_clear()


def test_the_gateway_is_one_that_aks_serves(items: list[Object], aks_definitions: None) -> None:
    gateway = get(items, "Gateway", "foreact")
    assert gateway["spec"]["gatewayClassName"] == "approuting-istio"
    assert gateway["spec"]["infrastructure"]["annotations"] == {
        "service.beta.kubernetes.io/azure-pip-name": "foreact-prod-gateway",
        "service.beta.kubernetes.io/azure-load-balancer-resource-group": "foreact-prod-gateway",
    }
    for item in items:
        if item["apiVersion"].startswith("gateway.networking.k8s.io/"):
            schemas.check(item)


def test_nothing_is_left_that_only_envoy_gateway_knows(items: list[Object]) -> None:
    assert [name(item) for item in items if item["apiVersion"].startswith("gateway.envoyproxy.io/")] == []


def test_its_options_are_those_that_the_add_on_lets_through(items: list[Object]) -> None:
    gateway = get(items, "Gateway", "foreact")
    reference = gateway["spec"]["infrastructure"]["parametersRef"]
    options = get(items, reference["kind"], reference["name"], "foreact-gateway")["data"]
    assert options.keys() == {"deployment", "service"}
    assert yaml.safe_load(options["deployment"])["spec"]["template"]["spec"].keys() == {"topologySpreadConstraints"}
    service = yaml.safe_load(options["service"])
    assert service["spec"] == {"externalTrafficPolicy": "Local"}
    assert set(service["metadata"]["annotations"].values()) == {None}


def test_its_proxies_reach_the_service(items: list[Object]) -> None:
    space = get(items, "Namespace", "foreact-gateway")["metadata"]["labels"]
    rule = get(items, "NetworkPolicy", "foreact-serving", "foreact")["spec"]["ingress"][0]
    allowed = [source["namespaceSelector"]["matchLabels"] for source in rule["from"]]
    assert any(wanted.items() <= space.items() for wanted in allowed)
    out = get(items, "NetworkPolicy", "gateway", "foreact-gateway")["spec"]["egress"]
    assert any(
        target.get("podSelector", {}).get("matchLabels") == {"app.kubernetes.io/name": "foreact-serving"}
        for way in out
        for target in way["to"]
    )


@pytest.mark.parametrize("rule", invariants.EVERYWHERE, ids=lambda rule: rule.__name__)
def test_every_rule_holds(items: list[Object], rule: invariants.Rule) -> None:
    """But for the one namespace whose pods are not ours."""
    ours = [item for item in items if name(item) != "Namespace -/foreact-gateway"]
    assert list(rule(ours)) == []
    assert all(namespace(item) != "foreact-gateway" or item["kind"] != "Deployment" for item in items)


def test_make_installs_no_gateway_then(clone: Path) -> None:
    make = ["make", "--dry-run", "platform", "OVERLAY=prod"]
    plan = subprocess.run(make, cwd=clone, capture_output=True, text=True, check=True).stdout
    assert "upstream/envoy" not in plan
    assert "upstream/cert-manager-gateway" in plan
