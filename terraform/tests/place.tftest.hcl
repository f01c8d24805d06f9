# Plans against a pretended Azure: what would be made, and for whom.
mock_provider "azuread" {
  mock_resource "azuread_application" {
    defaults = {
      id        = "/applications/88888888-8888-8888-8888-888888888888"
      client_id = "99999999-9999-9999-9999-999999999999"
    }
  }
  mock_resource "azuread_service_principal" {
    defaults = {
      object_id = "88888888-8888-8888-8888-888888888888"
    }
  }
}
mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = {
      tenant_id = "11111111-1111-1111-1111-111111111111"
      object_id = "22222222-2222-2222-2222-222222222222"
    }
  }
  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id           = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
      client_id    = "44444444-4444-4444-4444-444444444444"
      principal_id = "55555555-5555-5555-5555-555555555555"
    }
  }
  mock_resource "azurerm_monitor_action_group" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Insights/actionGroups/foreact"
    }
  }
  mock_resource "azurerm_storage_account" {
    defaults = {
      id                    = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Storage/storageAccounts/foreact"
      primary_blob_endpoint = "https://foreact.blob.core.windows.net/"
      primary_blob_host     = "foreact.blob.core.windows.net"
    }
  }
  mock_resource "azurerm_storage_container" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Storage/storageAccounts/foreact/blobServices/default/containers/forecasts"
    }
  }
  mock_resource "azurerm_kubernetes_cluster" {
    defaults = {
      id              = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.ContainerService/managedClusters/foreact"
      oidc_issuer_url = "https://issuer.example/"
    }
  }
  mock_resource "azurerm_virtual_network" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Network/virtualNetworks/foreact"
    }
  }
  mock_resource "azurerm_resource_group" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact"
    }
  }
  mock_resource "azurerm_public_ip" {
    defaults = {
      id         = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Network/publicIPAddresses/foreact"
      ip_address = "203.0.113.7"
    }
  }
  mock_resource "azurerm_nat_gateway" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Network/natGateways/foreact"
    }
  }
  mock_resource "azurerm_network_interface" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Network/networkInterfaces/foreact"
    }
  }
  mock_resource "azurerm_dashboard_grafana" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Dashboard/grafana/foreact"
    }
  }
  mock_resource "azurerm_subnet" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Network/virtualNetworks/foreact/subnets/nodes"
    }
  }
  mock_resource "azurerm_private_dns_zone" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Network/privateDnsZones/foreact.postgres.database.azure.com"
    }
  }
  mock_resource "azurerm_key_vault" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.KeyVault/vaults/foreact"
    }
  }
  mock_resource "azurerm_key_vault_secret" {
    defaults = {
      resource_versionless_id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.KeyVault/vaults/foreact/secrets/s"
    }
  }
  mock_resource "azurerm_key_vault_key" {
    defaults = {
      versionless_id          = "https://foreact.vault.azure.net/keys/storage"
      resource_versionless_id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.KeyVault/vaults/foreact/keys/storage"
    }
  }
  mock_resource "azurerm_key_vault_certificate" {
    defaults = {
      resource_manager_versionless_id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.KeyVault/vaults/foreact/certificates/images"
      version                         = "77777777777777777777777777777777"
    }
  }
  mock_resource "azurerm_disk_encryption_set" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Compute/diskEncryptionSets/foreact"
    }
  }
  mock_resource "azurerm_log_analytics_workspace" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.OperationalInsights/workspaces/foreact"
    }
  }
  mock_resource "azurerm_monitor_workspace" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Monitor/accounts/foreact"
    }
  }
  mock_resource "azurerm_monitor_data_collection_endpoint" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Insights/dataCollectionEndpoints/foreact"
    }
  }
  mock_resource "azurerm_monitor_data_collection_rule" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.Insights/dataCollectionRules/foreact"
    }
  }
  mock_resource "azurerm_postgresql_flexible_server" {
    defaults = {
      id   = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.DBforPostgreSQL/flexibleServers/foreact"
      fqdn = "foreact.postgres.database.azure.com"
    }
  }
  mock_resource "azurerm_container_registry" {
    defaults = {
      id = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact/providers/Microsoft.ContainerRegistry/registries/foreact"
    }
  }
}

variables {
  subscription_id = "33333333-3333-3333-3333-333333333333"
  place           = "prod"
  organisation    = "example"
  hostname        = "foreact.example.com"
  repository      = "example/foreact"
  administrators  = ["66666666-6666-6666-6666-666666666666"]
  # Far ahead, so that no plan warns.
  secrets_date = "2099-01-01"
}

run "dev_keeps_its_database_in_the_cluster" {
  command = plan

  variables {
    place    = "dev"
    postgres = false
  }

  assert {
    condition     = length(azurerm_postgresql_flexible_server.this) == 0 && length(azurerm_subnet.postgres) == 0
    error_message = "dev pays for a database"
  }

  assert {
    condition     = length(azurerm_container_registry.this) == 1 && length(azurerm_role_assignment.deployer_push) == 1
    error_message = "the first place makes the registry"
  }

  assert {
    condition     = length(azurerm_key_vault_certificate.signing) == 1 && length(azurerm_role_assignment.deployer_sign) == 1
    error_message = "nobody can sign what the registry holds"
  }
}

