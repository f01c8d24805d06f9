# Planners' sign-in: an app registration in Entra ID whose app roles are what the service grants. The service proves itself by the
# token of its own service account, so that there is no secret to keep or to renew.
locals {
  # By whoever may write to the directory; others name the registration that was made for them.
  registers = var.sign_in_client_id == ""

  sign_in_client_id = local.registers ? azuread_application.service[0].client_id : var.sign_in_client_id

  # What the service is told of each role: FOREACT_OIDC_ROLES.
  oidc_roles = jsonencode({
    for name, grant in var.grants : name => {
      for key, value in { role = grant.role, stores = grant.stores, regions = grant.regions } : key => value if value != null
    }
  })

  role_ids = { for name in keys(var.grants) : name => uuidv5("url", "https://${var.hostname}/roles/${name}") }

  assignments = merge([
    for name, grant in var.grants : { for group in grant.groups : "${name} ${group}" => { role = name, group = group } }
  ]...)
}

resource "azuread_application" "service" {
  count = local.registers ? 1 : 0

  display_name            = local.name
  description             = "Foreact, the planners' forecasts, at ${var.hostname}"
  sign_in_audience        = "AzureADMyOrg"
  owners                  = [data.azurerm_client_config.current.object_id]
  prevent_duplicate_names = true
  # Ids of those groups alone that are assigned to it, for grants by group: a person may be in too many to name.
  group_membership_claims = ["ApplicationGroup"]

  web {
    homepage_url  = "https://${var.hostname}"
    redirect_uris = ["https://${var.hostname}/login/callback"]
  }

  dynamic "app_role" {
    for_each = var.grants

    content {
      id                   = local.role_ids[app_role.key]
      value                = app_role.key
      display_name         = app_role.key
      description          = "May do in Foreact what a ${app_role.value.role} may"
      allowed_member_types = ["User"]
    }
  }

  # Microsoft Graph's openid and profile: who the person is, and nothing else.
  required_resource_access {
    resource_app_id = "00000003-0000-0000-c000-000000000000"

    resource_access {
      id   = "37f7f235-527c-4136-accd-4a02d197296e"
      type = "Scope"
    }
    resource_access {
      id   = "14dad69e-099b-42c9-810b-d002981feec1"
      type = "Scope"
    }
  }
}

resource "azuread_service_principal" "service" {
  count = local.registers ? 1 : 0

  client_id = azuread_application.service[0].client_id
  owners    = [data.azurerm_client_config.current.object_id]
  # Who has no role does not come in at all.
  app_role_assignment_required = true
}

resource "azuread_app_role_assignment" "group" {
  for_each = local.registers ? local.assignments : {}

  app_role_id         = local.role_ids[each.value.role]
  principal_object_id = each.value.group
  resource_object_id  = azuread_service_principal.service[0].object_id
}

resource "azuread_application_federated_identity_credential" "serving" {
  count = local.registers ? 1 : 0

  application_id = azuread_application.service[0].id
  display_name   = "foreact-serving"
  description    = "The service, signing people in"
  audiences      = ["api://AzureADTokenExchange"]
  issuer         = azurerm_kubernetes_cluster.this.oidc_issuer_url
  subject        = "system:serviceaccount:foreact:foreact-serving"
}
