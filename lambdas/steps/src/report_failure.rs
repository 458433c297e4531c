//! ReportFailure: the restore cannot go on. Write down why, in words, and say so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thaw_core::{Counts, RestoreId, Status, sentence};
use tracing::warn;

use crate::ports::{Ledger, PutEvents, WorkFiles};
use crate::{RestoreRecord, StepError, ledger};

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id: the execution's name.
    pub restore: String,
    /// The name of the error.
    pub error: String,
    /// What Step Functions knows of it: for a Lambda's error, JSON with an `errorMessage`.
    pub cause: String,
}

/// Why the execution ends red.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// The name of the error.
    pub error: String,
    /// In words: the execution's Cause.
    pub says: String,
}

/// Ends a restore that cannot go on. Objects that S3 is fetching keep their rows: when S3 says that they are done, they
/// are still published.
pub async fn run(
    input: Input,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let why = why(&input.cause);
    let says = match RestoreId::try_from(input.restore.clone()) {
        Err(_) => why,
        Ok(id) => match ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&id)).await? {
            // It was refused before anything was written.
            None => why,
            Some(record) => end(record, &why, ledger, files, events, now).await?,
        },
    };
    warn!(restore = %input.restore, error = %input.error, "{says}");
    Ok(Output { error: input.error, says })
}

async fn end(
    record: RestoreRecord,
    why: &str,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<String, StepError> {
    let counts = Counts::of(&ledger::rows(ledger, files, &record).await?);
    let says = if counts.total == 0 { why.to_owned() } else { format!("{why} {}", sentence(counts, &[])) };
    let record = ledger::change(ledger, record, |record| {
        record.status = Status::Failed;
        record.completed_at = Some(now);
        record.says = Some(says.clone());
    })
    .await?;
    let detail = json!({
        "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
        "status": record.status, "counts": counts, "says": says, "notify": record.request.notify,
    });
    // A cancelled restore was reported by the door that cancelled it.
    if record.status != Status::Cancelled {
        events.put_event("Restore Failed", &detail).await?;
    }
    Ok(says)
}

/// The words in a Cause.
fn why(cause: &str) -> String {
    let message = serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|cause| cause.get("errorMessage").and_then(Value::as_str).map(str::to_owned));
    let mut words = message.unwrap_or_else(|| cause.to_owned());
    if !words.ends_with('.') {
        words.push('.');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::why;

    #[test]
    fn the_words_of_a_lambda_error_are_taken_out_of_their_json() {
        assert_eq!(why(r#"{"errorMessage":"tier: must be …","errorType":"InvalidRequest"}"#), "tier: must be ….");
        assert_eq!(why("Task timed out."), "Task timed out.");
    }
}
