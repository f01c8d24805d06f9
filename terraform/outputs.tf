output "values" {
  description = "values.env of the overlay: tofu output -raw values > kustomize/overlays/PLACE/values/values.env"
  value       = <<-EOT
    # Written by: tofu -chdir=terraform output -raw values > kustomize/overlays/${var.place}/values/values.env
    TENANT_ID=${data.azurerm_client_config.current.tenant_id}
    SERVING_CLIENT_ID=${azurerm_user_assigned_identity.workload["serving"].client_id}
    PIPELINES_CLIENT_ID=${azurerm_user_assigned_identity.workload["pipelines"].client_id}
    TRAINING_CLIENT_ID=${azurerm_user_assigned_identity.workload["training"].client_id}
    MLFLOW_CLIENT_ID=${azurerm_user_assigned_identity.workload["mlflow"].client_id}
    KEY_VAULT=${azurerm_key_vault.this.name}
    BLOB_URL=${azurerm_storage_account.this.primary_blob_endpoint}forecasts
    STATE_URL=${azurerm_storage_account.this.primary_blob_endpoint}service
    AUDIT_URL=${azurerm_storage_account.this.primary_blob_endpoint}audit
    HISTORY_URL=${azurerm_storage_account.this.primary_blob_endpoint}sales/history
    MODELS_URL=wasbs://models@${azurerm_storage_account.this.primary_blob_host}/mlflow
    HOSTNAME=${var.hostname}
    PUBLIC_URL=https://${var.hostname}
    TIMEZONE=${var.timezone}
    GATEWAY=${azurerm_public_ip.gateway.name}
    OIDC_ISSUER=https://login.microsoftonline.com/${data.azurerm_client_config.current.tenant_id}/v2.0
    OIDC_CLIENT_ID=${local.sign_in_client_id}
    OIDC_ROLES=${local.oidc_roles}
  EOT
}

output "registry" {
  description = "REGISTRY of make push."
  value       = "${provider::azurerm::parse_resource_id(local.registry_id).resource_name}.azurecr.io"
}

output "registry_id" {
  description = "registry_id of the places that pull from here."
  value       = local.registry_id
}

output "kubeconfig" {
  description = "How to reach the cluster, as oneself."
  value       = "az aks get-credentials --resource-group ${azurerm_resource_group.this.name} --name ${azurerm_kubernetes_cluster.this.name} && kubelogin convert-kubeconfig -l azurecli"
}

output "deployer_client_id" {
  description = "AZURE_CLIENT_ID of the CI/CD workflow's environment; an identifier, no secret."
  value       = azurerm_user_assigned_identity.deployer.client_id
}

output "signing_key" {
  description = "SIGNING_KEY of the CI/CD workflow's environment, which signs images; empty where another place's registry holds them."
  value       = one([for certificate in azurerm_key_vault_certificate.signing : "https://${azurerm_key_vault.this.name}.vault.azure.net/keys/${certificate.name}/${certificate.version}"])
}
