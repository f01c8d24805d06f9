# A machine in the cluster's network for the workflow's jobs, which comes to the cluster's API by one address that it lets in.
variable "runner" {
  description = "Make a machine for a runner of the workflow: whose SSH key it takes (no way to it leads from the internet), and its size."
  type        = object({ ssh_public_key = string, vm_size = optional(string, "Standard_D2s_v5") })
  default     = null
}

locals {
  runners = var.runner == null ? [] : ["runner"]
  # Who may call the cluster's API from outside; a private one has no door there.
  api_ips = var.private_cluster ? null : concat(var.allowed_ips, [for name in local.runners : "${azurerm_public_ip.runner[name].ip_address}/32"])
}

resource "azurerm_subnet" "runner" {
  for_each = toset(local.runners)

  name                            = "runner"
  resource_group_name             = azurerm_resource_group.this.name
  virtual_network_name            = azurerm_virtual_network.this.name
  address_prefixes                = ["10.40.17.0/28"]
  default_outbound_access_enabled = false

  # The vault, which signs images, lets subnets in.
  service_endpoint {
    service = "Microsoft.KeyVault"
  }
}

resource "azurerm_public_ip" "runner" {
  for_each = toset(local.runners)

  name                = "${local.name}-runner"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  allocation_method   = "Static"
  tags                = local.tags
}

resource "azurerm_nat_gateway" "runner" {
  for_each = toset(local.runners)

  name                = "${local.name}-runner"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_nat_gateway_public_ip_association" "runner" {
  for_each = toset(local.runners)

  nat_gateway_id       = azurerm_nat_gateway.runner[each.key].id
  public_ip_address_id = azurerm_public_ip.runner[each.key].id
}

resource "azurerm_subnet_nat_gateway_association" "runner" {
  for_each = toset(local.runners)

  subnet_id      = azurerm_subnet.runner[each.key].id
  nat_gateway_id = azurerm_nat_gateway.runner[each.key].id
}

resource "azurerm_network_interface" "runner" {
  for_each = toset(local.runners)

  name                = "${local.name}-runner"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags

  ip_configuration {
    name                          = "internal"
    subnet_id                     = azurerm_subnet.runner[each.key].id
    private_ip_address_allocation = "Dynamic"
  }
}

resource "azurerm_linux_virtual_machine" "runner" {
  for_each = toset(local.runners)

  name                  = "${local.name}-runner"
  resource_group_name   = azurerm_resource_group.this.name
  location              = var.location
  size                  = var.runner.vm_size
  network_interface_ids = [azurerm_network_interface.runner[each.key].id]
  admin_username        = "runner"
  patch_mode            = "AutomaticByPlatform"
  secure_boot_enabled   = true
  vtpm_enabled          = true
  tags                  = local.tags

  # What the jobs call (they bring az by its lock file); the runner itself is registered by hand, with a token that no file holds.
  custom_data = base64encode(<<-EOT
    #cloud-config
    packages: [docker.io, docker-buildx, git, golang-go, make, python3, python3-venv]
    runcmd:
      - usermod --append --groups docker runner
  EOT
  )

  admin_ssh_key {
    username   = "runner"
    public_key = var.runner.ssh_public_key
  }

  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "Premium_LRS"
    disk_size_gb         = 64
  }

  source_image_reference {
    publisher = "Canonical"
    offer     = "ubuntu-24_04-lts"
    sku       = "server"
    version   = "latest"
  }

  depends_on = [azurerm_subnet_nat_gateway_association.runner, azurerm_nat_gateway_public_ip_association.runner]
}
