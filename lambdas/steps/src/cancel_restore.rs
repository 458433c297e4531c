//! `DELETE /v1/restores/{id}`: stops waiting and publishing. What S3 has begun, nobody can stop.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Counts, Event, Problem, Row, Status};
use tracing::info;

use crate::get_restores::{known, view};
use crate::http::{self, Response};
use crate::ledger::{self, RestoreRecord};
use crate::ports::{Ledger, StopExecutions, WorkFiles};
use crate::{IN_FLIGHT, StepError};

/// Cancels a restore. Cancelling it again is fine, and finishes what an earlier try left undone.
pub async fn run(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StopExecutions,
    now: Timestamp,
) -> Response {
    cancel(request, ledger, files, executions, now).await.into()
}

async fn cancel(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StopExecutions,
    now: Timestamp,
) -> Result<Response, StepError> {
    request.expect_queries(&[])?;
    let record = known(request, ledger).await?;
    let rows = ledger::rows(ledger, files, &record).await?;
    let says = says(&record, &rows);

    // The flag goes up first: steps that run at this moment see it and ask for nothing more.
    let record = ledger::change(ledger, record, |record| {
        record.status = Status::Cancelled;
        record.completed_at = Some(now);
        record.says = Some(says.clone());
    })
    .await?;
    match record.status {
        Status::Cancelled => {}
        Status::Running | Status::Succeeded | Status::PartlyFailed | Status::Failed => {
            return Err(Problem::already_ended(record.id.as_str(), record.status.word()).into());
        }
    }
    let says = record.says.as_deref().unwrap_or("The restore was cancelled.");
    executions.stop(&record.id, says).await?;
    // Read again: what moved on before the flag was seen is cancelled as well.
    let rows = ledger::rows(ledger, files, &record).await?;
    stream::iter(rows.iter().filter(|row| !row.is_settled()))
        .map(|row| ledger::apply(ledger, row, &Event::Cancelled { at: record.completed_at.unwrap_or(now) }))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    info!(restore = %record.id, "cancelled restore {}: {says}", record.id);
    Ok(Response::json(202, &view(&record, ledger, files).await?).with("location", format!("/v1/restores/{}", record.id)))
}

/// What was stopped, what cannot be, and what that means for the bill.
fn says(record: &RestoreRecord, rows: &[Row]) -> String {
    if record.plan.is_none() {
        return "Cancelled before anything was asked of S3: nothing is being restored, and nothing was spent.".to_owned();
    }
    let open = Counts::of(rows.iter().filter(|row| !row.is_settled()));
    let mut says = String::from("Cancelled: thaw has stopped waiting and publishes nothing more.");
    if open.planned > 0 {
        says.push_str(&format!(" {} had not been asked of S3 yet, and will not be.", objects(open.planned)));
    }
    let begun = open.restoring + open.restored;
    if begun > 0 {
        says.push_str(&format!(
            " S3 has begun to restore {} and has no way to cancel that: it is paid for, and the copies will be there until they expire.",
            objects(begun),
        ));
    }
    let claimed = rows.iter().filter(|row| !row.is_settled() && crate::restore_view::claim(row).is_some()).count();
    if claimed > 0 {
        says.push_str(&format!(" The invalidation for {} may take effect still.", objects(claimed as u64)));
    }
    if begun == 0 {
        says.push_str(" S3 is restoring nothing for it, so there is nothing more to pay.");
    }
    says
}

fn objects(count: u64) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}
