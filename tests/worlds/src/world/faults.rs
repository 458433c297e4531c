//! The faults of a world.

use serde::Serialize;
use thaw_steps::Step;

use super::serialize::as_debug;

/// A service call of a function that fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallFault {
    /// The function.
    #[serde(serialize_with = "as_debug")]
    pub step: Step,
    /// The call.
    pub call: ServiceCall,
    /// Its number among the same calls of the same function, from 0.
    pub nth: u32,
    /// How it fails.
    pub kind: CallFaultKind,
}

/// How a service call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum CallFaultKind {
    /// The function is killed before the call.
    CrashBefore,
    /// The function is killed after the call took effect.
    CrashAfter,
    /// The call has no effect and no response, so the function times out.
    HangBefore,
    /// The call takes effect and has no response, so the function times out.
    HangAfter,
    /// The service throttles the call.
    Throttled,
    /// The service fails.
    Unavailable,
    /// The call takes effect, and its response is an error.
    ResponseLost,
    /// The response is lost, and the SDK repeats the call.
    SdkRetry,
    /// The service refuses the call with an error that no retry removes. The state fails.
    PermanentError,
}

/// The service calls of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "they are the ports' methods")]
pub enum ServiceCall {
    HeadObject,
    ListObjects,
    GetBucketVersioning,
    RestoreObject,
    PutFile,
    GetFile,
    CreateJob,
    DescribeJob,
    UpdateJobStatus,
    ReadDistributions,
    CreateInvalidation,
    GetInvalidation,
    GetItem,
    GetItems,
    Insert,
    Replace,
    Query,
    StartExecution,
    StopExecution,
    DescribeExecution,
    PutEvents,
    PutAside,
    ReceiveMessages,
    DeleteMessages,
    SendConfirmation,
}

impl ServiceCall {
    /// The service that is called.
    pub fn service(self) -> Service {
        match self {
            Self::HeadObject
            | Self::ListObjects
            | Self::GetBucketVersioning
            | Self::RestoreObject
            | Self::PutFile
            | Self::GetFile
            | Self::CreateJob
            | Self::DescribeJob
            | Self::UpdateJobStatus => Service::S3,
            Self::ReadDistributions | Self::CreateInvalidation | Self::GetInvalidation => Service::CloudFront,
            Self::GetItem | Self::GetItems | Self::Insert | Self::Replace | Self::Query => Service::DynamoDb,
            Self::StartExecution | Self::StopExecution | Self::DescribeExecution => Service::StepFunctions,
            Self::PutEvents => Service::EventBridge,
            Self::PutAside | Self::ReceiveMessages | Self::DeleteMessages | Self::SendConfirmation => Service::Sqs,
        }
    }
}

/// An AWS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "they are AWS's names")]
pub enum Service {
    S3,
    CloudFront,
    DynamoDb,
    StepFunctions,
    EventBridge,
    Sqs,
    Lambda,
}

/// A period in which calls to a service fail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceOutage {
    /// The service.
    pub service: Service,
    /// Its start, in seconds from the start of the simulation.
    pub start: u32,
    /// Its duration.
    pub seconds: u32,
    /// How many of a hundred calls fail.
    pub percent: u32,
    /// How they fail.
    pub kind: CallFaultKind,
}

/// A Lambda invocation that fails as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InvocationFault {
    /// The function.
    #[serde(serialize_with = "as_debug")]
    pub step: Step,
    /// The number of the invocation among those of the function, from 0.
    pub nth: u32,
    /// How it fails.
    pub kind: InvocationFaultKind,
}

/// How an invocation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum InvocationFaultKind {
    /// Lambda does not start the function.
    NotStarted,
    /// The function completes, and its response is lost.
    ResponseLost,
    /// The client of Step Functions times out, and the function goes on.
    ClientTimeout,
    /// The function completes, and its response is larger than a state may carry.
    ResponseTooLarge,
}

/// An execution that is killed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionKill {
    /// The number of the execution, from 0.
    pub execution: u32,
    /// The execution has entered so many states by then.
    pub states_entered: u32,
    /// The delay after that.
    pub delay_millis: u32,
    /// What kills it.
    pub reason: KillReason,
}

/// What ends an execution so that no catcher of the workflow can handle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum KillReason {
    /// The error `States.Runtime`.
    RuntimeError,
    /// The execution exceeds its time limit.
    TimedOut,
    /// An operator stops it in the console, without a cause.
    Aborted,
}

/// An event of S3, or a confirmation, that is not delivered once and in time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventFault {
    /// Its number, from 0.
    pub nth: u32,
    /// What happens to it.
    pub kind: EventFaultKind,
}

/// What happens to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum EventFaultKind {
    /// It is lost.
    Lost,
    /// It is delayed by so many seconds.
    Delayed(u32),
    /// It is delivered twice, the second time so many seconds later.
    Duplicated(u32),
}
