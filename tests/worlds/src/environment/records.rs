//! What clients, functions and executions did.

use jiff::Timestamp;
use thaw_steps::Step;

use crate::runtime::Signal;
use crate::world::KillReason;

/// An invocation of a Lambda function.
pub(crate) struct Invocation {
    pub step: Step,
    /// Identifies it in its simulation.
    pub number: u64,
    pub started_at: Timestamp,
    /// The restore that it works for, if its payload names one.
    pub restore: Option<String>,
    /// Is set when it ends or is killed.
    pub ended: Signal,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExecutionEnd {
    Succeeded,
    Failed {
        error: String,
        cause: String,
    },
    /// By a cancel request.
    Stopped,
    Killed(KillReason),
}

/// A client's request for a restore.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientRequest {
    /// The id of the restore, if the response has one.
    pub restore: Option<String>,
    /// The body of the response.
    pub response_body: Option<String>,
    /// When a cancel was accepted.
    pub cancelled_at: Option<Timestamp>,
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueueName {
    RestoreInitiated,
    RestoreCompleted,
    ConfirmInvalidations,
}

impl QueueName {
    pub(crate) const ALL: [Self; 3] = [Self::RestoreInitiated, Self::RestoreCompleted, Self::ConfirmInvalidations];
}

/// An answer of CloudFront that is not the object that the viewer requested.
#[derive(Debug, Clone)]
pub(crate) struct WrongAnswer {
    /// The status. It is 200 if the answer is a holding page.
    pub status: u16,
    /// The answer in words.
    pub says: String,
}
