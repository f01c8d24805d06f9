# Blob Storage encrypted by a key of the organisation's own, which can be withdrawn. Without it Azure's key encrypts.
variable "customer_managed_key" {
  description = "Encrypt Blob Storage by a key of this place's vault, which renews itself every year."
  type        = bool
  default     = false
}

locals {
  own_keys = toset(var.customer_managed_key ? ["storage"] : [])
}

resource "azurerm_user_assigned_identity" "storage" {
  for_each = local.own_keys

  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

# Whoever applies this makes the key.
resource "azurerm_role_assignment" "keys_officer" {
  for_each = local.own_keys

  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Crypto Officer"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_key_vault_key" "storage" {
  for_each = local.own_keys

  name         = each.key
  key_vault_id = azurerm_key_vault.this.id
  key_type     = "RSA"
  key_size     = 3072
  key_opts     = ["unwrapKey", "wrapKey"]
  tags         = local.tags

  # Without an end: storage whose key has expired cannot be read.
  rotation_policy {
    automatic {
      time_after_creation = "P1Y"
    }
  }

  depends_on = [azurerm_role_assignment.keys_officer]
}

resource "azurerm_role_assignment" "storage_key" {
  for_each = local.own_keys

  scope                = azurerm_key_vault_key.storage[each.key].resource_versionless_id
  role_definition_name = "Key Vault Crypto Service Encryption User"
  principal_id         = azurerm_user_assigned_identity.storage[each.key].principal_id
}

# By the id without a version, so that storage follows when the key renews itself.
resource "azurerm_storage_account_customer_managed_key" "this" {
  for_each = local.own_keys

  storage_account_id        = azurerm_storage_account.this.id
  key_vault_key_id          = azurerm_key_vault_key.storage[each.key].versionless_id
  user_assigned_identity_id = azurerm_user_assigned_identity.storage[each.key].id

  depends_on = [azurerm_role_assignment.storage_key]
}
