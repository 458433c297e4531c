//! Generates the faults of a world.

use thaw_steps::Step;

use super::times::{HOUR, MINUTE, random_time};
use crate::rng::Rng;
use crate::world::{
    CallFault, CallFaultKind, EventFault, EventFaultKind, ExecutionKill, InvocationFault, InvocationFaultKind,
    KillReason, Service, ServiceCall, ServiceOutage,
};

pub(super) fn call_faults(rng: &mut Rng, is_eventful: bool) -> Vec<CallFault> {
    let count = if is_eventful { rng.below(14) } else { rng.below(6) };
    (0..count)
        .map(|_| {
            let step = step(rng);
            let call = rng.choose(calls_of(step));
            let nth = if rng.one_in(2) { rng.below(2) } else { rng.below(12) };
            // Outside the workflow a permanent error is retried too, or the client gets it.
            let is_permanent = step.is_in_the_workflow() && rng.one_in(12);
            let kind = if is_permanent { CallFaultKind::PermanentError } else { call_fault_kind(rng) };
            CallFault { step, call, nth, kind }
        })
        .collect()
}

pub(super) fn invocation_faults(rng: &mut Rng, is_eventful: bool) -> Vec<InvocationFault> {
    let count = if is_eventful { rng.below(6) } else { rng.below(2) };
    (0..count)
        .map(|_| {
            let step = step(rng);
            let is_too_large = step.is_in_the_workflow() && rng.one_in(8);
            let kind = rng.choose(&[
                InvocationFaultKind::NotStarted,
                InvocationFaultKind::ResponseLost,
                InvocationFaultKind::ClientTimeout,
            ]);
            let kind = if is_too_large { InvocationFaultKind::ResponseTooLarge } else { kind };
            InvocationFault { step, nth: rng.below(4), kind }
        })
        .collect()
}

pub(super) fn execution_kills(rng: &mut Rng) -> Vec<ExecutionKill> {
    let count = if rng.one_in(5) { 1 + rng.below(2) } else { 0 };
    (0..count)
        .map(|_| ExecutionKill {
            execution: rng.below(3),
            states_entered: 1 + rng.below(16),
            delay_millis: rng.choose(&[0, 150, 2_000, 40_000]),
            reason: rng.choose(&[KillReason::RuntimeError, KillReason::TimedOut, KillReason::Aborted]),
        })
        .collect()
}

pub(super) fn outages(rng: &mut Rng) -> Vec<ServiceOutage> {
    let count = rng.choose(&[0, 0, 0, 1, 1, 2]);
    (0..count)
        .map(|_| {
            let seconds = match rng.below(3) {
                0 => rng.below(5 * MINUTE),
                1 => rng.below(HOUR),
                _ => rng.below(6 * HOUR),
            };
            ServiceOutage {
                service: rng.choose(&[
                    Service::S3,
                    Service::CloudFront,
                    Service::DynamoDb,
                    Service::StepFunctions,
                    Service::EventBridge,
                    Service::Sqs,
                    Service::Lambda,
                ]),
                start: random_time(rng),
                seconds,
                percent: rng.choose(&[20, 60, 100]),
                kind: rng.choose(&[
                    CallFaultKind::Throttled,
                    CallFaultKind::Unavailable,
                    CallFaultKind::Unavailable,
                    CallFaultKind::ResponseLost,
                ]),
            }
        })
        .collect()
}

pub(super) fn event_faults(rng: &mut Rng, is_eventful: bool) -> Vec<EventFault> {
    let count = if is_eventful { rng.below(8) } else { rng.below(4) };
    (0..count)
        .map(|_| {
            let kind = match rng.below(3) {
                0 => EventFaultKind::Lost,
                1 => EventFaultKind::Delayed(rng.below(10 * HOUR)),
                _ => EventFaultKind::Duplicated(rng.below(10 * HOUR)),
            };
            EventFault { nth: rng.below(10), kind }
        })
        .collect()
}

/// The confirmations that are lost, late or duplicated. They are drawn last.
pub(super) fn confirmation_faults(rng: &mut Rng) -> Vec<EventFault> {
    let count = rng.choose(&[0, 0, 1, 2, 4]);
    (0..count)
        .map(|_| {
            let kind = match rng.below(3) {
                0 => EventFaultKind::Lost,
                1 => EventFaultKind::Delayed(rng.below(10 * HOUR)),
                _ => EventFaultKind::Duplicated(rng.below(10 * HOUR)),
            };
            EventFault { nth: rng.below(6), kind }
        })
        .collect()
}

