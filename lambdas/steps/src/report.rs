//! Report: write down how the restore ended, and say so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thaw_core::{Counts, Outcome, Status};
use tracing::info;

use crate::ledger;
use crate::ports::{Ledger, PutEvents, WorkFiles};
use crate::{StepError, plan};

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// The status.
    pub status: Status,
    /// Whether the execution ends green.
    pub succeeded: bool,
    /// In words: the Cause of an execution that ends red.
    pub says: String,
    /// Where the objects are.
    pub counts: Counts,
}

/// Ends a restore whose objects are all settled.
pub async fn run(
    input: Input,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let rows = ledger::rows(ledger, files, &record).await?;
    let outcome = Outcome::of(&rows);
    let counts = Counts::of(&rows);
    let record = ledger::change(ledger, record, |record| {
        record.status = outcome.status;
        record.completed_at = Some(now);
        record.says = Some(outcome.says.clone());
    })
    .await?;
    // A cancelled restore was reported by the door that cancelled it.
    if record.status != Status::Cancelled {
        let detail = json!({
            "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
            "status": record.status, "counts": counts, "says": outcome.says, "notify": record.request.notify,
        });
        let name = if record.status == Status::Succeeded { "Restore Completed" } else { "Restore Failed" };
        events.put_event(name, &detail).await?;
    }
    info!(restore = %record.id, status = record.status.word(), "{}", outcome.says);
    Ok(Output { status: record.status, succeeded: record.status == Status::Succeeded, says: outcome.says, counts })
}
