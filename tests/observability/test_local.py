"""What a laptop's cluster has to look at fits together, and fits the service."""

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.kustomize.manifests import ROOT, Object, load, namespace, pods, selects
from tests.parts import require

FOLDER = Path(__file__).parents[2] / "observability/local"
pytestmark = pytest.mark.kubectl


@pytest.fixture(scope="module")
def items() -> list[Object]:
    return load(ROOT / "overlays/local")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def find_container_port(items: list[Object], service: str, space: str, port: int) -> tuple[dict[str, str], str]:
    """Return the labels of the pods behind a service's port, and the port's name there."""
    (found,) = (
        item
        for item in items
        if item["kind"] == "Service" and (item["metadata"]["name"], namespace(item)) == (service, space)
    )
    (target,) = (entry["targetPort"] for entry in found["spec"]["ports"] if entry["port"] == port)
    (made,) = (
        made
        for made in pods(items)
        if namespace(made.owner) == space and selects({"matchLabels": found["spec"]["selector"]}, made.labels)
    )
    return made.labels, target


def may_enter(items: list[Object], space: str, labels: dict[str, str], port: str, source: Object) -> bool:
    """Return whether a policy lets a source that it names in to that port."""
    rules = [
        rule
        for item in items
        if item["kind"] == "NetworkPolicy"
        and namespace(item) == space
        and item["spec"]["podSelector"]
        and selects(item["spec"]["podSelector"], labels)
        for rule in item["spec"].get("ingress", [])
    ]
    return any(source in rule["from"] and port in {entry["port"] for entry in rule["ports"]} for rule in rules)


def test_prometheus_takes_its_configuration() -> None:
    [promtool] = require("promtool", install="go build -C observability/promtool, as in .ci/run")
    command = [promtool, "check", "config", "--syntax-only", FOLDER / "prometheus/prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_prometheus_scrapes_the_service_by_the_token_that_it_mounts(items: list[Object]) -> None:
    (job,) = read("prometheus/prometheus.yaml")["scrape_configs"]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    service, space = host.split(".")[:2]
    labels, name = find_container_port(items, service, space, int(port))
    role = {"namespaceSelector": {"matchLabels": {"foreact.io/role": "monitoring"}}}
    assert may_enter(items, space, labels, name, role)
    (made,) = (made for made in pods(items) if made.owner["metadata"]["name"] == "prometheus")
    mounted = {mount["mountPath"] for mount in made.containers[0]["volumeMounts"]}
    assert str(Path(job["authorization"]["credentials_file"]).parent) in mounted
    script = (ROOT / "overlays/local/secrets.sh").read_text()
    assert (
        f"make_secret monitoring prometheus --from-literal={Path(job['authorization']['credentials_file']).name}="
        in script
    )


def test_grafana_reaches_what_it_shows(items: list[Object]) -> None:
    grafana = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "grafana"}}}
    for source in read("grafana/datasources.yaml")["datasources"]:
        url = urlsplit(source["url"])
        assert url.hostname is not None
        assert url.port is not None
        labels, port = find_container_port(items, url.hostname, "monitoring", url.port)
        assert may_enter(items, "monitoring", labels, port, grafana)


@pytest.mark.parametrize(
    ("name", "space"), [("foreact-serving-settings", "foreact"), ("foreact-pipelines", "kubeflow")]
)
def test_service_and_tasks_send_where_jaeger_listens(items: list[Object], name: str, space: str) -> None:
    (config,) = (
        item
        for item in items
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith(name) and namespace(item) == space
    )
    url = urlsplit(config["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert url.hostname == "jaeger.monitoring.svc.cluster.local"
    labels, port = find_container_port(items, "jaeger", "monitoring", url.port or 0)
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["foreact", "kubeflow"]}
    assert may_enter(items, "monitoring", labels, port, {"namespaceSelector": {"matchExpressions": [expression]}})
    receivers = read("jaeger/jaeger.yaml")["receivers"]
    assert receivers["otlp"]["protocols"]["http"]["endpoint"].endswith(f":{url.port}")


def test_jaegers_pipelines_name_parts_that_are_configured() -> None:
    settings = read("jaeger/jaeger.yaml")
    service = settings["service"]
    assert set(service["extensions"]) == set(settings["extensions"])
    for pipeline in service["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(settings[part])
    # Both of what the service and the steps send.
    assert set(service["pipelines"]) == {"traces", "logs"}
    assert (
        settings["exporters"]["jaeger_storage_exporter"]["trace_storage"]
        in settings["extensions"]["jaeger_storage"]["backends"]
    )
