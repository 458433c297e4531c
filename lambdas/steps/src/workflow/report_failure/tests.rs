use serde_json::{Value, json};
use thaw_core::{JobStatus, State};

use super::*;
use crate::testing::memory::MemoryEvents;
use crate::testing::stack::{Stack, now, restoring};
use crate::workflow::create_jobs;

/// The text for a restore that cannot go on, and the notices that are sent.
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
async fn open_objects_are_looked_at_again_unless_the_restore_is_cancelled_or_a_dry_run() {
    let left = async |state: State, change: fn(&mut RestoreRecord)| {
        let stack = Stack::default();
        let id = stack.planned(&[("a", state)], 1).await;
        stack.change(&id, change).await;
        fail(&stack, id.as_str(), "Denied", "No access").await.0.anything_left
    };
    assert!(left(restoring(), |_| {}).await);
    // The ledger does not know whether S3 was asked for it.
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
    assert_eq!((events.len(), events[0].0.as_str(), &events[0].1["status"]), (1, "Restore Failed", &json!("failed")));
}

#[tokio::test]
async fn a_restore_without_a_plan_or_a_record_only_says_why() {
    let stack = Stack::default();
    let id = stack.accepted(&["a"]).await;
    assert_eq!(report(&stack, id.as_str()).await.0, "No access.");
    assert_eq!(report(&stack, "unknown").await, ("No access.".to_owned(), Vec::new()));
    assert_eq!(report(&stack, "no id at all").await, ("No access.".to_owned(), Vec::new()));
}

#[tokio::test]
async fn jobs_of_a_failed_restore_are_cancelled() {
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
async fn a_restore_whose_report_failed_is_announced_as_it_ended() {
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
