//! The end of a restore that cannot go on.

use jiff::Timestamp;
use serde_json::json;
use thaw_core::{Counts, Status, sentence};

use crate::StepError;
use crate::ledger::restores::RestoreRecord;
use crate::ports::PutEvents;

/// Why, and where the objects stand.
pub fn says(why: &str, counts: Counts) -> String {
    if counts.total == 0 { why.to_owned() } else { format!("{why} {}", sentence(counts, &[])) }
}

/// The record of a restore that cannot go on.
pub fn failed(record: &mut RestoreRecord, says: &str, now: Timestamp) {
    record.status = Status::Failed;
    record.completed_at = Some(now);
    record.says = Some(says.to_owned());
}

/// Tells whoever listens how a restore ended.
pub async fn announce(
    record: &RestoreRecord,
    status: Status,
    counts: Counts,
    says: &str,
    events: &impl PutEvents,
) -> Result<(), StepError> {
    let detail = json!({
        "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
        "status": status, "counts": counts, "says": says, "notify": record.request.notify,
    });
    let name = if status == Status::Succeeded { "Restore Completed" } else { "Restore Failed" };
    Ok(events.put_event(name, &detail).await?)
}
