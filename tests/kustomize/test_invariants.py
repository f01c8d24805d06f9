"""The rules hold in every overlay, and each of them names what breaks it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from sqlalchemy.engine import make_url
from uvicorn import Config

from foreact.kubeflow.package import FOLDER as COMPILED
from foreact.kubeflow.package import Package
from serving.api.refreshes import HEARTBEAT_SECONDS
from serving.auth.oidc import read_grants
from serving.auth.principal import Role
from serving.connections import MOST_CONNECTIONS, SECONDS
from serving.dashboard.login import CALLBACK
from tests.kustomize import invariants
from tests.kustomize.manifests import OVERLAYS, ROOT, Object, build, load, namespace

pytestmark = pytest.mark.kubectl


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("rule", invariants.EVERYWHERE, ids=lambda rule: rule.__name__)
def test_holds(rule: invariants.Rule, overlay: str) -> None:
    assert list(rule(load(ROOT / "overlays" / overlay))) == []


@pytest.mark.parametrize("rule", invariants.EVERYWHERE, ids=lambda rule: rule.__name__)
def test_holds_for_the_evaluation_job(rule: invariants.Rule) -> None:
    job = load(ROOT / "platform/evaluate")
    for item in job:
        item["spec"]["template"]["spec"]["containers"][0]["image"] += ":dev"
    assert list(rule([*load(ROOT / "overlays/prod"), *job])) == []


def test_prod_runs_digests_only() -> None:
    assert list(invariants.digests(load(ROOT / "overlays/prod"))) == []


def test_each_party_is_somebody_else() -> None:
    for overlay in ("dev", "prod"):
        lines = (ROOT / "overlays" / overlay / "values/values.env").read_text().splitlines()
        assert {line.split("=")[0] for line in lines} >= {
            "SERVING_CLIENT_ID",
            "PIPELINES_CLIENT_ID",
            "TRAINING_CLIENT_ID",
            "MLFLOW_CLIENT_ID",
        }


@pytest.mark.parametrize("file", [ROOT / "overlays/local/secrets.sh", ROOT.parent / "terraform/secrets.tf"])
def test_mlflow_is_told_of_a_database_that_its_image_has_a_driver_for(file: Path) -> None:
    [scheme] = re.findall(r"\"(postgresql\S*)://", file.read_text())
    driver = make_url(f"{scheme}://host/database").get_dialect().import_dbapi().__name__
    locked = (ROOT.parent / "locks/pipeline.txt").read_text()
    assert re.search(rf"(?m)^{driver}(-binary)?==", locked)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_values_reach_their_places(overlay: str) -> None:
    text = build(ROOT / "overlays" / overlay)
    assert "foreact.invalid" not in text
    assert "https://foreact.blob.core.windows.net" not in text
    lines = (ROOT / "overlays" / overlay / "values/values.env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    configs = [item["data"] for item in load(ROOT / "overlays" / overlay) if item["kind"] == "ConfigMap"]
    for key in ("BLOB_URL", "MODELS_URL", "PUBLIC_URL"):
        assert any(values[key] in config.values() for config in configs), key


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_refresh_is_given_all_that_its_pipeline_needs(overlay: str) -> None:
    config = get(load(ROOT / "overlays" / overlay), "ConfigMap", "foreact-serving")["data"]
    given = json.loads(config["FOREACT_REFRESH_ARGUMENTS"])
    Package.load(COMPILED / "retrain-store.yaml").check_parameters({**given, "store": "S1"})
    assert f"HISTORY_URL={given['history']}\n" in (ROOT / "overlays" / overlay / "values/values.env").read_text()


def test_kubeflow_and_ray_reach_the_api_of_a_laptops_cluster() -> None:
    items = load(ROOT / "overlays/local")
    for name in ("foreact-pipelines", "ray"):
        ports = {
            port["port"]
            for rule in get(items, "NetworkPolicy", name)["spec"]["egress"]
            for port in rule.get("ports", [])
        }
        assert {6443, 8443, 16443} <= ports


def test_what_signs_for_itself_names_itself() -> None:
    ingress = get(load(ROOT / "overlays/local"), "Ingress", "foreact-serving")
    assert ingress["metadata"]["annotations"]["cert-manager.io/common-name"] == ingress["spec"]["rules"][0]["host"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_service_knows_who_signs_people_in_and_what_they_may(overlay: str) -> None:
    items = load(ROOT / "overlays" / overlay)
    config = get(items, "ConfigMap", "foreact-serving")["data"]
    assert config["FOREACT_OIDC_ISSUER"].startswith("https://")
    assert config["FOREACT_OIDC_CLIENT_ID"]
    grants = read_grants(config["FOREACT_OIDC_ROLES"])
    assert {Role.admin, Role.planner} <= {grant.to_role() for grant in grants.values()}
    proofs = {"FOREACT_OIDC_CLIENT_SECRET", "FOREACT_OIDC_ASSERTION_FILE"}
    assert len(proofs & {variable["name"] for variable in container(items)["env"]}) == 1


def test_dex_is_the_issuer_that_the_service_trusts_and_sends_people_back_to_it() -> None:
    items = load(ROOT / "overlays/local")
    config, place = (get(items, "ConfigMap", each)["data"] for each in ("dex", "foreact-serving"))
    dex = yaml.safe_load(config["config.yaml"])
    assert dex["issuer"] == place["FOREACT_OIDC_ISSUER"]
    [client] = dex["staticClients"]
    assert client["id"] == place["FOREACT_OIDC_CLIENT_ID"]
    assert client["redirectURIs"] == [place["FOREACT_PUBLIC_URL"] + CALLBACK]
    groups = {group for person in dex["staticPasswords"] for group in person["groups"]}
    assert groups == read_grants(place["FOREACT_OIDC_ROLES"]).keys()
    # Its name, in the cluster and before it, and its certificate.
    service, ingress = get(items, "Service", "dex"), get(items, "Ingress", "dex")
    assert dex["issuer"] == f"https://{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    [shown] = ingress["spec"]["tls"]
    assert [f"https://{host}" for host in shown["hosts"]] == [dex["issuer"]]
    assert ingress["metadata"]["annotations"]["cert-manager.io/common-name"] == shown["hosts"][0]
    mounted = get(items, "Deployment", "foreact-serving")["spec"]["template"]["spec"]["volumes"]
    assert shown["secretName"] in {volume.get("secret", {}).get("secretName") for volume in mounted}
    given = {variable["name"]: variable.get("value", "") for variable in container(items)["env"]}
    assert "groups" in given["FOREACT_OIDC_SCOPES"].split()
    # No password, and no hash of one.
    assert all(set(person) & {"hash", "hashFromEnv"} == {"hashFromEnv"} for person in dex["staticPasswords"])


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_gateway_does_not_cut_what_planners_follow(overlay: str) -> None:
    [rule] = get(load(ROOT / "overlays" / overlay), "HTTPRoute", "foreact-serving")["spec"]["rules"]
    assert rule["timeouts"] == {"request": "0s"}


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_gateway_waits_no_longer_than_the_service_and_leaves_it_room(overlay: str) -> None:
    items = load(ROOT / "overlays" / overlay)
    outside, inside = (get(items, kind, "foreact")["spec"] for kind in ("ClientTrafficPolicy", "BackendTrafficPolicy"))
    assert [target["name"] for target in outside["targetRefs"]] == ["foreact"]
    waits = outside["timeout"]["http"]
    assert waits["requestHeadersReceivedTimeout"] == f"{SECONDS['head']:.0f}s"
    assert waits["requestReceivedTimeout"] == f"{SECONDS['body']:.0f}s"
    assert float(waits["streamIdleTimeout"].rstrip("s")) > HEARTBEAT_SECONDS
    assert float(inside["timeout"]["http"]["connectionIdleTimeout"].rstrip("s")) < Config("app").timeout_keep_alive
    proxies = get(items, "EnvoyProxy", "foreact")["spec"]["provider"]["kubernetes"]["envoyDeployment"]["replicas"]
    assert proxies * inside["circuitBreaker"]["perEndpoint"]["maxConnections"] < MOST_CONNECTIONS


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_gateway_asks_again_only_what_reached_nobody(overlay: str) -> None:
    items = load(ROOT / "overlays" / overlay)
    policy, gateway = (get(items, kind, "foreact")["spec"] for kind in ("BackendTrafficPolicy", "Gateway"))
    assert policy["retry"]["retryOn"]["triggers"] == ["connect-failure"]
    assert [target["name"] for target in policy["targetRefs"]] == [get(items, "Gateway", "foreact")["metadata"]["name"]]
    proxies = get(items, "EnvoyProxy", gateway["infrastructure"]["parametersRef"]["name"])["spec"]
    assert proxies["provider"]["kubernetes"]["envoyDeployment"]["replicas"] >= 2


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_gateway_has_the_address_that_terraform_made(overlay: str) -> None:
    infrastructure = get(load(ROOT / "overlays" / overlay), "Gateway", "foreact")["spec"]["infrastructure"]
    assert infrastructure["annotations"] == {
        "service.beta.kubernetes.io/azure-pip-name": f"foreact-{overlay}-gateway",
        "service.beta.kubernetes.io/azure-load-balancer-resource-group": f"foreact-{overlay}-gateway",
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_deploy_reaches_the_ray_cluster(overlay: str) -> None:
    cluster = get(load(ROOT / "overlays" / overlay), "RayCluster", "foreact")["spec"]
    assert cluster["upgradeStrategy"]["type"] == "Recreate"


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_probe_asks_by_the_planners_address_with_a_key_from_the_vault(overlay: str) -> None:
    items = load(ROOT / "overlays" / overlay)
    pod = get(items, "CronJob", "foreact-probe")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [probe] = pod["containers"]
    assert probe["command"] == ["foreact", "probe", "$(FOREACT_PUBLIC_URL)"]
    assert [variable["name"] for variable in probe["env"]] == ["FOREACT_API_KEY"]
    settings = get(items, "ConfigMap", "foreact-serving")
    assert probe["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert settings["data"]["FOREACT_PUBLIC_URL"].startswith("https://")
    # Each secret it mounts is its own: the service starts without it.
    [volume] = pod["volumes"]
    vault = get(items, "SecretProviderClass", volume["csi"]["volumeAttributes"]["secretProviderClass"])
    assert [secret["secretName"] for secret in vault["spec"]["secretObjects"]] == ["foreact-probe"]
    serving = get(items, "SecretProviderClass", "foreact-serving")
    assert vault["spec"]["parameters"]["clientID"] == serving["spec"]["parameters"]["clientID"]


def test_prod_sleeps_on_the_floor_that_the_evening_sets() -> None:
    items = load(ROOT / "overlays/prod")
    evening = get(items, "CronJob", "foreact-evening")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    floor = evening["containers"][0]["env"][0]["value"]
    assert get(items, "HorizontalPodAutoscaler", "foreact-serving")["spec"]["minReplicas"] == int(floor)


def get(items: list[Object], kind: str, wanted: str, space: str = "") -> Object:
    return next(
        item
        for item in items
        if item["kind"] == kind and item["metadata"]["name"].startswith(wanted) and namespace(item).startswith(space)
    )


def container(items: list[Object], kind: str = "Deployment", wanted: str = "foreact-serving") -> Object:
    found: Object = get(items, kind, wanted)["spec"]["template"]["spec"]["containers"][0]
    return found


def put(path: str, value: object, kind: str = "Deployment", wanted: str = "foreact-serving") -> Callable[..., None]:
    """Write one field of one object."""

    def change(items: list[Object]) -> None:
        place = get(items, kind, wanted)
        *way, last = path.split(".")
        for step in way:
            place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value

    return change


POD = "spec.template.spec"
BREAKS: list[tuple[invariants.Rule, str, Callable[[list[Object]], object]]] = [
    (invariants.probes, "foreact/foreact-serving", lambda items: container(items).pop("readinessProbe")),
    (invariants.probes, "share a path", put(f"{POD}.containers.0.startupProbe.httpGet.path", "/healthz")),
    (invariants.limits, "mlflow/mlflow", lambda items: container(items, wanted="mlflow")["resources"].pop("limits")),
    (invariants.restricted, "may run as root", put(f"{POD}.securityContext.runAsNonRoot", False)),
    (
        invariants.restricted,
        "not confined",
        put(f"{POD}.containers.0.securityContext.readOnlyRootFilesystem", False),
    ),
    (invariants.restricted, "not restricted", put("metadata.labels", {}, "Namespace", "foreact-gateway")),
    (invariants.restricted, "reaches into the node", put(f"{POD}.volumes.0", {"name": "x", "hostPath": {"path": "/"}})),
    (
        invariants.identities,
        "both or neither",
        put("spec.template.metadata.labels", {"app.kubernetes.io/name": "foreact-serving"}),
    ),
    (invariants.identities, "is not there", put(f"{POD}.serviceAccountName", "nobody")),
    (invariants.identities, "carry a token", put(f"{POD}.automountServiceAccountToken", True)),
    (invariants.selectors, "Service foreact/foreact-serving", put("spec.selector", {"app": "x"}, "Service")),
    (invariants.selectors, "PodDisruptionBudget", put("spec.selector.matchLabels", {"a": "x"}, "PodDisruptionBudget")),
    (invariants.selectors, "own pods", put("spec.selector.matchLabels", {"app": "x"})),
    (invariants.selectors, "scales nothing", put("spec.scaleTargetRef.name", "x", "HorizontalPodAutoscaler")),
    (invariants.selectors, "leads to no service", put("spec.rules.0.backendRefs.0.name", "x", "HTTPRoute", "foreact")),
    (invariants.images, "names no version", put(f"{POD}.containers.0.image", "foreact-serving:latest")),
    (invariants.digests, "has no digest", put(f"{POD}.containers.0.image", "registry/foreact-serving:1.0")),
    (invariants.disruption, "under an autoscaler", put("spec.replicas", 3)),
    (invariants.disruption, "must let one pod go", put("spec", {"minAvailable": 2}, "PodDisruptionBudget")),
    (
        invariants.policies,
        "Namespace -/foreact:",
        lambda items: items.remove(get(items, "NetworkPolicy", "default-deny", "foreact")),
    ),
    (
        invariants.policies,
        "Deployment mlflow/mlflow",
        lambda items: items.remove(get(items, "NetworkPolicy", "mlflow")),
    ),
    (
        invariants.secrets,
        "Secret foreact/x",
        lambda items: items.append(
            {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x", "namespace": "foreact"}}
        ),
    ),
    (invariants.secrets, "belongs in a secret", put("data.FOREACT_SESSION_SECRET", "x", "ConfigMap")),
    (invariants.secrets, "is written out", put(f"{POD}.containers.0.env", [{"name": "A_TOKEN", "value": "x"}])),
    (invariants.rights, "grants more", put("rules.0.verbs", ["*"], "Role", "foreact-pipelines")),
    (
        invariants.rights,
        "is not there",
        put("rules.0.resourceNames.0", "foreact-serving-abc", "Role", "foreact-scaler"),
    ),
    (invariants.rights, "beyond its namespace", put("kind", "ClusterRole", "Role", "foreact-pipelines")),
    (
        invariants.current,
        "no stable version",
        put("apiVersion", "policy/v1beta1", "PodDisruptionBudget"),
    ),
    (invariants.current, "serviceAccount is deprecated", put(f"{POD}.serviceAccount", "x")),
    (invariants.settings, "FOREACT_TYPO is no setting", put("data.FOREACT_TYPO", "x", "ConfigMap")),
    (
        invariants.references,
        "ConfigMap nowhere is not there",
        put(f"{POD}.containers.0.envFrom.0", {"configMapRef": {"name": "nowhere"}}),
    ),
    (
        invariants.references,
        "no vault provides Secret nowhere",
        put(f"{POD}.containers.0.envFrom.1", {"secretRef": {"name": "nowhere"}}),
    ),
]


@pytest.mark.parametrize(("rule", "named", "change"), BREAKS, ids=[f"{b[0].__name__}-{b[1][:24]}" for b in BREAKS])
def test_what_is_broken_is_named(rule: invariants.Rule, named: str, change: Callable[[list[Object]], object]) -> None:
    items = load(ROOT / "overlays/prod")
    change(items)
    assert any(named in sentence for sentence in rule(items))


def test_every_rule_has_been_seen_to_bite() -> None:
    assert {rule for rule, *_ in BREAKS} == {*invariants.EVERYWHERE, invariants.digests}


def test_local_needs_no_cloud() -> None:
    for item in load(ROOT / "overlays/local"):
        text = yaml.safe_dump(item)
        if item["kind"] not in {"ConfigMap", "ServiceAccount"}:
            assert "azurecr.io" not in text
            assert "SecretProviderClass" not in text
