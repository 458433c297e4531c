//! Runs `statemachine/thaw.asl.json` as Step Functions does, on the clock of a [`Host`].
//!
//! It supports the states and fields that thaw uses. Loading a definition with any other field is an error, so nothing in
//! the file is ignored. Unlike the emulator of the local stack, it has `MaxDelaySeconds`, jitter, and the two limits that
//! end an execution on AWS: 256 KiB of data and 25,000 history events.

mod definition;
mod expression;
mod run;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use definition::Workflow;
pub use expression::Template;

/// What a workflow runs on: Lambda functions, a clock and random numbers.
pub trait Host {
    /// Invokes a function. `function` is the step's name: `Plan` for `${PlanArn}`. An error is the one that Step Functions
    /// sees: the function's `errorType`, or `States.Timeout` after `timeout` seconds (the state's `TimeoutSeconds`).
    ///
    /// The future is dropped when another iteration of the same Map fails. The Lambda goes on, as it does on AWS.
    async fn invoke(&self, execution: &str, function: &str, payload: Value, timeout: u64) -> Result<Value, TaskError>;

    /// Waits: in a Wait state, or before a retry.
    async fn wait(&self, seconds: u64);

    /// A number from 0 up to but without 1, for `JitterStrategy` `FULL`.
    fn jitter(&self) -> f64;

    /// Is called whenever a state is entered, retried or caught.
    fn observe(&self, execution: &str, state: &str, event: StateEvent<'_>);
}

/// Something that happens at a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateEvent<'a> {
    /// The iteration, if the state is inside a Map.
    pub iteration: Option<usize>,
    /// What happens.
    pub kind: StateEventKind<'a>,
}

/// What happens at a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateEventKind<'a> {
    /// It is entered.
    Entered,
    /// It failed and is tried again.
    Retried {
        /// The error's name.
        error: &'a str,
        /// The delay before the retry.
        seconds: u64,
    },
    /// It failed, and a catcher caught the error.
    Caught {
        /// The error's name.
        error: &'a str,
        /// The catcher's next state.
        next: &'a str,
    },
}

/// An error as Step Functions shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// Its name.
    pub error: String,
    /// Its description.
    pub cause: String,
}

/// The result of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionResult {
    /// How it ended.
    pub outcome: Outcome,
    /// The number of events in its history.
    pub events: u64,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With an output.
    Succeeded(Value),
    /// With an error that nothing caught.
    Failed(TaskError),
}
