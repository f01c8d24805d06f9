"""The configuration is one that the provider takes, holds to the policies, and fits the manifests."""

import re
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from foreact.publications.contract import (
    CURRENT,
    GROUPS,
    OWED,
    challenger_name,
    manifest_name,
    object_name,
    packed_model_name,
)
from foreact.runs.ledger import RUNS
from foreact.telemetry.notices import FOLDER as NOTICES
from serving.dashboard.login import CALLBACK
from tests.kustomize.manifests import ROOT as MANIFESTS
from tests.kustomize.manifests import Object, load
from tests.terraform import policies
from tests.terraform.configuration import (
    FOLDER,
    Block,
    find_dangling,
    find_faults,
    get,
    parse,
    resources,
)


@pytest.mark.parametrize(
    ("kind", "name", "body"), list(resources(parse())), ids=[f"{kind}.{name}" for kind, name, _ in resources(parse())]
)
def test_the_provider_takes(kind: str, name: str, body: Block) -> None:
    assert list(find_faults(kind, body)) == []


def test_faults_are_named() -> None:
    body = get(parse(), "azurerm_storage_account")
    body["shared_acess_key"] = True
    del body["account_tier"]
    body["blob_properties"][0]["versions"] = True
    found = set(find_faults("azurerm_storage_account", body))
    assert found == {"shared_acess_key is unknown", "account_tier is missing", "blob_properties.versions is unknown"}


def test_every_reference_leads_somewhere() -> None:
    configuration = parse()
    assert list(find_dangling(configuration)) == []
    get(configuration, "azurerm_role_assignment", "pull")["scope"] = "${azurerm_container_registry.that.id}"
    assert list(find_dangling(configuration)) == ["azurerm_container_registry.that"]


def test_every_name_is_given_once() -> None:
    configuration = parse()
    for kind in ("locals", "variable", "output"):
        names = Counter(name for entry in configuration[kind] for name in entry)
        assert [name for name, times in names.items() if times > 1] == [], kind


@pytest.mark.parametrize("rule", policies.EVERY, ids=lambda rule: rule.__name__)
def test_holds(rule: policies.Rule) -> None:
    assert list(rule(parse())) == []


def put(kind: str, name: str, **fields: object) -> Callable[[policies.Configuration], None]:
    return lambda configuration: get(configuration, kind, name).update(fields)


BREAKS: list[tuple[policies.Rule, str, Callable[[policies.Configuration], object]]] = [
    (policies.storage, "shared_access_key", put("azurerm_storage_account", "this", shared_access_key_enabled=True)),
    (
        policies.storage,
        "open to the internet",
        put("azurerm_key_vault", "this", network_acls=[{"default_action": "Allow"}]),
    ),
    (
        policies.machines,
        "from the internet",
        put("azurerm_network_interface", "runner", ip_configuration=[{"public_ip_address_id": "x"}]),
    ),
    (policies.machines, "takes a password", put("azurerm_linux_virtual_machine", "runner", admin_password="x")),
    (
        policies.cluster,
        "local_account_disabled",
        put("azurerm_kubernetes_cluster", "this", local_account_disabled=False),
    ),
    (policies.cluster, "batch: costs", put("azurerm_kubernetes_cluster_node_pool", "batch", min_count=1)),
    (policies.roles, "Owner is too much", put("azurerm_role_assignment", "pull", role_definition_name="Owner")),
    (
        policies.roles,
        "whole group",
        put("azurerm_role_assignment", "pull", scope="${azurerm_resource_group.this.id}"),
    ),
    (
        policies.roles,
        "serving may write forecasts, which is not its own",
        lambda configuration: get(configuration, "azurerm_role_assignment", "serving_manifest").pop("condition"),
    ),
    (
        policies.roles,
        "pipelines may write service, which is not its own",
        put(
            "azurerm_role_assignment",
            "pipelines_forecasts",
            scope='${azurerm_storage_container.this["service"].id}',
        ),
    ),
    (
        policies.roles,
        "pipelines may write all",
        put("azurerm_role_assignment", "pipelines_forecasts", scope="${azurerm_storage_account.this.id}"),
    ),
    (
        policies.expiry,
        "generated: never expires",
        lambda configuration: get(configuration, "azurerm_key_vault_secret", "generated").pop("expiration_date"),
    ),
    (
        policies.accesses,
        "StorageDelete is not logged",
        lambda configuration: get(configuration, "azurerm_monitor_diagnostic_setting", "storage")["enabled_log"].pop(),
    ),
    (
        policies.audit,
        "keeps events for 400 days",
        put("azurerm_storage_container_immutability_policy", "audit", immutability_period_in_days=30),
    ),
    (policies.passwords, "use value_wo", put("azurerm_key_vault_secret", "generated", value="x")),
    (
        policies.passwords,
        "output x: tells",
        lambda configuration: configuration["output"].append(
            {"x": {"value": "${azurerm_storage_account.this.primary_access_key}"}}
        ),
    ),
    (
        policies.passwords,
        "make it ephemeral",
        lambda configuration: configuration["resource"].append({"random_password": {"x": {}}}),
    ),
    (
        policies.passwords,
        "service account's token",
        put("azuread_application", "service", password=[{"display_name": "x"}]),
    ),
    (policies.registry, "admits more", put("azurerm_container_registry", "this", admin_enabled=True)),
    (
        policies.database,
        "open to the internet",
        put("azurerm_postgresql_flexible_server", "this", public_network_access_enabled=True),
    ),
    (
        policies.database,
        "by a mistake",
        put("azurerm_postgresql_flexible_server_database", "mlflow", lifecycle=[{"prevent_destroy": False}]),
    ),
]


