# Made from the template. Where this is developed, a test holds it against the template, and writes it anew.

# What thaw may touch

variable "archive_buckets" {
  type        = list(string)
  description = "Buckets to restore from, in this account and Region. thaw may touch no other."
  nullable    = false

  validation {
    condition     = length(var.archive_buckets) > 0 && alltrue([for one in var.archive_buckets : length(regexall("^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$", one)) > 0])
    error_message = "archive_buckets must be a list of bucket names, not of ARNs."
  }
}

variable "archive_kms_keys" {
  type        = list(string)
  description = "ARNs of the KMS keys with which objects, manifests and inventories in the archive buckets are encrypted. Empty means only S3's own keys."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.archive_kms_keys : length(regexall("^(?:|arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", one)) > 0])
    error_message = "archive_kms_keys must be a list of ARNs of keys, not of aliases."
  }
}

variable "distribution_ids" {
  type        = list(string)
  description = "Ids of the CloudFront distributions in front of the buckets. Empty means that thaw finds them by their origins and may invalidate on any."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.distribution_ids : length(regexall("^(?:|E[A-Z0-9]{5,31})$", one)) > 0])
    error_message = "distribution_ids must be a list of distribution ids such as E2QWRUHEXAMPLE."
  }
}

variable "staging_distributions" {
  type        = string
  description = "found means that thaw also invalidates the staging distributions to which continuous deployment policies of distribution_ids send viewers; its roles may then invalidate on any distribution. named means only what distribution_ids names."
  default     = "found"
  nullable    = false

  validation {
    condition     = contains(["found", "named"], var.staging_distributions)
    error_message = "staging_distributions must be one of found, named."
  }
}

# What your distributions do to paths

variable "directory_index" {
  type        = string
  description = "Name that a function of your distribution appends to a path that ends in a slash, for example index.html; thaw assumes that the function does nothing else. Empty means none."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:[^/\\s]*)$", var.directory_index)) > 0 && length(var.directory_index) <= 128
    error_message = "directory_index must be the name of a file such as index.html, without slashes or spaces, of at most 128 characters."
  }
}

variable "path_rules" {
  type        = string
  description = "Under which other paths functions of your distributions show keys, as a JSON list such as [{\"keys\":\"images/{path...}\",\"paths\":[\"/img/{path...}\"]}]. Empty means under none. The operator's guide has the fields."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|\\s*\\[\\s*([{][\\s\\S]*[}]\\s*)?\\]\\s*)$", var.path_rules)) > 0 && length(var.path_rules) <= 2048
    error_message = "path_rules must be a JSON list of objects, of at most 2,048 characters."
  }
}

# What it may spend

variable "daily_budget_usd" {
  type        = string
  description = "The most that all restores of a day (UTC) may cost together by their plans, in US dollars. Empty means no limit."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|[0-9]{1,9}([.][0-9]{1,9})?)$", var.daily_budget_usd)) > 0
    error_message = "daily_budget_usd must be an amount of US dollars such as 25 or 0.5, without a currency sign or thousands separators, or empty."
  }
}

variable "inbox_max_cost_usd" {
  type        = string
  description = "The most that the restore of a manifest in the inbox may cost by its plan, in US dollars. Empty means no limit. A request in the inbox has its own limit."
  default     = "10"
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|[0-9]{1,9}([.][0-9]{1,9})?)$", var.inbox_max_cost_usd)) > 0
    error_message = "inbox_max_cost_usd must be an amount of US dollars such as 25 or 0.5, without a currency sign or thousands separators, or empty."
  }
}

variable "joined_max_cost_usd" {
  type        = string
  description = "The most that thaw may spend per day (UTC), by plans, to publish objects that other tools restore, in US dollars. 0 means not to publish them, empty means no limit."
  default     = "1"
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|[0-9]{1,9}([.][0-9]{1,9})?)$", var.joined_max_cost_usd)) > 0
    error_message = "joined_max_cost_usd must be an amount of US dollars such as 25 or 0.5, without a currency sign or thousands separators, or empty."
  }
}

# How it works

variable "event_rules" {
  type        = string
  description = "DISABLED means to ignore S3's events of restores and not to poll their queues, which then cost nothing at rest; objects are found and published by polling S3 alone. The inbox still works."
  default     = "ENABLED"
  nullable    = false

  validation {
    condition     = contains(["ENABLED", "DISABLED"], var.event_rules)
    error_message = "event_rules must be one of ENABLED, DISABLED."
  }
}

variable "manage_bucket_events" {
  type        = bool
  description = "true means that the stack turns on that archive_buckets send their events to EventBridge, keeps all else in their notification configurations, and turns off at the end what it turned on. false means that it changes nothing in the buckets."
  default     = false
  nullable    = false
}

