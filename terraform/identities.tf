# Who runs in the cluster, as which service accounts. Ray's head holds one of the pipelines' secrets and is one of them.
locals {
  workloads = {
    serving   = { "foreact-serving" = "system:serviceaccount:foreact:foreact-serving" }
    pipelines = { "foreact-pipelines" = "system:serviceaccount:kubeflow:foreact-pipelines", "ray-head" = "system:serviceaccount:ray:ray-head" }
    training  = { "ray-worker" = "system:serviceaccount:ray:ray-worker" }
    mlflow    = { "mlflow" = "system:serviceaccount:mlflow:mlflow" }
  }

  federations = merge([
    for workload, subjects in local.workloads : {
      for account, subject in subjects : account => { workload = workload, subject = subject }
    }
  ]...)

  grants = merge([
    for workload, names in local.readers : {
      for name in names : "${workload}-${name}" => { workload = workload, name = name }
    }
  ]...)
}

resource "azurerm_user_assigned_identity" "workload" {
  for_each = local.workloads

  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "workload" {
  for_each = local.federations

  name                      = each.key
  user_assigned_identity_id = azurerm_user_assigned_identity.workload[each.value.workload].id
  audience                  = ["api://AzureADTokenExchange"]
  issuer                    = azurerm_kubernetes_cluster.this.oidc_issuer_url
  subject                   = each.value.subject
}

resource "azurerm_role_assignment" "secret" {
  for_each = local.grants

  scope                = local.secret_ids[each.value.name]
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.workload[each.value.workload].principal_id
}

# Pipelines read sales and write forecasts.
resource "azurerm_role_assignment" "pipelines_sales" {
  scope                = azurerm_storage_container.this["sales"].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_user_assigned_identity.workload["pipelines"].principal_id
}

resource "azurerm_role_assignment" "pipelines_forecasts" {
  scope                = azurerm_storage_container.this["forecasts"].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.workload["pipelines"].principal_id
}

# Ray's workers read the dataset, which lies beside the forecasts, and hold no secret.
resource "azurerm_role_assignment" "training_dataset" {
  scope                = azurerm_storage_container.this["forecasts"].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_user_assigned_identity.workload["training"].principal_id
}

# They write their stores' models and forecasts, and never the manifest that makes them visible.
resource "azurerm_role_assignment" "training_objects" {
  scope                = azurerm_storage_container.this["forecasts"].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.workload["training"].principal_id
  condition_version    = "2.0"
  condition            = <<-EOT
    (
      @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'forecasts/data/*'
    )
  EOT
}

# MLflow keeps models, and reads manifests, so that it never deletes what they name.
resource "azurerm_role_assignment" "mlflow_models" {
  scope                = azurerm_storage_container.this["models"].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.workload["mlflow"].principal_id
}

resource "azurerm_role_assignment" "mlflow_manifests" {
  scope                = azurerm_storage_container.this["forecasts"].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_user_assigned_identity.workload["mlflow"].principal_id
}

# Serving keeps its API keys, its refreshes and its audit log where nobody else may write.
resource "azurerm_role_assignment" "serving_own" {
  for_each = toset(["service", "audit"])

  scope                = azurerm_storage_container.this[each.key].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.workload["serving"].principal_id
}

# It reads forecasts.
resource "azurerm_role_assignment" "serving_forecasts" {
  scope                = azurerm_storage_container.this["forecasts"].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_user_assigned_identity.workload["serving"].principal_id
}

# Beside them it writes the manifest, when somebody restores a version, and how runs ended that could not say so themselves: never a
# number.
resource "azurerm_role_assignment" "serving_manifest" {
  scope                = azurerm_storage_container.this["forecasts"].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.workload["serving"].principal_id
  condition_version    = "2.0"
  condition            = <<-EOT
    (
      @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'forecasts/manifest*'
      OR
      @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'telemetry/runs.json'
      OR
      @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'telemetry/notices/*'
    )
  EOT
}

# The CI/CD workflow: no stored secret, one subject for each protected environment.
resource "azurerm_user_assigned_identity" "deployer" {
  name                = "${local.name}-deployer"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "deployer" {
  name                      = "github"
  user_assigned_identity_id = azurerm_user_assigned_identity.deployer.id
  audience                  = ["api://AzureADTokenExchange"]
  issuer                    = "https://token.actions.githubusercontent.com"
  subject                   = "repo:${var.repository}:environment:${var.place}"
}

resource "azurerm_role_assignment" "deployer_push" {
  count = var.registry_id == "" ? 1 : 0

  scope                = local.registry_id
  role_definition_name = "AcrPush"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
}

resource "azurerm_role_assignment" "deployer_kubeconfig" {
  scope                = azurerm_kubernetes_cluster.this.id
  role_definition_name = "Azure Kubernetes Service Cluster User Role"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
}

# Gateways, certificates and Ray clusters are custom kinds, and Azure's lesser roles know only built-in ones.
resource "azurerm_role_assignment" "deployer_apply" {
  scope                = azurerm_kubernetes_cluster.this.id
  role_definition_name = "Azure Kubernetes Service RBAC Cluster Admin"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
}
