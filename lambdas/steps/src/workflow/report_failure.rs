//! ReportFailure: ends a restore that cannot go on, records why in words, and announces it.

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

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id: the execution's name.
    pub restore: String,
    /// The name of the error; empty if Step Functions has none.
    pub error: String,
    /// The cause from Step Functions: for an error of a Lambda, JSON with an `errorMessage`. Empty if there is none.
    pub cause: String,
}

/// The reason with which the execution fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// The name of the error.
    pub error: String,
    /// A summary in words: the Cause of the execution.
    pub says: String,
    /// Whether S3 may still be fetching objects of this restore, or may have fetched some that are not published. The
    /// execution then goes on to look at them.
    pub anything_left: bool,
    /// Seconds until the first of those looks.
    pub wait_seconds: u64,
}

/// Ends a restore that cannot go on. Nothing more is asked of S3, and the jobs are cancelled. Objects that S3 is
/// fetching keep their rows and are still published.
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
            // The restore was refused before anything was written.
            None => (why, false),
            Some(record) => end(record, &why, ledger, files, events, s3, now).await?,
        },
    };
    warn!(restore = %input.restore, error = %input.error, "{says}");
    // A Fail state takes no empty error.
    let error = if input.error.is_empty() { "Unknown".to_owned() } else { input.error };
    Ok(Output { error, says, anything_left, wait_seconds: LONGEST_FUNCTION_SECONDS })
}

/// Ends the restore. Answers the text, and whether objects are left that can be published.
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
    let anything_left = is_watched && chunks::records(ledger, &record).await?.iter().any(|chunk| !chunk.settled);
    Ok((says, anything_left))
}

#[cfg(test)]
mod tests;
