//! The end of a restore: its record, and the notice of its end.

use jiff::Timestamp;
use serde_json::json;
use thaw_core::{Counts, Status, sentence};

use crate::StepError;
use crate::ledger::jobs;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ports::{Ledger, PutEvents, UpdateJobs};

/// The text for a restore that cannot go on: why, and the states of its objects.
pub fn says(why: &str, counts: Counts) -> String {
    if counts.total == 0 { why.to_owned() } else { format!("{why} {}", sentence(counts, &[])) }
}

/// Ends a restore that cannot go on as failed, with this text, and cancels its jobs. Answers its record as it is now.
///
/// The record is written last. A function that dies before leaves a restore that looks as if it ran, and
/// CheckExecutions finds it. A restore that had ended before its report failed is announced as it ended. A cancelled
/// restore was announced by CancelRestore.
pub async fn fail(
    record: RestoreRecord,
    counts: Counts,
    says: &str,
    ledger: &impl Ledger,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<RestoreRecord, StepError> {
    jobs::cancel(ledger, &record, s3).await?;
    match record.status {
        Status::Running => announce(&record, Status::Failed, counts, says, events).await?,
        Status::Succeeded | Status::PartlyFailed | Status::Failed => {
            announce(&record, record.status, counts, record.says.as_deref().unwrap_or(says), events).await?;
        }
        Status::Cancelled => {}
    }
    let failed = |record: &mut RestoreRecord| {
        record.status = Status::Failed;
        record.completed_at = Some(now);
        record.says = Some(says.to_owned());
    };
    restores::change(ledger, record, failed).await
}

/// Sends the event `Restore Completed` or `Restore Failed`.
pub async fn announce(
    record: &RestoreRecord,
    status: Status,
    counts: Counts,
    says: &str,
    events: &impl PutEvents,
) -> Result<(), StepError> {
    let mut detail = json!({
        "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
        "status": status, "counts": counts, "says": says, "notify": record.request.notify,
    });
    if let Some(refusal) = &record.refusal {
        detail["problem"] = json!(refusal.problem);
    }
    let name = if status == Status::Succeeded { "Restore Completed" } else { "Restore Failed" };
    Ok(events.put_event(name, &detail).await?)
}
