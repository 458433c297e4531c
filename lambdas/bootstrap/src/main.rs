//! One binary for all of thaw's functions: `_HANDLER` selects the step.
//!
//! The only place where the steps, AWS and the Lambda runtime meet. The `match` below lists all functions. Each builds
//! only the clients that it needs, and its role in the template allows no others.

mod clock;
mod log;
mod serve;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::Error;
use thaw_aws::Clients;
use thaw_custom_resource::Responder;
use thaw_steps::api::{adopt, cancel_restore, create_plan, create_restore, get_distributions, get_paths, get_restores};
use thaw_steps::deployment::attachment::Attachment;
use thaw_steps::deployment::preflight::Preflight;
use thaw_steps::events::{
    announce_expiries, check_executions, confirm_invalidations, on_inbox_file, on_restore_completed,
    on_restore_initiated,
};
use thaw_steps::workflow::{
    check_invalidations, check_jobs, check_restores, create_jobs, invalidate, plan, report, report_failure,
    start_restores,
};
use thaw_steps::{CurrentVersions, Settings, Step};

use crate::clock::Clock;
use crate::serve::{Deadline, TokioTime, serve, serve_custom_resource, serve_http, serve_http_in_time, serve_until};

/// Plan begins no page with less time than this. A page of a listing may take three minutes (`aws/src/s3.rs`). After
/// it, its objects may be asked about one by one, and a chunk and a draft are written.
const TIME_FOR_A_PAGE: Duration = Duration::from_secs(5 * 60);

