resource "azurerm_log_analytics_workspace" "this" {
  name                = local.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = 30
  # A runaway log ends the day's intake, not the budget.
  daily_quota_gb = 5
  tags           = local.tags
}

# Azure's managed Prometheus.
resource "azurerm_monitor_workspace" "this" {
  name                = local.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_monitor_data_collection_endpoint" "prometheus" {
  name                = "${local.name}-prometheus"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  kind                = "Linux"
  tags                = local.tags
}

resource "azurerm_monitor_data_collection_rule" "prometheus" {
  name                        = "${local.name}-prometheus"
  resource_group_name         = azurerm_resource_group.this.name
  location                    = var.location
  kind                        = "Linux"
  data_collection_endpoint_id = azurerm_monitor_data_collection_endpoint.prometheus.id
  tags                        = local.tags

  data_sources {
    prometheus_forwarder {
      name    = "prometheus"
      streams = ["Microsoft-PrometheusMetrics"]
    }
  }

  destinations {
    monitor_account {
      name               = "workspace"
      monitor_account_id = azurerm_monitor_workspace.this.id
    }
  }

  data_flow {
    streams      = ["Microsoft-PrometheusMetrics"]
    destinations = ["workspace"]
  }
}

resource "azurerm_monitor_data_collection_rule_association" "prometheus" {
  name                    = "${local.name}-prometheus"
  target_resource_id      = azurerm_kubernetes_cluster.this.id
  data_collection_rule_id = azurerm_monitor_data_collection_rule.prometheus.id
}

resource "azurerm_monitor_diagnostic_setting" "cluster" {
  name                       = "audit"
  target_resource_id         = azurerm_kubernetes_cluster.this.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "kube-audit-admin"
  }

  enabled_log {
    category = "guard"
  }
}

# Who read, wrote or deleted which blob, and who read which secret.
resource "azurerm_monitor_diagnostic_setting" "storage" {
  name                       = "access"
  target_resource_id         = "${azurerm_storage_account.this.id}/blobServices/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "StorageRead"
  }

  enabled_log {
    category = "StorageWrite"
  }

  enabled_log {
    category = "StorageDelete"
  }
}

resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                       = "access"
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "AuditEvent"
  }
}

# Written so that a workspace without any such line yet takes it too. The vault writes one 30 days before a secret or the signing certificate ends, and hands out what has ended all the same.
resource "azurerm_monitor_scheduled_query_rules_alert_v2" "secrets_end" {
  name                 = "${local.name}-secrets-end"
  resource_group_name  = azurerm_resource_group.this.name
  location             = var.location
  scopes               = [azurerm_log_analytics_workspace.this.id]
  description          = "A secret of the vault ends within 30 days or has ended: terraform/README.md, Secrets."
  severity             = 2
  evaluation_frequency = "P1D"
  window_duration      = "P1D"
  tags                 = local.tags

  criteria {
    query                   = <<-EOT
      union isfuzzy=true (AzureDiagnostics)
      | where column_ifexists("ResourceProvider", "") == "MICROSOFT.KEYVAULT"
      | extend OperationName = column_ifexists("OperationName", "")
      | where OperationName endswith "NearExpiryEventGridNotification" or OperationName endswith "ExpiredEventGridNotification"
    EOT
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0
  }

  action {
    action_groups = [azurerm_monitor_action_group.on_call.id]
  }
}

# The rules of ../observability/rules.yaml, as managed Prometheus takes them: what is recorded, and alerts.
locals {
  rules = { for group in yamldecode(file("${path.module}/../observability/rules.yaml")).spec.groups : group.name => group.rules }
}

resource "azurerm_monitor_action_group" "on_call" {
  name                = "${local.name}-on-call"
  resource_group_name = azurerm_resource_group.this.name
  short_name          = "foreact"
  tags                = local.tags

  dynamic "email_receiver" {
    for_each = var.on_call

    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

resource "azurerm_monitor_alert_prometheus_rule_group" "this" {
  for_each            = local.rules
  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  cluster_name        = azurerm_kubernetes_cluster.this.name
  description         = "See observability/runbook.md."
  interval            = "PT1M"
  scopes              = [azurerm_monitor_workspace.this.id]
  tags                = local.tags

  dynamic "rule" {
    for_each = each.value

    content {
      record      = try(rule.value.record, null)
      alert       = try(rule.value.alert, null)
      expression  = rule.value.expr
      for         = try("PT${upper(rule.value.for)}", null)
      severity    = try(rule.value.labels.severity == "critical" ? 1 : 3, null)
      labels      = try(rule.value.labels, null)
      annotations = try(rule.value.annotations, null)

      dynamic "action" {
        for_each = can(rule.value.alert) ? [azurerm_monitor_action_group.on_call.id] : []

        content {
          action_group_id = action.value
        }
      }

      dynamic "alert_resolution" {
        for_each = can(rule.value.alert) ? ["PT10M"] : []

        content {
          auto_resolved   = true
          time_to_resolve = alert_resolution.value
        }
      }
    }
  }
}
