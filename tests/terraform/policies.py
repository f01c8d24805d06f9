"""What must hold of everything that is made on Azure, each rule a generator of sentences that name what breaks it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from foreact.settings import KEEP_DAYS
from tests.terraform.configuration import get, resources

Configuration = dict[str, list[Any]]
Rule = Callable[[Configuration], Iterator[str]]
ALLOWED_ROLES = {
    "AcrPull",
    "AcrPush",
    "Azure Kubernetes Service Cluster User Role",
    "Azure Kubernetes Service RBAC Cluster Admin",
    "Grafana Admin",
    "Key Vault Certificate User",
    "Key Vault Certificates Officer",
    "Key Vault Crypto Officer",
    "Key Vault Crypto Service Encryption User",
    "Key Vault Crypto User",
    "Key Vault Secrets Officer",
    "Key Vault Secrets User",
    "Managed Identity Operator",
    "Monitoring Data Reader",
    "Network Contributor",
    "Reader",
    "Storage Blob Data Contributor",
    "Storage Blob Data Reader",
}


# Which containers each workload writes without a condition; nobody but the service writes where its own things are.
WRITERS = {"serving": {"service", "audit"}, "pipelines": {"forecasts"}, "mlflow": {"models"}}


def storage(configuration: Configuration) -> Iterator[str]:
    """Blob Storage knows identities only, and the internet reaches nothing."""
    account = get(configuration, "azurerm_storage_account")
    wanted = {"shared_access_key_enabled": False, "allow_nested_items_to_be_public": False, "local_user_enabled": False}
    for key, value in wanted.items():
        if account.get(key) is not value:
            yield f"azurerm_storage_account.this: {key} must be {value}"
    for kind, name, body in resources(configuration):
        for rules in [*body.get("network_rules", []), *body.get("network_acls", [])]:
            if rules["default_action"] != "Deny":
                yield f"{kind}.{name}: is open to the internet"
        if kind == "azurerm_storage_container" and body.get("container_access_type") != "private":
            yield f"{kind}.{name}: is public"


def machines(configuration: Configuration) -> Iterator[str]:
    """No machine of ours has an address on the internet, or takes a password."""
    for kind, name, body in resources(configuration):
        if kind == "azurerm_network_interface" and any("public_ip_address_id" in ip for ip in body["ip_configuration"]):
            yield f"{kind}.{name}: is reached from the internet"
        if kind == "azurerm_linux_virtual_machine" and ("admin_password" in body or "admin_ssh_key" not in body):
            yield f"{kind}.{name}: takes a password"


def cluster(configuration: Configuration) -> Iterator[str]:
    """People and pods come by Entra identities, and both pools scale by themselves."""
    body = get(configuration, "azurerm_kubernetes_cluster")
    for key in ("oidc_issuer_enabled", "workload_identity_enabled", "local_account_disabled"):
        if body.get(key) is not True:
            yield f"azurerm_kubernetes_cluster.this: {key} must be true"
    for block in ("oms_agent", "monitor_metrics", "key_vault_secrets_provider"):
        if block not in body:
            yield f"azurerm_kubernetes_cluster.this: has no {block}"
    pools = {"system": body["default_node_pool"][0]}
    pools["batch"] = get(configuration, "azurerm_kubernetes_cluster_node_pool", "batch")
    for name, pool in pools.items():
        if pool.get("auto_scaling_enabled") is not True:
            yield f"pool {name}: does not scale"
    nodes = next(entry["batch_nodes"] for entry in configuration["variable"] if "batch_nodes" in entry)
    none_unless_said = "min = optional(number, 0)" in nodes["type"] and "min" not in nodes["default"]
    if pools["batch"].get("min_count") != "${var.batch_nodes.min}" or not none_unless_said:
        yield "pool batch: costs money while nothing trains"


def roles(configuration: Configuration) -> Iterator[str]:
    """Nobody has a role that is wider than a known need."""
    for kind, name, body in resources(configuration):
        if kind != "azurerm_role_assignment":
            continue
        if body["role_definition_name"] not in ALLOWED_ROLES:
            yield f"{kind}.{name}: {body['role_definition_name']} is too much"
        # In the gateway's group is nothing but its address.
        group = "azurerm_resource_group" in body["scope"] and body["scope"] != "${azurerm_resource_group.gateway.id}"
        if group or "subscription" in body["scope"]:
            yield f"{kind}.{name}: reaches a whole group"
        who = re.search(r'workload\["(\w+)"\]', body["principal_id"])
        if who and body["role_definition_name"] == "Storage Blob Data Contributor" and "condition" not in body:
            for container in _containers(body) - WRITERS[who[1]]:
                yield f"{kind}.{name}: {who[1]} may write {container}, which is not its own"


def _containers(body: dict[str, Any]) -> set[str]:
    """Return the containers that a role is assigned for."""
    named = re.findall(r'"(\w+)"', body["scope"]) or re.findall(r'"(\w+)"', body.get("for_each", ""))
    return set(named or ["all"])


def passwords(configuration: Configuration) -> Iterator[str]:
    """No secret is in the state, in a file or in an output."""
    for kind, name, body in resources(configuration):
        if kind.startswith("random_"):
            yield f"{kind}.{name}: is kept in the state; make it ephemeral"
        if kind in {"azuread_application_password", "azuread_service_principal_password"} or "password" in body:
            yield f"{kind}.{name}: is kept in the state; trust a service account's token instead"
        if kind == "azurerm_key_vault_secret" and ("value" in body or "value_wo" not in body):
            yield f"{kind}.{name}: its value is kept in the state; use value_wo"
        if "administrator_password" in body:
            yield f"{kind}.{name}: its password is kept in the state; use administrator_password_wo"
    for entry in configuration["output"]:
        for name, body in entry.items():
            text = json.dumps(body["value"])
            if re.search(r"random_password|access_key|connection_string|kube_config|key_vault_secret|_wo\b", text):
                yield f"output {name}: tells a secret"


def registry(configuration: Configuration) -> Iterator[str]:
    """The registry knows identities only."""
    body = get(configuration, "azurerm_container_registry")
    if body.get("admin_enabled") is not False or body.get("anonymous_pull_enabled") is not False:
        yield "azurerm_container_registry.this: admits more than identities"


def database(configuration: Configuration) -> Iterator[str]:
    """The database is reachable from the cluster's network alone, and is not lost by a mistake."""
    body = get(configuration, "azurerm_postgresql_flexible_server")
    if body.get("public_network_access_enabled") is not False or "delegated_subnet_id" not in body:
        yield "azurerm_postgresql_flexible_server.this: is open to the internet"
    kept = get(configuration, "azurerm_postgresql_flexible_server_database", "mlflow").get("lifecycle", [{}])
    if kept[0].get("prevent_destroy") is not True:
        yield "azurerm_postgresql_flexible_server_database.mlflow: can be destroyed by a mistake"


