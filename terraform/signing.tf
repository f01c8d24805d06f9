# The key that the workflow signs images by, which never leaves the vault of the place whose registry holds them.
locals {
  signing = toset(var.registry_id == "" ? ["images"] : [])
}

# Whoever applies this makes the certificate.
resource "azurerm_role_assignment" "certificates_officer" {
  for_each = local.signing

  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Certificates Officer"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_key_vault_certificate" "signing" {
  for_each = local.signing

  name         = each.key
  key_vault_id = azurerm_key_vault.this.id
  tags         = local.tags

  certificate_policy {
    issuer_parameters {
      name = "Self"
    }

    key_properties {
      exportable = false
      key_type   = "RSA"
      key_size   = 3072
      reuse_key  = false
    }

    secret_properties {
      content_type = "application/x-pem-file"
    }

    x509_certificate_properties {
      subject            = "CN=foreact images,O=${var.organisation}"
      key_usage          = ["digitalSignature"]
      extended_key_usage = ["1.3.6.1.5.5.7.3.3"]
      validity_in_months = 24
    }
  }

  depends_on = [azurerm_role_assignment.certificates_officer]
}

resource "azurerm_role_assignment" "deployer_certificate" {
  for_each = local.signing

  scope                = azurerm_key_vault_certificate.signing[each.key].resource_manager_versionless_id
  role_definition_name = "Key Vault Certificate User"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
}

resource "azurerm_role_assignment" "deployer_sign" {
  for_each = local.signing

  scope                = "${azurerm_key_vault.this.id}/keys/${each.key}"
  role_definition_name = "Key Vault Crypto User"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id

  depends_on = [azurerm_key_vault_certificate.signing]
}
