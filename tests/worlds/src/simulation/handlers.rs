//! Runs the code of a function, as `lambdas/bootstrap` does on AWS.

use std::cell::Cell;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thaw_steps::api::{
    adopt, cancel_restore, create_plan, create_restore, get_distributions, get_paths, get_restores, http,
};
use thaw_steps::events::queue::QueueBatch;
use thaw_steps::events::{
    announce_expiries, check_executions, confirm_invalidations, on_inbox_file, on_restore_completed,
    on_restore_initiated,
};
use thaw_steps::workflow::{
    check_invalidations, check_jobs, check_restores, create_jobs, invalidate, plan, report, report_failure,
    start_restores,
};
use thaw_steps::{CurrentVersions, Settings, Step, StepError};

use super::ports::FaultInjectingPorts;
use crate::workflow::TaskError;

/// Runs the function of the invocation that the ports belong to.
pub(super) async fn handle(ports: &FaultInjectingPorts, payload: Value, now: Timestamp) -> Result<Value, TaskError> {
    let p = ports;
    let settings = &p.simulator.settings;
    let result = match p.invocation.step {
        Step::Plan => run_plan(p, payload, now).await,
        Step::StartRestores => to_json(start_restores::run(input(payload), p, p, p, now).await),
        Step::CreateJobs => to_json(create_jobs::run(input(payload), p, p, p, now).await),
        Step::CheckJobs => to_json(check_jobs::run(input(payload), p, p, p, settings, now).await),
        Step::CheckRestores => to_json(check_restores::run(input(payload), p, p, p, p, now).await),
        Step::Invalidate => to_json(invalidate::run(input(payload), p, p, p, p, settings, now).await),
        Step::CheckInvalidations => to_json(check_invalidations::run(input(payload), p, p, p, now).await),
        Step::Report => to_json(report::run(input(payload), p, p, p, now).await),
        Step::ReportFailure => to_json(report_failure::run(input(payload), p, p, p, p, now).await),
        Step::CreateRestore => {
            let request: http::Request = input(payload);
            to_json(Ok(create_restore::run(&request, p, p, p, settings, now).await))
        }
        Step::CreatePlan => {
            let request: http::Request = input(payload);
            to_json(Ok(create_plan::run(&request, p, p, p, p, settings, now).await))
        }
        Step::GetPaths => {
            let request: http::Request = input(payload);
            to_json(Ok(get_paths::run(&request, p, p, settings, now).await))
        }
        Step::GetDistributions => {
            let request: http::Request = input(payload);
            to_json(Ok(get_distributions::run(&request, p, settings).await))
        }
        Step::GetRestores => {
            let request: http::Request = input(payload);
            to_json(Ok(get_restores::run(&request, p, p).await))
        }
        Step::CancelRestore => {
            let request: http::Request = input(payload);
            to_json(Ok(cancel_restore::run(&request, p, p, p, p, now).await))
        }
        Step::Adopt => {
            let request: http::Request = input(payload);
            to_json(Ok(adopt::run(&request, p, p, p, p, settings, now).await))
        }
        Step::OnRestoreCompleted => run_on_restore_completed(p, payload).await,
        Step::OnRestoreInitiated => {
            let batch: QueueBatch = input(payload);
            let limited = Settings { joined_max_cost: p.simulator.joined_max_cost(), ..settings.clone() };
            to_json(on_restore_initiated::run(batch, p, p, p, p, p, p, &limited, now).await)
        }
        Step::ConfirmInvalidations => to_json(confirm_invalidations::run(input(payload), p, p, p, p, now).await),
        Step::OnInboxFile => {
            let batch: QueueBatch = input(payload);
            to_json(on_inbox_file::run(batch, p, p, p, p, p, settings, now).await)
        }
        Step::AnnounceExpiries => to_json(announce_expiries::run(payload, p, p, p, now).await),
        Step::CheckExecutions => to_json(check_executions::run(payload, p, p, p, p, p, now).await),
        Step::Preflight | Step::Attachment => unreachable!("no world deploys a stack"),
    };
    result.map_err(|error| {
        let cause = json!({"errorType": error.name(), "errorMessage": error.to_string()}).to_string();
        TaskError { error: error.name().to_owned(), cause }
    })
}

/// Runs Plan, which has time for so many pages as the world says.
async fn run_plan(ports: &FaultInjectingPorts, payload: Value, now: Timestamp) -> Result<Value, StepError> {
    let p = ports;
    let pages = Cell::new(p.simulator.env.world.pages_per_plan_call);
    let is_time_left = || {
        pages.set(pages.get().saturating_sub(1));
        pages.get() > 0
    };
    let planned = plan::run(input(payload), p, p, p, p, p, &p.simulator.settings, now, is_time_left).await;
    if planned.as_ref().is_ok_and(|planned| !planned.cursor.is_empty()) {
        p.simulator.checker.borrow_mut().cover("plan in several calls");
    }
    to_json(planned)
}

/// Runs OnRestoreCompleted. Some of its functions are warm and keep what they know of current versions. Others are new,
/// and list a page sooner or later.
async fn run_on_restore_completed(ports: &FaultInjectingPorts, payload: Value) -> Result<Value, StepError> {
    let p = ports;
    let batch: QueueBatch = input(payload);
    let warm_functions = &p.simulator.warm_functions;
    let is_new = p.invocation.number.is_multiple_of(2);
    let warm = if is_new { None } else { warm_functions.borrow_mut().pop() };
    let patience = usize::try_from(p.invocation.number % 3).unwrap_or(0);
    let mut newest = warm.unwrap_or_else(|| CurrentVersions::patient(patience));
    let result = on_restore_completed::run(batch, &mut newest, p, p, p, p, p, p, &p.simulator.settings, || {
        p.simulator.env.now()
    })
    .await;
    warm_functions.borrow_mut().push(newest);
    to_json(result)
}

fn input<T: DeserializeOwned>(payload: Value) -> T {
    serde_json::from_value(payload).unwrap_or_else(|error| panic!("a function was handed what it cannot read: {error}"))
}

fn to_json(output: Result<impl Serialize, StepError>) -> Result<Value, StepError> {
    Ok(serde_json::to_value(output?)?)
}
