//! ReportFailure: the restore cannot go on. Write down why, in words, and say so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thaw_core::{RestoreId, Status, sentence};
use tracing::warn;

use crate::ports::{Ledger, PutEvents, UpdateJobs, WorkFiles};
use crate::restore_view::Standing;
use crate::{RestoreRecord, StepError, jobs, ledger};

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
/// are still published. Nothing more is asked for: its jobs are cancelled.
pub async fn run(
    input: Input,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<Output, StepError> {
    let why = why(&input.cause);
    let says = match RestoreId::try_from(input.restore.clone()) {
        Err(_) => why,
        Ok(id) => match ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&id)).await? {
            // It was refused before anything was written.
            None => why,
            Some(record) => end(record, &why, ledger, files, events, s3, now).await?,
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
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<String, StepError> {
    let counts = Standing::of(&record, ledger, files).await?.counts;
    let says = if counts.total == 0 { why.to_owned() } else { format!("{why} {}", sentence(counts, &[])) };
    let record = ledger::change(ledger, record, |record| {
        record.status = Status::Failed;
        record.completed_at = Some(now);
        record.says = Some(says.clone());
    })
    .await?;
    jobs::cancel(ledger, &record, s3).await?;
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
    use super::*;
    use crate::create_jobs;
    use crate::door::{Stack, now, restoring};
    use crate::memory::MemoryEvents;
    use thaw_core::{JobStatus, State};

    #[test]
    fn the_words_of_a_lambda_error_are_taken_out_of_their_json() {
        assert_eq!(why(r#"{"errorMessage":"tier: must be …","errorType":"InvalidRequest"}"#), "tier: must be ….");
        assert_eq!(why("Task timed out."), "Task timed out.");
    }

    /// What is said of a restore that cannot go on, and the notices that go out.
    async fn report(stack: &Stack, restore: &str) -> (String, Vec<(String, Value)>) {
        let events = MemoryEvents::default();
        let input = Input { restore: restore.to_owned(), error: "Denied".to_owned(), cause: "No access".to_owned() };
        let output = run(input, &stack.ledger, &stack.files, &events, &stack.jobs, now()).await.unwrap();
        assert_eq!(output.error, "Denied");
        (output.says, events.events())
    }

    #[tokio::test]
    async fn a_restore_that_cannot_go_on_ends_in_words() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", restoring())], 1).await;
        let (says, events) = report(&stack, id.as_str()).await;
        assert_eq!(says, "No access. Of 1 object: 1 still being restored.");
        let record = stack.record(&id).await;
        assert_eq!((record.status, record.completed_at, record.says), (Status::Failed, Some(now()), Some(says)));
        assert_eq!(
            (events.len(), events[0].0.as_str(), &events[0].1["status"]),
            (1, "Restore Failed", &json!("failed"))
        );
    }

    #[tokio::test]
    async fn what_was_not_planned_or_not_even_written_says_why_alone() {
        let stack = Stack::default();
        let id = stack.accepted(&["a"]).await;
        assert_eq!(report(&stack, id.as_str()).await.0, "No access.");
        assert_eq!(report(&stack, "unknown").await, ("No access.".to_owned(), Vec::new()));
        assert_eq!(report(&stack, "no id at all").await, ("No access.".to_owned(), Vec::new()));
    }

    #[tokio::test]
    async fn nothing_more_is_asked_for_by_jobs() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", State::Planned)], 1).await;
        stack.change(&id, |record| record.plan.as_mut().unwrap().jobs = vec![0]).await;
        let input = create_jobs::Input { restore: id.to_string(), part: 0 };
        create_jobs::run(input, &stack.jobs, &stack.ledger, &stack.files, now()).await.unwrap();
        report(&stack, id.as_str()).await;
        let (_, job) = stack.jobs.jobs().into_values().next().unwrap();
        assert_eq!(job.status, JobStatus::Cancelled);
    }

    #[tokio::test]
    async fn a_cancelled_restore_is_not_reported_again() {
        let stack = Stack::default();
        let id = stack.accepted(&["a"]).await;
        stack.change(&id, |record| record.status = Status::Cancelled).await;
        assert!(report(&stack, id.as_str()).await.1.is_empty());
        assert_eq!(stack.record(&id).await.status, Status::Cancelled);
    }
}
