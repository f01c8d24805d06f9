# The address that planners come to. In a group of its own, it outlives the cluster, and DNS goes on pointing at it.
resource "azurerm_resource_group" "gateway" {
  name     = "${local.name}-gateway"
  location = var.location
  tags     = local.tags
}

resource "azurerm_public_ip" "gateway" {
  # The gateway's annotations name group and address by one value.
  name                = azurerm_resource_group.gateway.name
  resource_group_name = azurerm_resource_group.gateway.name
  location            = var.location
  allocation_method   = "Static"
  zones               = ["1", "2", "3"]
  tags                = local.tags
}

# The cluster looks for the address among the group's, and gives it to its load balancer.
resource "azurerm_role_assignment" "cluster_gateway" {
  scope                = azurerm_resource_group.gateway.id
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_user_assigned_identity.cluster.principal_id
}

output "gateway_address" {
  description = "Where the hostname's DNS record points."
  value       = azurerm_public_ip.gateway.ip_address
}
