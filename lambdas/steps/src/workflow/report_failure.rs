//! ReportFailure: the restore cannot go on. Write down why, in words, and say so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{RestoreId, Status, why};
use tracing::warn;

use crate::StepError;
use crate::ledger::chunks;
use crate::ledger::ending::{fail, says};
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::RestoreRecord;
use crate::ports::{Ledger, PutEvents, UpdateJobs, WorkFiles};
use crate::workflow::LONGEST_FUNCTION_SECONDS;

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id: the execution's name.
    pub restore: String,
    /// The name of the error; empty if Step Functions has none.
    pub error: String,
    /// What Step Functions knows of it: for a Lambda's error, JSON with an `errorMessage`. Empty if it knows nothing.
    pub cause: String,
}

/// Why the execution ends red.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// The name of the error.
    pub error: String,
    /// In words: the execution's Cause.
    pub says: String,
    /// Whether S3 may be fetching objects for it, or may have fetched some that are not published: the execution goes on to
    /// look at them.
    pub anything_left: bool,
    /// Seconds until the first of those looks.
    pub wait_seconds: u64,
}

/// Ends a restore that cannot go on. Nothing more is asked for: its jobs are cancelled. Objects that S3 is fetching keep
/// their rows, and are still published.
pub async fn run(
    input: Input,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<Output, StepError> {
    let why = why(&input.error, &input.cause);
    let (says, anything_left) = match RestoreId::try_from(input.restore.clone()) {
        Err(_) => (why, false),
        Ok(id) => match ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&id)).await? {
            // It was refused before anything was written.
            None => (why, false),
            Some(record) => end(record, &why, ledger, files, events, s3, now).await?,
        },
    };
    warn!(restore = %input.restore, error = %input.error, "{says}");
    // A Fail state takes no empty error.
    let error = if input.error.is_empty() { "Unknown".to_owned() } else { input.error };
    Ok(Output { error, says, anything_left, wait_seconds: LONGEST_FUNCTION_SECONDS })
}

/// Ends it. Answers what is said, and whether anything is left that can be published.
async fn end(
    record: RestoreRecord,
    why: &str,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<(String, bool), StepError> {
    let counts = RestoreProgress::of(&record, ledger, files).await?.counts;
    let says = says(why, counts);
    let record = fail(record, counts, &says, ledger, events, s3, now).await?;
    let is_watched = record.status != Status::Cancelled && !record.request.dry_run;
    let anything_left = is_watched && chunks::records(ledger, &record).await?.iter().any(|known| !known.settled);
    Ok((says, anything_left))
}

#[cfg(test)]
mod tests;
