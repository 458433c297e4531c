//! ReportFailure: the restore cannot go on. Write down why, in words, and say so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{RestoreId, Status, why};
use tracing::warn;

use crate::StepError;
use crate::ledger::failing::{failed, says, tell};
use crate::ledger::progress::Standing;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::{chunks, jobs};
use crate::ports::{Ledger, PutEvents, UpdateJobs, WorkFiles};
use crate::workflow::OTHERS_TAKE;

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
    Ok(Output { error, says, anything_left, wait_seconds: OTHERS_TAKE })
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
    let counts = Standing::of(&record, ledger, files).await?.counts;
    let says = says(why, counts);
    // The note that it has failed comes last: whoever dies before leaves a restore that is said to run, and CheckExecutions
    // finds it.
    jobs::cancel(ledger, &record, s3).await?;
    match record.status {
        Status::Running => tell(&record, Status::Failed, counts, &says, events).await?,
        // It had ended when its report failed: then that is what is told.
        Status::Succeeded | Status::PartlyFailed | Status::Failed => {
            tell(&record, record.status, counts, record.says.as_deref().unwrap_or(&says), events).await?;
        }
        // It was reported by the door that cancelled it.
        Status::Cancelled => {}
    }
    let record = restores::change(ledger, record, |record| failed(record, &says, now)).await?;
    let is_watched = record.status != Status::Cancelled && !record.request.dry_run;
    let anything_left = is_watched && chunks::records(ledger, &record).await?.iter().any(|known| !known.settled);
    Ok((says, anything_left))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use thaw_core::{JobStatus, State};

    use super::*;
    use crate::testing::memory::MemoryEvents;
    use crate::testing::stack::{Stack, now, restoring};
    use crate::workflow::create_jobs;

    /// What is said of a restore that cannot go on, and the notices that go out.
    async fn report(stack: &Stack, restore: &str) -> (String, Vec<(String, Value)>) {
        let (output, events) = fail(stack, restore, "Denied", "No access").await;
        assert_eq!(output.error, "Denied");
        (output.says, events)
    }

    async fn fail(stack: &Stack, restore: &str, error: &str, cause: &str) -> (Output, Vec<(String, Value)>) {
        let events = MemoryEvents::default();
        let input = Input { restore: restore.to_owned(), error: error.to_owned(), cause: cause.to_owned() };
        let output = run(input, &stack.ledger, &stack.files, &events, &stack.jobs, now()).await.unwrap();
        (output, events.events())
    }

    #[tokio::test]
    async fn without_a_cause_the_restore_says_the_errors_name_and_without_a_name_the_execution_has_one() {
        let stack = Stack::default();
        let id = stack.accepted(&["a"]).await;
        let (output, _) = fail(&stack, id.as_str(), "States.Timeout", "").await;
        assert_eq!(output.says, "It failed with States.Timeout, and no cause was given.");
        assert_eq!(stack.record(&id).await.says.unwrap(), output.says);
        let (output, _) = fail(&stack, id.as_str(), "", "").await;
        assert_eq!(output.error, "Unknown");
    }

    #[tokio::test]
    async fn what_is_not_settled_is_looked_at_again_unless_nobody_wants_it() {
        let left = async |state: State, change: fn(&mut RestoreRecord)| {
            let stack = Stack::default();
            let id = stack.planned(&[("a", state)], 1).await;
            stack.change(&id, change).await;
            fail(&stack, id.as_str(), "Denied", "No access").await.0.anything_left
        };
        assert!(left(restoring(), |_| {}).await);
        // Whether S3 was asked for it, only S3 knows.
        assert!(left(State::Planned, |_| {}).await);
        assert!(!left(State::Available, |_| {}).await);
        assert!(!left(restoring(), |record| record.status = Status::Cancelled).await);
        assert!(!left(State::Planned, |record| record.request.dry_run = true).await);
        let stack = Stack::default();
        let id = stack.accepted(&["a"]).await;
        assert!(!fail(&stack, id.as_str(), "Denied", "No access").await.0.anything_left, "it has no plan");
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
    async fn a_restore_whose_report_failed_is_told_of_as_it_ended() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", State::Available)], 1).await;
        let end = |record: &mut RestoreRecord| {
            record.status = Status::Succeeded;
            record.says = Some("All is well.".to_owned());
        };
        stack.change(&id, end).await;
        let (_, events) = report(&stack, id.as_str()).await;
        let [(name, detail)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((name.as_str(), &detail["status"]), ("Restore Completed", &json!("succeeded")));
        assert_eq!((&detail["says"], stack.record(&id).await.status), (&json!("All is well."), Status::Succeeded));
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