// One event at a time: a second thread would only add switching on the CPU share of a small function (measured: 1.9
// times the requests at 128 MB).
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    log::init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("this function cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let handler = need("_HANDLER")?;
    let step = Step::of_handler(&handler).ok_or_else(|| format!("no function of thaw's is called {handler:?}"))?;
    let clock = Clock::from_env()?;
    let now = || clock.now();
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let settings = &settings;

    let clients = Clients::from_env()?;
    let ledger = || Ok::<_, Error>(clients.ledger(need("LEDGER_TABLE")?));
    let files = || Ok::<_, Error>(clients.work_files(need("WORK_BUCKET")?));
    let jobs = || Ok::<_, Error>(clients.jobs(need("ACCOUNT_ID")?));
    let executions = || Ok::<_, Error>(clients.executions(need("STATE_MACHINE_ARN")?));
    let responder = || Responder::new(clients.https(), TokioTime::begin(), clients.answerable_hosts());

    match step {
        Step::Plan => {
            let (archive, cdn, ledger, files, bus) =
                (&clients.archive(), &clients.cdn(), &ledger()?, &files()?, &clients.bus());
            let run = async |input, deadline: Deadline| {
                let is_time_left = || deadline.left() > TIME_FOR_A_PAGE;
                plan::run(input, archive, cdn, ledger, files, bus, settings, now(), is_time_left).await
            };
            serve_until(run).await
        }
        Step::StartRestores => {
            let (archive, ledger, files) = (&clients.archive(), &ledger()?, &files()?);
            serve(async |input| start_restores::run(input, archive, ledger, files, now()).await).await
        }
        Step::CreateJobs => {
            let jobs = &clients.new_jobs(need("ACCOUNT_ID")?, need("JOB_ROLE_ARN")?, need("WORK_BUCKET")?);
            let (ledger, files) = (&ledger()?, &files()?);
            serve(async |input| create_jobs::run(input, jobs, ledger, files, now()).await).await
        }
        Step::CheckJobs => {
            let (jobs, ledger, files) = (&jobs()?, &ledger()?, &files()?);
            serve(async |input| check_jobs::run(input, jobs, ledger, files, settings, now()).await).await
        }
        Step::CheckRestores => {
            let (archive, ledger, files, bus) = (&clients.archive(), &ledger()?, &files()?, &clients.bus());
            serve(async |input| check_restores::run(input, archive, ledger, files, bus, now()).await).await
        }
        Step::Invalidate => {
            // Patient, because a function that gave up earlier would have to read everything again.
            let cdn = &clients.cdn().patient(Duration::from_secs(60));
            let (archive, ledger, files) = (&clients.archive(), &ledger()?, &files()?);
            serve(async |input| invalidate::run(input, cdn, archive, ledger, files, settings, now()).await).await
        }
        Step::CheckInvalidations => {
            let (cdn, ledger, files) = (&clients.cdn(), &ledger()?, &files()?);
            serve(async |input| check_invalidations::run(input, cdn, ledger, files, now()).await).await
        }
        Step::Report => {
            let (ledger, executions, bus) = (&ledger()?, &executions()?, &clients.bus());
            serve(async |input| report::run(input, ledger, executions, bus, now()).await).await
        }
        Step::ReportFailure => {
            let (ledger, files, bus, jobs) = (&ledger()?, &files()?, &clients.bus(), &jobs()?);
            serve(async |input| report_failure::run(input, ledger, files, bus, jobs, now()).await).await
        }
        Step::CreateRestore => {
            let (ledger, files, executions) = (&ledger()?, &files()?, &executions()?);
            serve_http(async |request| create_restore::run(request, ledger, files, executions, settings, now()).await)
                .await
        }
        Step::CreatePlan => {
            let (archive, cdn, ledger, files) = (&clients.archive(), &clients.cdn(), &ledger()?, &files()?);
            let run = async |request: &_| create_plan::run(request, archive, cdn, ledger, files, settings, now()).await;
            serve_http_in_time(run, create_plan::too_late).await
        }
        Step::GetPaths => {
            let (archive, cdn) = (&clients.archive(), &clients.cdn());
            let run = async |request: &_| get_paths::run(request, archive, cdn, settings, now()).await;
            serve_http_in_time(run, get_paths::too_late).await
        }
        Step::GetRestores => {
            let (ledger, files) = (&ledger()?, &files()?);
            serve_http(async |request| get_restores::run(request, ledger, files).await).await
        }
        Step::CancelRestore => {
            let (ledger, files, executions, jobs) = (&ledger()?, &files()?, &executions()?, &jobs()?);
            serve_http(async |request| cancel_restore::run(request, ledger, files, executions, jobs, now()).await).await
        }
        Step::GetDistributions => {
            let cdn = &clients.cdn();
            serve_http(async |request| get_distributions::run(request, cdn, settings).await).await
        }
        Step::Adopt => {
            let (archive, ledger, files, executions) = (&clients.archive(), &ledger()?, &files()?, &executions()?);
            let run =
                async |request: &_| adopt::run(request, archive, ledger, files, executions, settings, now()).await;
            serve_http(run).await
        }
        Step::OnRestoreCompleted => {
            let (cdn, archive, ledger) = (&clients.cdn(), &clients.archive(), &ledger()?);
            let queue = &clients.queue(need("RESTORE_COMPLETED_QUEUE")?, clock.pace());
            let confirmations = &clients.queue(need("CONFIRM_INVALIDATIONS_QUEUE")?, clock.pace());
            let dead_letters = &clients.dead_letters(need("RESTORE_COMPLETED_DEAD_LETTERS")?);
            let kept = &RefCell::new(CurrentVersions::default());
            let run = async |batch| {
                let mut newest = kept.take();
                let run = on_restore_completed::run(
                    batch,
                    &mut newest,
                    cdn,
                    archive,
                    ledger,
                    queue,
                    confirmations,
                    dead_letters,
                    settings,
                    now,
                );
                let done = run.await;
                kept.replace(newest);
                done
            };
            serve(run).await
        }
        Step::OnRestoreInitiated => {
            let (cdn, ledger, files, executions) = (&clients.cdn(), &ledger()?, &files()?, &executions()?);
            let (bus, dead_letters) = (&clients.bus(), &clients.dead_letters(need("RESTORE_INITIATED_DEAD_LETTERS")?));
            let run = async |batch| {
                on_restore_initiated::run(batch, cdn, ledger, files, executions, bus, dead_letters, settings, now())
                    .await
            };
            serve(run).await
        }
        Step::ConfirmInvalidations => {
            let (cdn, ledger) = (&clients.cdn(), &ledger()?);
            let queue = &clients.queue(need("CONFIRM_INVALIDATIONS_QUEUE")?, clock.pace());
            let dead_letters = &clients.dead_letters(need("CONFIRM_INVALIDATIONS_DEAD_LETTERS")?);
            serve(async |batch| confirm_invalidations::run(batch, cdn, ledger, queue, dead_letters, now()).await).await
        }
        Step::OnInboxFile => {
            let (inbox, ledger, files, executions) = (&clients.archive(), &ledger()?, &files()?, &executions()?);
            let dead_letters = &clients.dead_letters(need("INBOX_FILE_DEAD_LETTERS")?);
            let run = async |batch| {
                on_inbox_file::run(batch, inbox, ledger, files, executions, dead_letters, settings, now()).await
            };
            serve(run).await
        }
        Step::AnnounceExpiries => {
            let (ledger, files, bus) = (&ledger()?, &files()?, &clients.bus());
            serve(async |event| announce_expiries::run(event, ledger, files, bus, now()).await).await
        }
        Step::CheckExecutions => {
            let (executions, ledger, files) = (&executions()?, &ledger()?, &files()?);
            let (bus, jobs) = (&clients.bus(), &jobs()?);
            let run = async |event| check_executions::run(event, executions, ledger, files, bus, jobs, now()).await;
            serve(run).await
        }
        Step::Preflight => {
            let (buckets, cdn, lambda) = (&clients.buckets(need("ACCOUNT_ID")?), &clients.cdn(), &clients.lambda());
            let (region, architecture) = (clients.region(), std::env::consts::ARCH);
            let preflight = Preflight { buckets, cdn, lambda, region, architecture };
            serve_custom_resource(&preflight, &responder()).await
        }
        Step::Attachment => {
            let (buckets, jobs) = (&clients.buckets(need("ACCOUNT_ID")?), &jobs()?);
            let stack = &clients.stack(need("STACK_ID")?);
            let (ledger, files, executions, events) = (&ledger()?, &files()?, &executions()?, &clients.bus());
            let attachment = Attachment { stack, buckets, ledger, files, executions, events, jobs, now };
            serve_custom_resource(&attachment, &responder()).await
        }
    }
}

/// An environment variable that the template sets for this function.
fn need(name: &str) -> Result<String, Error> {
    let value = std::env::var(name).unwrap_or_default();
    if value.is_empty() { Err(format!("the environment has no {name}").into()) } else { Ok(value) }
}