variable "restores_per_second" {
  type        = number
  description = "S3's quota of restore requests per second for this account, shared by all callers. thaw starts below it and adapts to what is free. It does not limit thaw itself."
  default     = 1000
  nullable    = false

  validation {
    condition     = var.restores_per_second >= 1 && var.restores_per_second <= 100000
    error_message = "restores_per_second must be a number of requests a second from 1 to 100000."
  }
}

variable "batch_operations_over" {
  type        = number
  description = "A restore of more archived objects than this uses S3 Batch Operations, at Standard and Bulk. A request can override it."
  default     = 5000000
  nullable    = false

  validation {
    condition     = var.batch_operations_over >= 0 && var.batch_operations_over <= 12000000
    error_message = "batch_operations_over must be a number of objects from 0 to 12000000, the most that a restore can have."
  }
}

# What you are told

variable "notice_email" {
  type        = string
  description = "Address that gets the notices after it has confirmed the subscription. Empty means none; the topic exists anyway."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|[^@\\s]+@[^@\\s]+[.][^@\\s]+)$", var.notice_email)) > 0 && length(var.notice_email) <= 254
    error_message = "notice_email must be one e-mail address such as ops@example.com, or empty."
  }
}

variable "dashboard" {
  type        = string
  description = "ENABLED means a CloudWatch dashboard with what is well, what is late, how long it takes and what it costs. Three are free in each account; each other one costs 3 USD a month."
  default     = "DISABLED"
  nullable    = false

  validation {
    condition     = contains(["ENABLED", "DISABLED"], var.dashboard)
    error_message = "dashboard must be one of ENABLED, DISABLED."
  }
}

variable "log_retention_days" {
  type        = number
  description = "How long logs are kept."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827."
  }
}

# Where the code is

variable "code_bucket" {
  type        = string
  description = "Bucket in this Region with the code and the state machine's definition, under the keys that the package gives them."
  nullable    = false

  validation {
    condition     = length(regexall("^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$", var.code_bucket)) > 0
    error_message = "code_bucket must be the name of a bucket, 3 to 63 characters, without s3:// or an ARN."
  }
}

variable "architecture" {
  type        = string
  description = "Architecture of the functions. The package has the code for both; arm64 is a fifth cheaper."
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be one of arm64, x86_64."
  }
}

# What your organization requires, and what an earlier stack left

variable "permissions_boundary" {
  type        = string
  description = "ARN of the permissions boundary that your organization requires on every role. Empty means none."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|arn:aws:iam::(aws|[0-9]{12}):policy/.+)$", var.permissions_boundary)) > 0
    error_message = "permissions_boundary must be the ARN of a managed policy such as arn:aws:iam::123456789012:policy/boundary, or empty."
  }
}

variable "existing_ledger" {
  type        = string
  description = "Name of the table that an earlier stack kept. This stack then goes on with it and makes none. Empty means a new one."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|[A-Za-z0-9_.-]{3,255})$", var.existing_ledger)) > 0
    error_message = "existing_ledger must be the name of a DynamoDB table, not its ARN, or empty."
  }
}

variable "existing_work_bucket" {
  type        = string
  description = "Name of the work bucket that the same stack kept. The ledger names files in it, so both are given or neither."
  default     = ""
  nullable    = false

  validation {
    condition     = length(regexall("^(?:|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$", var.existing_work_bucket)) > 0
    error_message = "existing_work_bucket must be the name of a bucket, 3 to 63 characters, without s3:// or an ARN, or empty."
  }
}

locals {
  parameters = {
    ArchiveBuckets       = join(",", var.archive_buckets)
    ArchiveKmsKeys       = join(",", var.archive_kms_keys)
    DistributionIds      = join(",", var.distribution_ids)
    StagingDistributions = var.staging_distributions
    DirectoryIndex       = var.directory_index
    PathRules            = var.path_rules
    DailyBudgetUsd       = var.daily_budget_usd
    InboxMaxCostUsd      = var.inbox_max_cost_usd
    JoinedMaxCostUsd     = var.joined_max_cost_usd
    EventRules           = var.event_rules
    ManageBucketEvents   = tostring(var.manage_bucket_events)
    RestoresPerSecond    = tostring(var.restores_per_second)
    BatchOperationsOver  = tostring(var.batch_operations_over)
    NoticeEmail          = var.notice_email
    Dashboard            = var.dashboard
    LogRetentionDays     = tostring(var.log_retention_days)
    CodeBucket           = var.code_bucket
    Architecture         = var.architecture
    PermissionsBoundary  = var.permissions_boundary
    ExistingLedger       = var.existing_ledger
    ExistingWorkBucket   = var.existing_work_bucket
  }
}
