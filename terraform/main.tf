locals {
  name = "foreact-${var.place}"
  # Storage accounts, registries and vaults share one namespace with everybody, and some allow letters and digits only.
  unique = "foreact${var.organisation}${var.place}"
  tags = {
    application = "foreact"
    place       = var.place
    managed-by  = "tofu"
  }
}

resource "azurerm_resource_group" "this" {
  name     = local.name
  location = var.location
  tags     = local.tags
}