def expiry(configuration: Configuration) -> Iterator[str]:
    """Every secret ends, by this configuration or by whoever gives it."""
    for kind, name, body in resources(configuration):
        if kind == "azurerm_key_vault_secret":
            given = any("expiration_date" in each.get("ignore_changes", []) for each in body.get("lifecycle", []))
            if "expiration_date" not in body and not given:
                yield f"{kind}.{name}: never expires"


def accesses(configuration: Configuration) -> Iterator[str]:
    """Whoever reads, writes or deletes a blob, or reads a secret, leaves a trace."""
    wanted = {
        "${azurerm_storage_account.this.id}/blobServices/default": {"StorageRead", "StorageWrite", "StorageDelete"},
        "${azurerm_key_vault.this.id}": {"AuditEvent"},
    }
    for kind, _, body in resources(configuration):
        if kind == "azurerm_monitor_diagnostic_setting":
            written = {log["category"] for log in body["enabled_log"]}
            wanted[body["target_resource_id"]] = wanted.get(body["target_resource_id"], set()) - written
    for target, missing in wanted.items():
        for category in sorted(missing):
            yield f"{target}: {category} is not logged"


def audit(configuration: Configuration) -> Iterator[str]:
    """The audit log cannot be changed for as long as the service keeps it."""
    body = get(configuration, "azurerm_storage_container_immutability_policy", "audit")
    if body["immutability_period_in_days"] != KEEP_DAYS:
        yield f"azurerm_storage_container_immutability_policy.audit: the service keeps events for {KEEP_DAYS} days"
    if body["storage_container_resource_manager_id"] != '${azurerm_storage_container.this["audit"].id}':
        yield "azurerm_storage_container_immutability_policy.audit: holds for another container"


EVERY: tuple[Rule, ...] = (storage, machines, cluster, roles, passwords, expiry, registry, database, accesses, audit)
