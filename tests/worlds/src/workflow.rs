//! Runs `statemachine/thaw.asl.json` as Step Functions does, in the time of whatever world it is given.
//!
//! Only the states and fields that thaw uses are known. A field that is not is refused when the definition is loaded:
//! nothing in the file is ever ignored. Beyond what the local stack's emulator does, this knows `MaxDelaySeconds`, jitter
//! and the two limits that end an execution on AWS: 256 KiB of data, and 25,000 events of history.

mod definition;
mod expression;
mod run;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use definition::Workflow;
pub use expression::Template;

/// What a workflow runs in: the functions it calls, and the time that passes.
pub trait World {
    /// Invokes a function. `function` is the step's name: `Plan` for `${PlanArn}`. An error is as Step Functions shows it:
    /// the function's `errorType`, or `States.Timeout` when `timeout` seconds (the state's `TimeoutSeconds`) are over.
    ///
    /// The future is dropped when another iteration of the same Map fails. A Lambda that runs already would go on.
    async fn invoke(&self, execution: &str, function: &str, payload: Value, timeout: u64) -> Result<Value, TaskError>;

    /// Waits: for a Wait state, or before a retry.
    async fn wait(&self, seconds: u64);

    /// A fraction from 0 up to 1, for `JitterStrategy` `FULL`.
    fn jitter(&self) -> f64;

    /// Told of every state that is entered, of every retry and of every catch.
    fn entered(&self, execution: &str, state: &str, what: Entered<'_>);
}

/// What happens at a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered<'a> {
    /// The Map's iteration that the state belongs to, if it is inside a Map.
    pub iteration: Option<usize>,
    /// What happens.
    pub how: PublishedReason<'a>,
}

/// How a state is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedReason<'a> {
    /// From the state before.
    First,
    /// Again after an error.
    Retry {
        /// The error's name.
        error: &'a str,
        /// How long it waits before.
        seconds: u64,
    },
    /// Not again: the error is caught, and the next state is the catcher's.
    Catch {
        /// The error's name.
        error: &'a str,
        /// What comes next.
        next: &'a str,
    },
}

/// An error as Step Functions shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// Its name.
    pub error: String,
    /// What it says.
    pub cause: String,
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// Events in its history.
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