run "a_runner_comes_by_an_address_that_the_api_lets_in" {
  command = plan

  variables {
    allowed_ips = ["198.51.100.0/24"]
    grafana     = true
    runner      = { ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhr6f7YIwLURvcfXWjoRBUM0P+lhsIx4sqNEahMekcQ" }
  }

  assert {
    condition     = one(azurerm_kubernetes_cluster.this.api_server_access_profile).authorized_ip_ranges == toset(["198.51.100.0/24", "203.0.113.7/32"])
    error_message = "the runner is shut out"
  }

  assert {
    condition     = azurerm_public_ip.gateway.name == azurerm_public_ip.gateway.resource_group_name && output.gateway_address == "203.0.113.7"
    error_message = "the gateway's annotations cannot name the address"
  }

  assert {
    condition     = length(azurerm_dashboard_grafana.this) == 1 && length(azurerm_role_assignment.grafana_administrators) == 1
    error_message = "nobody administers Grafana"
  }
}

run "prod_survives_a_zone" {
  command = plan

  variables {
    highly_available = true
    registry_id      = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/foreact-dev/providers/Microsoft.ContainerRegistry/registries/foreactexampledev"
  }

  assert {
    condition     = azurerm_storage_account.this.account_replication_type == "RAGZRS" && azurerm_kubernetes_cluster.this.sku_tier == "Standard"
    error_message = "prod is not highly available"
  }

  assert {
    condition     = one(azurerm_postgresql_flexible_server.this[0].high_availability).mode == "ZoneRedundant"
    error_message = "the database has no standby"
  }

  assert {
    condition     = length(azurerm_container_registry.this) == 0 && azurerm_role_assignment.pull.scope == var.registry_id
    error_message = "prod does not pull what dev ran"
  }

  assert {
    condition     = output.registry == "foreactexampledev.azurecr.io"
    error_message = "the registry's address is wrong"
  }

  assert {
    condition     = azurerm_federated_identity_credential.workload["foreact-serving"].subject == "system:serviceaccount:foreact:foreact-serving"
    error_message = "serving cannot be itself"
  }

  assert {
    condition     = azurerm_federated_identity_credential.deployer.subject == "repo:example/foreact:environment:prod"
    error_message = "the workflow cannot deploy"
  }

  assert {
    condition     = length(azurerm_role_assignment.secret) == 14
    error_message = "a workload reads another number of secrets than it needs"
  }
}

run "what_is_asked_for_is_closed" {
  command = plan

  variables {
    customer_managed_key = true
    private_cluster      = true
    audit_locked         = true
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.private_cluster_enabled && try(length(one(azurerm_kubernetes_cluster.this.api_server_access_profile).authorized_ip_ranges), 0) == 0
    error_message = "the API is on the internet"
  }

  assert {
    condition     = length(azurerm_storage_account_customer_managed_key.this) == 1 && one(azurerm_storage_account.this.identity).type == "UserAssigned"
    error_message = "Azure's own key encrypts"
  }

  assert {
    condition     = length(one(azurerm_postgresql_flexible_server.this).customer_managed_key) == 1 && length(azurerm_disk_encryption_set.this) == 1
    error_message = "Azure's own key encrypts the database or the disks"
  }

  assert {
    condition     = azurerm_storage_container_immutability_policy.audit.locked
    error_message = "the audit log can be changed"
  }

  assert {
    condition     = azurerm_key_vault_secret.generated["ray-auth-token"].expiration_date == "2100-01-01T00:00:00Z"
    error_message = "secrets do not expire a year after they were made"
  }
}

run "a_long_name_is_refused" {
  command = plan

  variables {
    place = "production-north"
  }

  expect_failures = [var.place]
}

# Planners' sign-in: what the copy without azuread leaves out.
run "groups_get_the_roles_that_grant_them_their_stores" {
  command = plan

  variables {
    grants = {
      "Admin"         = { role = "admin", groups = ["77777777-7777-7777-7777-777777777777"] }
      "Planner.North" = { role = "planner", regions = ["North"], groups = ["88888888-8888-8888-8888-888888888888"] }
    }
  }

  assert {
    condition     = azuread_app_role_assignment.group["Planner.North 88888888-8888-8888-8888-888888888888"].app_role_id == one([for role in azuread_application.service[0].app_role : role.id if role.value == "Planner.North"])
    error_message = "the planners of the north have another role"
  }

  assert {
    condition     = length(azuread_app_role_assignment.group) == 2
    error_message = "a group is left out"
  }

  assert {
    condition     = azuread_application_federated_identity_credential.serving[0].subject == "system:serviceaccount:foreact:foreact-serving"
    error_message = "the service cannot prove itself"
  }
}

run "a_registration_made_by_others_is_taken" {
  command = plan

  variables {
    sign_in_client_id = "99999999-9999-9999-9999-999999999999"
  }

  assert {
    condition     = length(azuread_application.service) == 0 && length(azuread_app_role_assignment.group) == 0
    error_message = "the directory is written to"
  }
}

run "an_unknown_role_is_refused" {
  command = plan

  variables {
    grants = { Everybody = { role = "everything" } }
  }

  expect_failures = [var.grants]
}
