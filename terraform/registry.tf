# One registry serves every place: what prod runs is what dev ran. The place that names none makes it.
resource "azurerm_container_registry" "this" {
  count = var.registry_id == "" ? 1 : 0

  name                   = local.unique
  resource_group_name    = azurerm_resource_group.this.name
  location               = var.location
  sku                    = "Standard"
  admin_enabled          = false
  anonymous_pull_enabled = false
  tags                   = local.tags
}

locals {
  registry_id = var.registry_id == "" ? azurerm_container_registry.this[0].id : var.registry_id
}

resource "azurerm_role_assignment" "pull" {
  scope                            = local.registry_id
  role_definition_name             = "AcrPull"
  principal_id                     = azurerm_user_assigned_identity.kubelet.principal_id
  skip_service_principal_aad_check = true
}
