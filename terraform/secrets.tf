# Passwords are made here and go straight to the vault: neither the state nor a plan holds one.
ephemeral "random_password" "postgres" {
  length  = 40
  special = false
}

ephemeral "random_password" "generated" {
  for_each = local.generated

  length  = 48
  special = false
}

locals {
  generated = toset([
    "serving-session-secret", "serving-metrics-token", "mlflow-admin-password", "mlflow-pipelines-password", "mlflow-session-key",
    "ray-auth-token",
  ])

  # Who may read which secret, and nothing else.
  readers = {
    serving   = ["serving-session-secret", "serving-metrics-token", "serving-oidc-client-secret", "pipelines-webhook-url", "probe-api-key"]
    pipelines = ["mlflow-pipelines-username", "mlflow-pipelines-password", "ray-auth-token", "pipelines-webhook-url"]
    mlflow    = ["mlflow-backend-store-uri", "mlflow-database-password", "mlflow-admin-password", "mlflow-pipelines-password", "mlflow-session-key"]
  }

  # Given from outside after the first apply, by az keyvault secret set; a blank keeps the mounts whole until then.
  given = toset(["serving-oidc-client-secret", "pipelines-webhook-url", "probe-api-key"])

  # The day of the passwords tells one generation from the next.
  secrets_version = tonumber(formatdate("YYYYMMDD", "${var.secrets_date}T00:00:00Z"))
  secrets_expire  = timeadd("${var.secrets_date}T00:00:00Z", "8760h")

  database = var.postgres ? "${azurerm_postgresql_flexible_server.this[0].fqdn}:5432/mlflow?sslmode=require" : "postgres:5432/mlflow"

  secret_ids = merge(
    { for key, secret in azurerm_key_vault_secret.generated : key => secret.resource_versionless_id },
    { for key, secret in azurerm_key_vault_secret.given : key => secret.resource_versionless_id },
    {
      mlflow-pipelines-username = azurerm_key_vault_secret.mlflow_pipelines_username.resource_versionless_id
      mlflow-database-password  = azurerm_key_vault_secret.mlflow_database_password.resource_versionless_id
      mlflow-backend-store-uri  = azurerm_key_vault_secret.mlflow_backend_store_uri.resource_versionless_id
    },
  )
}

check "secrets_are_young" {
  assert {
    condition     = timecmp(plantimestamp(), timeadd(local.secrets_expire, "-720h")) < 0
    error_message = "The passwords expire on ${local.secrets_expire}: set secrets_date to today and apply, as README.md says."
  }
}

resource "azurerm_key_vault" "this" {
  name                       = "fa-${var.organisation}-${var.place}"
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 30
  tags                       = local.tags

  network_acls {
    default_action             = "Deny"
    bypass                     = "AzureServices"
    ip_rules                   = var.allowed_ips
    virtual_network_subnet_ids = concat([azurerm_subnet.nodes.id], [for subnet in azurerm_subnet.runner : subnet.id])
  }
}

# Whoever applies this writes the secrets.
resource "azurerm_role_assignment" "secrets_officer" {
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_key_vault_secret" "generated" {
  for_each = local.generated

  name             = each.key
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = ephemeral.random_password.generated[each.key].result
  value_wo_version = local.secrets_version
  expiration_date  = local.secrets_expire
  tags             = local.tags

  depends_on = [azurerm_role_assignment.secrets_officer]
}

resource "azurerm_key_vault_secret" "mlflow_pipelines_username" {
  name             = "mlflow-pipelines-username"
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = "foreact-pipelines"
  value_wo_version = local.secrets_version
  expiration_date  = local.secrets_expire
  tags             = local.tags

  depends_on = [azurerm_role_assignment.secrets_officer]
}

# The one password of MLflow's database, by itself for a server inside the cluster, and as the address that MLflow takes.
resource "azurerm_key_vault_secret" "mlflow_database_password" {
  name             = "mlflow-database-password"
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = ephemeral.random_password.postgres.result
  value_wo_version = local.secrets_version
  expiration_date  = local.secrets_expire
  tags             = local.tags

  depends_on = [azurerm_role_assignment.secrets_officer]
}

resource "azurerm_key_vault_secret" "mlflow_backend_store_uri" {
  name             = "mlflow-backend-store-uri"
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = "postgresql+psycopg2://mlflow:${ephemeral.random_password.postgres.result}@${local.database}"
  value_wo_version = local.secrets_version
  expiration_date  = local.secrets_expire
  tags             = local.tags

  depends_on = [azurerm_role_assignment.secrets_officer]
}

resource "azurerm_key_vault_secret" "given" {
  for_each = local.given

  name             = each.key
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = " "
  value_wo_version = 1
  tags             = local.tags

  lifecycle {
    # Its value comes with an end of its own.
    ignore_changes = [expiration_date]
  }

  depends_on = [azurerm_role_assignment.secrets_officer]
}