@pytest.mark.parametrize(("rule", "named", "change"), BREAKS, ids=[f"{b[0].__name__}-{b[1][:20]}" for b in BREAKS])
def test_what_breaks_a_policy_is_named(
    rule: policies.Rule, named: str, change: Callable[[policies.Configuration], object]
) -> None:
    configuration = parse()
    change(configuration)
    assert any(named in sentence for sentence in rule(configuration))


def test_every_policy_has_been_seen_to_bite() -> None:
    assert {rule for rule, *_ in BREAKS} == set(policies.EVERY)


def may_write(assignment: str, name: str) -> bool:
    condition = get(parse(), "azurerm_role_assignment", assignment)["condition"]
    return any(fnmatchcase(name, pattern) for pattern in re.findall(r"StringLike '(\S+)'", condition))


def test_serving_may_write_what_it_writes_beside_its_own() -> None:
    for written in (CURRENT, manifest_name(1), f"{GROUPS}0a1b.json", RUNS, f"{NOTICES}run-failed.json"):
        assert may_write("serving_manifest", written), written
    assert not may_write("serving_manifest", object_name("run", "S1", "forecasts"))


def test_workers_may_write_what_a_run_makes_and_nothing_that_makes_it_visible() -> None:
    for name in (object_name, packed_model_name, challenger_name):
        written = name("run", "S1", "totals") if name is object_name else name("run", "S1")
        assert may_write("training_objects", written), written
    for other in (CURRENT, manifest_name(1), RUNS, f"{OWED}run.json"):
        assert not may_write("training_objects", other), other


def test_a_private_cluster_and_a_key_of_ones_own_are_options() -> None:
    options = {name: body for entry in parse()["variable"] for name, body in entry.items()}
    assert options["private_cluster"]["default"] is options["customer_managed_key"]["default"] is False
    cluster = get(parse(), "azurerm_kubernetes_cluster")
    assert cluster["private_cluster_enabled"] == "${var.private_cluster}"
    local = {name: value for entry in parse()["locals"] for name, value in entry.items()}
    assert local["api_ips"].startswith("${var.private_cluster ? null :")
    assert get(parse(), "azurerm_storage_account_customer_managed_key")["key_vault_key_id"].endswith("versionless_id}")


def test_the_runner_may_call_the_clusters_api() -> None:
    [access] = get(parse(), "azurerm_kubernetes_cluster")["api_server_access_profile"]
    assert "local.api_ips" in access["authorized_ip_ranges"]
    local = {name: value for entry in parse()["locals"] for name, value in entry.items()}
    assert "azurerm_public_ip.runner" in local["api_ips"]
    assert "var.allowed_ips" in local["api_ips"]


@pytest.mark.kubectl
@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_identities_fit_the_overlays(overlay: str) -> None:
    items = load(MANIFESTS / "overlays" / overlay)
    wanted = {
        f"system:serviceaccount:{item['metadata']['namespace']}:{item['metadata']['name']}"
        for item in items
        if item["kind"] == "ServiceAccount"
        and "azure.workload.identity/client-id" in item["metadata"].get("annotations", {})
    }
    text = (FOLDER / "identities.tf").read_text()
    assert set(re.findall(r"system:serviceaccount:[\w:-]+", text)) == wanted


@pytest.mark.kubectl
def test_people_come_back_to_the_service_and_its_account_is_trusted() -> None:
    [web] = get(parse(), "azuread_application", "service")["web"]
    assert web["redirect_uris"] == [f"https://${{var.hostname}}{CALLBACK}"]
    trusted = get(parse(), "azuread_application_federated_identity_credential", "serving")
    account = next(item for item in load(MANIFESTS / "overlays/prod") if is_account_of_serving(item))
    space, name = account["metadata"]["namespace"], account["metadata"]["name"]
    assert trusted["subject"] == f"system:serviceaccount:{space}:{name}"
    assert trusted["issuer"] == "${azurerm_kubernetes_cluster.this.oidc_issuer_url}"


def is_account_of_serving(item: Object) -> bool:
    return bool(item["kind"] == "ServiceAccount" and item["metadata"]["name"] == "foreact-serving")


@pytest.mark.kubectl
@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_vault_has_what_the_overlays_read(overlay: str) -> None:
    local = {name: value for entry in parse()["locals"] for name, value in entry.items()}
    readers = local["readers"]
    asked: dict[str, set[str]] = {}
    for item in load(MANIFESTS / "overlays" / overlay):
        if item["kind"] == "SecretProviderClass":
            who = {"foreact-pipelines": "pipelines", "ray": "pipelines"}
            who |= dict.fromkeys(("foreact-serving", "foreact-probe"), "serving")
            names = re.findall(r"objectName: (\S+)", item["spec"]["parameters"]["objects"])
            asked.setdefault(who.get(item["metadata"]["name"], item["metadata"]["name"]), set()).update(names)
    assert asked == {workload: set(names) for workload, names in readers.items()}


def test_the_output_has_every_value_of_the_overlays() -> None:
    text = (FOLDER / "outputs.tf").read_text()
    output = set(re.findall(r"^    ([A-Z_]+)=", text, re.MULTILINE))
    for overlay in ("local", "dev", "prod"):
        lines = (MANIFESTS / "overlays" / overlay / "values/values.env").read_text().splitlines()
        assert {line.split("=")[0] for line in lines if not line.startswith("#")} == output
