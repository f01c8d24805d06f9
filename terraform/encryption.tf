# Blob Storage, MLflow's database and the nodes' disks encrypted by keys of the organisation's own, which can be withdrawn.
# Without them Azure's keys encrypt.
variable "customer_managed_key" {
  description = "Encrypt Blob Storage, the database and disks by keys of this place's vault, which renew themselves every year."
  type        = bool
  default     = false
}

locals {
  own_keys = toset(var.customer_managed_key ? concat(["storage", "disks"], var.postgres ? ["postgres"] : []) : [])
}

resource "azurerm_user_assigned_identity" "encryption" {
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

resource "azurerm_key_vault_key" "encryption" {
  for_each = local.own_keys

  name         = each.key
  key_vault_id = azurerm_key_vault.this.id
  key_type     = "RSA"
  key_size     = 3072
  key_opts     = ["unwrapKey", "wrapKey"]
  tags         = local.tags

  # Without an end: what is encrypted by an expired key cannot be read.
  rotation_policy {
    automatic {
      time_after_creation = "P1Y"
    }
  }

  depends_on = [azurerm_role_assignment.keys_officer]
}

resource "azurerm_role_assignment" "encryption_key" {
  for_each = local.own_keys

  scope                = azurerm_key_vault_key.encryption[each.key].resource_versionless_id
  role_definition_name = "Key Vault Crypto Service Encryption User"
  principal_id         = azurerm_user_assigned_identity.encryption[each.key].principal_id
}

# By the id without a version, so that storage follows when the key renews itself.
resource "azurerm_storage_account_customer_managed_key" "this" {
  count = var.customer_managed_key ? 1 : 0

  storage_account_id        = azurerm_storage_account.this.id
  key_vault_key_id          = azurerm_key_vault_key.encryption["storage"].versionless_id
  user_assigned_identity_id = azurerm_user_assigned_identity.encryption["storage"].id

  depends_on = [azurerm_role_assignment.encryption_key]
}

# Nodes' disks and the volumes that claims ask for.
resource "azurerm_disk_encryption_set" "this" {
  count = var.customer_managed_key ? 1 : 0

  name                      = local.name
  resource_group_name       = azurerm_resource_group.this.name
  location                  = var.location
  key_vault_key_id          = azurerm_key_vault_key.encryption["disks"].versionless_id
  auto_key_rotation_enabled = true
  tags                      = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.encryption["disks"].id]
  }

  depends_on = [azurerm_role_assignment.encryption_key]
}

# The cluster's own identity attaches disks that the set encrypts.
resource "azurerm_role_assignment" "cluster_disks" {
  count = var.customer_managed_key ? 1 : 0

  scope                = azurerm_disk_encryption_set.this[0].id
  role_definition_name = "Reader"
  principal_id         = azurerm_user_assigned_identity.cluster.principal_id
}
