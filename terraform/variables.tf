variable "subscription_id" {
  description = "Subscription that everything is made in."
  type        = string
}

variable "place" {
  description = "Short name of this installation, part of every resource's name: dev, prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.place))
    error_message = "place is 2 to 10 lower-case letters and digits, a letter first: storage accounts allow no more."
  }
}

variable "organisation" {
  description = "Short name of the organisation, which makes globally unique names unique."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{2,8}$", var.organisation))
    error_message = "organisation is 2 to 8 lower-case letters and digits."
  }
}

variable "location" {
  description = "Azure region."
  type        = string
  default     = "germanywestcentral"
}

variable "hostname" {
  description = "Name under which planners find the dashboard; its DNS record points at the gateway."
  type        = string
}

variable "timezone" {
  description = "The retailer's time zone, an IANA name."
  type        = string
  default     = "Europe/Berlin"
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; patches come by themselves."
  type        = string
  default     = "1.34"
}

variable "administrators" {
  description = "Object ids of the Entra groups that administer the cluster."
  type        = list(string)

  validation {
    condition     = length(var.administrators) > 0
    error_message = "Name at least one group: local accounts are off."
  }
}

variable "allowed_ips" {
  description = "Addresses or ranges from outside that may reach the cluster's API, Blob Storage and Key Vault: offices, runners of the workflow that are not made here."
  type        = list(string)
  default     = []
}

variable "repository" {
  description = "GitHub repository, OWNER/NAME, whose workflow pushes images and deploys."
  type        = string
}

variable "registry_id" {
  description = "Resource id of the registry that another place made, as prod takes dev's; empty: make one."
  type        = string
  default     = ""
}

variable "postgres" {
  description = "Make a PostgreSQL server for MLflow; dev keeps one in the cluster."
  type        = bool
  default     = true
}

variable "highly_available" {
  description = "A standby database, storage in three zones with a copy in the paired region, and a cluster with an uptime promise."
  type        = bool
  default     = false
}

variable "system_nodes" {
  description = "Size and number of the nodes that everything but training runs on."
  type        = object({ vm_size = string, min = number, max = number })
  default     = { vm_size = "Standard_D4s_v5", min = 2, max = 4 }
}

variable "batch_nodes" {
  description = "Size and number of the nodes that training runs on; none while nothing trains, unless min says otherwise around the clock."
  type        = object({ vm_size = string, min = optional(number, 0), max = number })
  default     = { vm_size = "Standard_D8s_v5", max = 4 }

  validation {
    condition     = var.batch_nodes.min >= 0 && var.batch_nodes.min <= var.batch_nodes.max
    error_message = "batch_nodes.min must be between 0 and batch_nodes.max."
  }
}

variable "secrets_date" {
  description = "Day on which the generated passwords and tokens were made, 2026-11-28: another day replaces all of them. They expire after a year."
  type        = string

  validation {
    condition     = can(formatdate("YYYYMMDD", "${var.secrets_date}T00:00:00Z"))
    error_message = "secrets_date is a day, as in 2026-11-28."
  }
}

variable "private_cluster" {
  description = "Give the cluster's API an address inside the network alone. Whoever deploys must then be in it; it cannot be changed later."
  type        = bool
  default     = false
}

variable "audit_locked" {
  description = "Lock the audit log's immutability: nobody, the owner of the subscription included, can undo that or delete the account before its time."
  type        = bool
  default     = false
}

variable "on_call" {
  description = "Mail addresses that alerts go to; none: alerts are only seen in the portal."
  type        = list(string)
  default     = []
}

variable "grants" {
  description = "App roles of planners' sign-in: what each grants (viewer, planner or admin; some stores or regions, or all), and the object ids of the groups that have it."
  type = map(object({
    role    = string
    stores  = optional(list(string))
    regions = optional(list(string))
    groups  = optional(list(string), [])
  }))
  default = {
    Admin   = { role = "admin" }
    Planner = { role = "planner" }
    Viewer  = { role = "viewer" }
  }

  validation {
    condition     = alltrue([for grant in values(var.grants) : contains(["viewer", "planner", "admin"], grant.role)])
    error_message = "A grant's role is viewer, planner or admin."
  }
  validation {
    condition     = alltrue([for name in keys(var.grants) : can(regex("^[A-Za-z0-9._-]+$", name))])
    error_message = "An app role's name has letters, digits, dots, hyphens and underscores: Entra takes no blank."
  }
}

variable "sign_in_client_id" {
  description = "Application id of a registration that somebody else has made, by the runbook; empty: one is made here, which takes the directory's role Application Administrator."
  type        = string
  default     = ""
}
