# The stack for Terraform and OpenTofu: uploads the package in which this folder is, and deploys its template.
# variables.tf and outputs.tf are made from the template, so all three are of one release.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "stack_name" {
  type        = string
  description = "Name of the stack, of at most 43 characters: the first part of every function's name."
  default     = "thaw"
  nullable    = false

  validation {
    condition     = length(regexall("^[A-Za-z][A-Za-z0-9-]{0,42}$", var.stack_name)) > 0
    error_message = "stack_name must be a letter and up to 42 letters, digits and hyphens."
  }
}

data "aws_region" "current" {}

locals {
  package = "${path.module}/.."
  # The release whose files the template names.
  release = regex("thaw/([^/]+)/thaw[.]asl[.]json", file("${local.package}/template.yaml"))[0]
}

resource "aws_s3_object" "release" {
  for_each = toset(["template.yaml", "thaw-arm64.zip", "thaw-x86_64.zip", "thaw.asl.json"])

  bucket = var.code_bucket
  key    = "thaw/${local.release}/${each.value}"
  source = "${local.package}/${each.value}"

  # CloudFormation reads the files of the release before again, when it takes an update back.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudformation_stack" "thaw" {
  name         = var.stack_name
  template_url = "https://s3.${data.aws_region.current.region}.amazonaws.com/${var.code_bucket}/thaw/${local.release}/template.yaml"
  capabilities = ["CAPABILITY_IAM"]
  parameters   = local.parameters

  # After an update that failed, the provider takes the new URL for the stack's. Tags it reads from the stack, so it tries again.
  tags = {
    "thaw:release" = local.release
  }

  # A creation that fails leaves nothing behind, so that the next one can begin.
  on_failure = "DELETE"

  # A stack whose ledger or work bucket is replaced or leaves it forgets its restores.
  policy_body = jsonencode({
    Statement = [
      { Effect = "Allow", Principal = "*", Action = "Update:*", Resource = "*" },
      {
        Effect    = "Deny"
        Principal = "*"
        Action    = ["Update:Replace", "Update:Delete"]
        Resource  = "*"
        Condition = { StringEquals = { ResourceType = ["AWS::DynamoDB::Table", "AWS::S3::Bucket"] } }
      },
    ]
  })

  # Attached may take 20 minutes, and as long again when the update is taken back.
  timeouts {
    create = "60m"
    update = "60m"
    delete = "60m"
  }

  depends_on = [aws_s3_object.release]
}
