# MLflow's database, reachable from the cluster's network alone.
resource "azurerm_private_dns_zone" "postgres" {
  count = var.postgres ? 1 : 0

  name                = "${local.name}.postgres.database.azure.com"
  resource_group_name = azurerm_resource_group.this.name
  tags                = local.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "postgres" {
  count = var.postgres ? 1 : 0

  name                = "postgres"
  private_dns_zone_id = azurerm_private_dns_zone.postgres[0].id
  virtual_network_id  = azurerm_virtual_network.this.id
  tags                = local.tags
}

resource "azurerm_postgresql_flexible_server" "this" {
  count = var.postgres ? 1 : 0

  name                              = local.unique
  resource_group_name               = azurerm_resource_group.this.name
  location                          = var.location
  version                           = "17"
  sku_name                          = var.highly_available ? "GP_Standard_D2ds_v5" : "B_Standard_B1ms"
  storage_mb                        = 32768
  auto_grow_enabled                 = true
  backup_retention_days             = var.highly_available ? 35 : 7
  geo_redundant_backup_enabled      = var.highly_available && !var.customer_managed_key
  public_network_access_enabled     = false
  delegated_subnet_id               = azurerm_subnet.postgres[0].id
  private_dns_zone_id               = azurerm_private_dns_zone.postgres[0].id
  administrator_login               = "mlflow"
  administrator_password_wo         = ephemeral.random_password.postgres.result
  administrator_password_wo_version = local.secrets_version
  tags                              = local.tags

  dynamic "identity" {
    for_each = var.customer_managed_key ? ["postgres"] : []

    content {
      type         = "UserAssigned"
      identity_ids = [azurerm_user_assigned_identity.encryption[identity.value].id]
    }
  }

  # A copy in another region would want a key and a vault there.
  dynamic "customer_managed_key" {
    for_each = var.customer_managed_key ? ["postgres"] : []

    content {
      key_vault_key_id                  = azurerm_key_vault_key.encryption[customer_managed_key.value].versionless_id
      primary_user_assigned_identity_id = azurerm_user_assigned_identity.encryption[customer_managed_key.value].id
    }
  }

  dynamic "high_availability" {
    for_each = var.highly_available ? [1] : []

    content {
      mode = "ZoneRedundant"
    }
  }

  lifecycle {
    # A failover exchanges them.
    ignore_changes = [zone, high_availability[0].standby_availability_zone]
  }

  depends_on = [azurerm_private_dns_zone_virtual_network_link.postgres, azurerm_role_assignment.encryption_key]
}

resource "azurerm_postgresql_flexible_server_database" "mlflow" {
  count = var.postgres ? 1 : 0

  name      = "mlflow"
  server_id = azurerm_postgresql_flexible_server.this[0].id

  lifecycle {
    prevent_destroy = true
  }
}