fn step(rng: &mut Rng) -> Step {
    // No world has inbox files or announced expiries, asks about paths or distributions, or deploys the stack, so a fault there
    // would never happen.
    let is_used = |step: &Step| {
        !matches!(
            step,
            Step::OnInboxFile
                | Step::AnnounceExpiries
                | Step::GetPaths
                | Step::GetDistributions
                | Step::Preflight
                | Step::Attachment
        )
    };
    let used: Vec<Step> = Step::ALL.into_iter().filter(is_used).collect();
    rng.choose(&used)
}

fn call_fault_kind(rng: &mut Rng) -> CallFaultKind {
    rng.choose(&[
        CallFaultKind::CrashBefore,
        CallFaultKind::CrashAfter,
        CallFaultKind::HangBefore,
        CallFaultKind::HangAfter,
        CallFaultKind::Throttled,
        CallFaultKind::Unavailable,
        CallFaultKind::ResponseLost,
        CallFaultKind::SdkRetry,
    ])
}

/// The service calls of a function. A call that is listed more often fails more often.
fn calls_of(step: Step) -> &'static [ServiceCall] {
    use ServiceCall::{
        CreateInvalidation, CreateJob, DeleteMessages, DescribeJob, GetBucketVersioning, GetFile, GetInvalidation,
        GetItem, GetItems, HeadObject, Insert, ListObjects, PutAside, PutEvents, PutFile, Query, ReadDistributions,
        ReceiveMessages, Replace, RestoreObject, SendConfirmation, StartExecution, StopExecution, UpdateJobStatus,
    };
    match step {
        Step::Plan => &[
            HeadObject,
            ReadDistributions,
            Insert,
            Insert,
            PutFile,
            Replace,
            PutEvents,
            ListObjects,
            GetBucketVersioning,
            GetItems,
        ],
        Step::StartRestores => &[
            GetItem,
            GetFile,
            GetItems,
            HeadObject,
            RestoreObject,
            RestoreObject,
            RestoreObject,
            Insert,
            Insert,
            Replace,
            Replace,
        ],
        Step::CreateJobs => {
            &[GetItem, GetItems, GetFile, PutFile, PutFile, Insert, Insert, CreateJob, CreateJob, CreateJob, Replace]
        }
        Step::CheckJobs => &[
            GetItem,
            GetItems,
            GetFile,
            Query,
            DescribeJob,
            DescribeJob,
            UpdateJobStatus,
            UpdateJobStatus,
            Replace,
            Replace,
        ],
        Step::CheckRestores => {
            &[GetItem, GetFile, GetItems, Query, HeadObject, HeadObject, Insert, Insert, Replace, PutEvents]
        }
        Step::Invalidate => &[
            GetItem,
            GetItems,
            ReadDistributions,
            Query,
            Insert,
            Query,
            Replace,
            Replace,
            CreateInvalidation,
            CreateInvalidation,
            HeadObject,
            ListObjects,
        ],
        Step::CheckInvalidations => &[GetItem, GetItems, GetInvalidation, Replace, Replace, Query],
        Step::Report => &[GetItem, GetFile, GetItems, StartExecution, Insert, Replace, PutEvents],
        Step::ReportFailure => &[GetItem, GetFile, GetItems, Replace, UpdateJobStatus, PutEvents],
        Step::CreateRestore => &[Insert, StartExecution],
        Step::CreatePlan => &[HeadObject, ReadDistributions],
        Step::GetPaths => &[HeadObject, ReadDistributions],
        Step::GetDistributions => &[ReadDistributions],
        Step::GetRestores => &[GetItem, GetFile, GetItems, Query],
        Step::CancelRestore => &[GetItem, GetItems, Replace, UpdateJobStatus, StopExecution],
        Step::OnRestoreCompleted => &[
            Query,
            Replace,
            Replace,
            HeadObject,
            ReadDistributions,
            Insert,
            CreateInvalidation,
            CreateInvalidation,
            ReceiveMessages,
            DeleteMessages,
            SendConfirmation,
            PutAside,
        ],
        Step::ConfirmInvalidations => {
            &[GetItem, GetInvalidation, GetInvalidation, Replace, Replace, SendConfirmation, PutAside]
        }
        Step::OnRestoreInitiated => {
            &[Query, ReadDistributions, GetItem, Insert, Insert, Replace, StartExecution, PutEvents, PutAside]
        }
        Step::OnInboxFile => &[Insert, StartExecution, PutFile, PutAside],
        Step::AnnounceExpiries => &[GetItem, GetItems, Query, Replace, PutEvents],
        Step::CheckExecutions => &[
            GetItem,
            GetItems,
            ServiceCall::DescribeExecution,
            UpdateJobStatus,
            PutEvents,
            PutEvents,
            Replace,
            Replace,
        ],
        Step::Adopt => &[ListObjects, HeadObject, Query, Insert, StartExecution],
        // No world calls them.
        Step::Preflight | Step::Attachment => &[],
    }
}
