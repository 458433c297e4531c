//! `DELETE /v1/restores/{id}`: stops waiting and publishing. Restores that S3 has begun cannot be stopped.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Event, Problem, Status, quantity};

use crate::StepError;
use crate::api::http::{self, Response};
use crate::api::named_restore;
use crate::ledger::chunks::{self, ChunkObject, RowPresence};
use crate::ledger::jobs::{self, JobRecord};
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows;
use crate::ports::{IN_FLIGHT, Ledger, StopExecutions, UpdateJobs, WorkFiles};
use crate::views::restore_view::RestoreView;

/// Cancels a restore. Idempotent: a second call completes what an earlier one left undone.
pub async fn run(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StopExecutions,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Response {
    cancel(request, ledger, files, executions, s3, now).await.into()
}

async fn cancel(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StopExecutions,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<Response, StepError> {
    request.expect_queries(&[])?;
    let record = named_restore(request, ledger).await?;
    let is_asking = |job: &JobRecord| job.is_open() && job.confirmed;
    let by_jobs = jobs::all(ledger, &record).await?.iter().any(is_asking);
    let says = says(&record, &RestoreProgress::of(&record, ledger, files).await?, by_jobs);

    // The status comes first: steps that run at this moment see it and ask for nothing more.
    let record = restores::change(ledger, record, |record| {
        record.status = Status::Cancelled;
        record.completed_at = Some(now);
        record.says = Some(says.clone());
    })
    .await?;
    match record.status {
        Status::Cancelled => {}
        Status::Running | Status::Succeeded | Status::PartlyFailed | Status::Failed => {
            return Err(Problem::already_ended(record.id.as_str(), record.status.as_str()).into());
        }
    }
    let says = record.says.as_deref().unwrap_or("The restore was cancelled.");
    jobs::cancel(ledger, &record, s3).await?;
    // Read again, to cancel rows that steps wrote before they saw the status.
    let chunks = chunks::records(ledger, &record).await?;
    // If there are too many objects for one HTTP answer, the events of S3 find that their restore was cancelled.
    let objects = chunks::all_objects(ledger, files, &record, &chunks).await?.unwrap_or_default();
    let event = Event::Cancelled { at: record.completed_at.unwrap_or(now) };
    let is_open = |object: &&ChunkObject| object.written != RowPresence::Nothing && object.row.ends_with_a_cancel();
    stream::iter(objects.iter().filter(is_open))
        .map(|object| rows::apply(ledger, &object.row, &event))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    // Stopped last: until then the execution itself completes what a failed call leaves undone here.
    executions.stop(&record.id, says).await?;
    Ok(Response::json(202, &RestoreView::read(&record, ledger, files).await?)
        .with("location", format!("/v1/restores/{}", record.id)))
}

/// The text: what was stopped, what cannot be stopped, and what has to be paid.
fn says(record: &RestoreRecord, progress: &RestoreProgress, by_jobs: bool) -> String {
    if record.plan.is_none() {
        return "Cancelled before anything was asked of S3: nothing is being restored, and nothing was spent."
            .to_owned();
    }
    let open = &progress.counts;
    let readable = if record.request.publish.never() { 0 } else { open.restored };
    let mut says = String::from("Cancelled: thaw has stopped waiting and publishes nothing more.");
    if open.planned > 0 && by_jobs {
        says.push_str(&format!(
            " S3 Batch Operations was asking for {}, and asks for no more; what it has asked for is being restored and is paid for.",
            objects(open.planned),
        ));
    } else if open.planned > 0 {
        says.push_str(&format!(" {} had not been asked of S3 yet, and will not be.", objects(open.planned)));
    }
    let begun = open.restoring + readable;
    if begun > 0 {
        says.push_str(&format!(
            " S3 has begun to restore {} and has no way to cancel that: it is paid for, and the copies will be there until they expire.",
            objects(begun),
        ));
    }
    if progress.claimed > 0 {
        says.push_str(&format!(" The invalidation for {} may take effect still.", objects(progress.claimed)));
    }
    if begun == 0 && !(by_jobs && open.planned > 0) {
        says.push_str(" S3 is restoring nothing for it, so there is nothing more to pay.");
    }
    says
}

fn objects(count: u64) -> String {
    quantity(count, "object", "objects")
}

#[cfg(test)]
mod tests;
