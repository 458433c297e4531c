//! Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use serde_json::Value;
use thaw_core::{Execution, ExecutionStatus, RestoreId};
use thaw_steps::ports::{ListExecutions, PortError, ReadExecutions, StartExecutions, StopExecutions};

use crate::error::{Answer, answer, port_error};

/// The executions of thaw's state machine.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Client,
    machine_arn: String,
}

impl Executions {
    pub(crate) fn new(client: Client, machine_arn: String) -> Self {
        Self { client, machine_arn }
    }
}

impl StartExecutions for Executions {
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError> {
        let call = self.client.start_execution().state_machine_arn(&self.machine_arn).name(id.as_str());
        match call.input(input.to_string()).send().await {
            Ok(_) => Ok(()),
            // AWS answers a repeated call with the first execution only while that one runs and if the input is the
            // same, byte for byte.
            Err(error) if answer(&error).is_some_and(|answer| answer.code == "ExecutionAlreadyExists") => Ok(()),
            Err(error) => Err(port_error(format!("StartExecution of {id}"), &error)),
        }
    }
}

/// The most characters of a cause that are sent. `StopExecution` takes 32,768 (API Reference), more than anybody reads.
const CAUSE: usize = 1_000;

impl StopExecutions for Executions {
    async fn stop(&self, id: &RestoreId, cause: &str) -> Result<(), PortError> {
        let call = self.client.stop_execution().execution_arn(execution_arn(&self.machine_arn, id)).error("Cancelled");
        match call.cause(cause.chars().take(CAUSE).collect::<String>()).send().await {
            Ok(_) => Ok(()),
            Err(error) if answer(&error).is_some_and(|answer| does_not_run(&answer)) => Ok(()),
            Err(error) => Err(port_error(format!("StopExecution of {id}"), &error)),
        }
    }
}

/// Whether there is nothing to stop: no such execution, or it has ended. No document says what Step Functions answers to the
/// second; a `ValidationException` says so in its message.
fn does_not_run(answer: &Answer) -> bool {
    answer.code == "ExecutionDoesNotExist"
        || (answer.code == "ValidationException" && answer.message.contains("not running"))
}

impl ReadExecutions for Executions {
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
        let call = self.client.describe_execution().execution_arn(execution_arn(&self.machine_arn, id));
        match call.send().await {
            Ok(output) => Ok(Some(execution(&output))),
            Err(error) if answer(&error).is_some_and(|answer| answer.code == "ExecutionDoesNotExist") => Ok(None),
            Err(error) => Err(port_error(format!("DescribeExecution of {id}"), &error)),
        }
    }
}

impl ListExecutions for Executions {
    async fn running(&self) -> Result<Vec<String>, PortError> {
        let call = self.client.list_executions().state_machine_arn(&self.machine_arn);
        match call.status_filter(aws_sdk_sfn::types::ExecutionStatus::Running).max_results(1_000).send().await {
            Ok(output) => Ok(output.executions().iter().map(|one| one.name().to_owned()).collect()),
            // Somebody deleted it by hand.
            Err(error) if answer(&error).is_some_and(|answer| answer.code == "StateMachineDoesNotExist") => {
                Ok(Vec::new())
            }
            Err(error) => Err(port_error("ListExecutions", &error)),
        }
    }
}

fn execution(output: &DescribeExecutionOutput) -> Execution {
    use aws_sdk_sfn::types::ExecutionStatus as Said;
    let status = match output.status() {
        Said::Succeeded => ExecutionStatus::Succeeded,
        Said::Failed => ExecutionStatus::Failed,
        Said::TimedOut => ExecutionStatus::TimedOut,
        Said::Aborted => ExecutionStatus::Aborted,
        Said::PendingRedrive => ExecutionStatus::PendingRedrive,
        // A status that is unknown here must not be taken for an end.
        _ => ExecutionStatus::Running,
    };
    Execution {
        status,
        error: output.error().map(str::to_owned),
        cause: output.cause().map(str::to_owned),
        redrives: output.redrive_count().and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
    }
}

/// The ARN of an execution: `arn:aws:states:R:A:stateMachine:M` has the executions
/// `arn:aws:states:R:A:execution:M:NAME`.
fn execution_arn(machine_arn: &str, id: &RestoreId) -> String {
    format!("{}:{id}", machine_arn.replacen(":stateMachine:", ":execution:", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_that_has_ended_is_stopped() {
        for (code, message, is_stopped) in [
            ("ExecutionDoesNotExist", "Execution Does Not Exist", true),
            ("ValidationException", "Execution is not running", true),
            ("ValidationException", "1 validation error detected: Value at 'cause'", false),
            ("AccessDeniedException", "not running", false),
        ] {
            let answer = Answer { status: 400, code, message, region: "" };
            assert_eq!(does_not_run(&answer), is_stopped, "{code}: {message}");
        }
    }

    #[test]
    fn an_executions_arn_follows_from_its_machines() {
        let id = RestoreId::try_from("2026-11-22_photos_standard_1".to_owned()).unwrap();
        assert_eq!(
            execution_arn("arn:aws:states:eu-central-1:111122223333:stateMachine:thaw", &id),
            "arn:aws:states:eu-central-1:111122223333:execution:thaw:2026-11-22_photos_standard_1"
        );
    }
}
