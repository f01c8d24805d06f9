resource "azurerm_storage_account" "this" {
  name                            = local.unique
  resource_group_name             = azurerm_resource_group.this.name
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = var.highly_available ? "RAGZRS" : "LRS"
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  allow_nested_items_to_be_public = false
  local_user_enabled              = false
  https_traffic_only_enabled      = true
  tags                            = local.tags

  dynamic "identity" {
    for_each = var.customer_managed_key ? ["storage"] : []

    content {
      type         = "UserAssigned"
      identity_ids = [azurerm_user_assigned_identity.encryption[identity.value].id]
    }
  }

  # What is deleted by mistake can be had back for two weeks; the manifest's history is kept by publications themselves.
  blob_properties {
    delete_retention_policy {
      days = 14
    }
    container_delete_retention_policy {
      days = 14
    }
  }

  network_rules {
    default_action             = "Deny"
    bypass                     = ["AzureServices"]
    ip_rules                   = var.allowed_ips
    virtual_network_subnet_ids = [azurerm_subnet.nodes.id]
  }
}

# forecasts: what is published; sales: what the retailer delivers; models: what MLflow keeps; service: the service's API keys
# and refreshes; audit: who did what.
resource "azurerm_storage_container" "this" {
  for_each = toset(["forecasts", "sales", "models", "service", "audit"])

  name                  = each.key
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

# An event can be neither changed nor deleted for as long as the service keeps it (FOREACT_KEEP_DAYS).
resource "azurerm_storage_container_immutability_policy" "audit" {
  storage_container_resource_manager_id = azurerm_storage_container.this["audit"].id
  immutability_period_in_days           = 400
  locked                                = var.audit_locked
}
