# Made from the template. Where this is developed, a test holds it against the template, and writes it anew.

output "api_url" {
  description = "Address of the HTTP API"
  value       = aws_cloudformation_stack.thaw.outputs["ApiUrl"]
}

output "confirm_invalidations_dead_letters_arn" {
  value = aws_cloudformation_stack.thaw.outputs["ConfirmInvalidationsDeadLettersArn"]
}

output "confirm_invalidations_queue_url" {
  value = aws_cloudformation_stack.thaw.outputs["ConfirmInvalidationsQueueUrl"]
}

output "inbox_file_dead_letters_arn" {
  value = aws_cloudformation_stack.thaw.outputs["InboxFileDeadLettersArn"]
}

output "inbox_file_queue_url" {
  value = aws_cloudformation_stack.thaw.outputs["InboxFileQueueUrl"]
}

output "ledger_table" {
  description = "Table with the state of every object"
  value       = aws_cloudformation_stack.thaw.outputs["LedgerTable"]
}

output "preflight_warnings" {
  description = "What is doubtful about the parameters"
  value       = aws_cloudformation_stack.thaw.outputs["PreflightWarnings"]
}

output "release" {
  description = "Name of this code with these parameters"
  value       = aws_cloudformation_stack.thaw.outputs["Release"]
}

output "restore_completed_dead_letters_arn" {
  value = aws_cloudformation_stack.thaw.outputs["RestoreCompletedDeadLettersArn"]
}

output "restore_completed_queue_url" {
  value = aws_cloudformation_stack.thaw.outputs["RestoreCompletedQueueUrl"]
}

output "restore_initiated_dead_letters_arn" {
  value = aws_cloudformation_stack.thaw.outputs["RestoreInitiatedDeadLettersArn"]
}

output "restore_initiated_queue_url" {
  value = aws_cloudformation_stack.thaw.outputs["RestoreInitiatedQueueUrl"]
}

output "state_machine_arn" {
  description = "State machine whose executions are the restores"
  value       = aws_cloudformation_stack.thaw.outputs["StateMachineArn"]
}

output "topic_arn" {
  description = "Topic of the notices"
  value       = aws_cloudformation_stack.thaw.outputs["TopicArn"]
}

output "undelivered_events_url" {
  value = aws_cloudformation_stack.thaw.outputs["UndeliveredEventsUrl"]
}

output "work_bucket" {
  description = "Bucket with the inbox; a file under inbox/ starts a restore"
  value       = aws_cloudformation_stack.thaw.outputs["WorkBucket"]
}
