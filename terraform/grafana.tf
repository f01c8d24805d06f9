# Azure's managed Grafana beside its managed Prometheus, for those whose organisation has no Grafana yet.
variable "grafana" {
  description = "Make a managed Grafana, for the dashboard in observability/."
  type        = bool
  default     = false
}

resource "azurerm_dashboard_grafana" "this" {
  count = var.grafana ? 1 : 0

  name                    = local.name
  resource_group_name     = azurerm_resource_group.this.name
  location                = var.location
  grafana_major_version   = "12"
  zone_redundancy_enabled = var.highly_available
  tags                    = local.tags

  identity {
    type = "SystemAssigned"
  }

  azure_monitor_workspace_integrations {
    resource_id = azurerm_monitor_workspace.this.id
  }
}

resource "azurerm_role_assignment" "grafana_metrics" {
  count = var.grafana ? 1 : 0

  scope                = azurerm_monitor_workspace.this.id
  role_definition_name = "Monitoring Data Reader"
  principal_id         = azurerm_dashboard_grafana.this[0].identity[0].principal_id
}

resource "azurerm_role_assignment" "grafana_administrators" {
  for_each = toset(var.grafana ? var.administrators : [])

  scope                = azurerm_dashboard_grafana.this[0].id
  role_definition_name = "Grafana Admin"
  principal_id         = each.value
}

output "grafana" {
  description = "Where the managed Grafana is; empty: there is none."
  value       = one(azurerm_dashboard_grafana.this[*].endpoint)
}
