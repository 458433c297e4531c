use serde_json::json;
use thaw_core::{Execution, ExecutionStatus, JobStatus, State};

use super::*;
use crate::ports::PortError;
use crate::testing::memory::MemoryEvents;
use crate::testing::stack::{Stack, now, restoring};
use crate::workflow::create_jobs;

fn clock() -> Value {
    json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
}

/// An event as Step Functions sends it (Developer Guide, "Automating Step Functions event delivery with EventBridge").
fn event(name: &str) -> Value {
    let detail = json!({"name": name, "status": "FAILED", "error": "E", "cause": "C", "input": "{}"});
    json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail})
}

fn died(status: ExecutionStatus, error: &str, cause: &str) -> Execution {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Execution { status, error: some(error), cause: some(cause), redrives: 0 }
}

async fn check(stack: &Stack, event: Value, at: Timestamp) -> (Result<usize, StepError>, Vec<(String, Value)>) {
    let events = MemoryEvents::default();
    let Stack { executions, ledger, files, jobs, .. } = stack;
    let checked = run(event, executions, ledger, files, &events, jobs, at).await;
    (checked.map(|output| output.ended), events.events())
}

fn later() -> Timestamp {
    now() + YOUNGEST
}

async fn begun(stack: &Stack) -> RestoreId {
    stack.planned(&[("a", restoring())], 1).await
}

#[tokio::test]
async fn a_restore_whose_execution_died_has_failed_and_is_announced_once() {
    for (execution, words) in [
        (died(ExecutionStatus::Failed, "States.Runtime", "It is full."), "It is full."),
        (died(ExecutionStatus::Failed, "States.Runtime", ""), "It failed with States.Runtime, and no cause was given."),
        (died(ExecutionStatus::TimedOut, "", ""), "Its execution ran longer than Step Functions lets it."),
        (
            died(ExecutionStatus::Aborted, "", "wrong bucket"),
            "Its execution was stopped in Step Functions: wrong bucket.",
        ),
    ] {
        for by_clock in [false, true] {
            let stack = Stack::default();
            let id = begun(&stack).await;
            stack.executions.end(&id, execution.clone());
            let trigger = || if by_clock { clock() } else { event(id.as_str()) };
            let (ended, events) = check(&stack, trigger(), later()).await;
            let record = stack.record(&id).await;
            assert_eq!((ended.unwrap(), record.status, record.completed_at), (1, Status::Failed, Some(later())));
            let says = record.says.unwrap();
            assert!(says.starts_with(&format!("{words} Of 1 object: 1 still being restored. Nobody waits")), "{says}");
            assert_eq!((events[0].0.as_str(), &events[0].1["says"], events.len()), ("Restore Failed", &json!(says), 1));
            let (ended, events) = check(&stack, trigger(), later()).await;
            assert_eq!((ended.unwrap(), events.len()), (0, 0), "again");
        }
    }
}

#[tokio::test]
async fn a_restore_that_ended_regularly_is_left_alone() {
    let stack = Stack::default();
    let id = begun(&stack).await;
    stack.executions.end(&id, died(ExecutionStatus::Aborted, "Cancelled", "by its requester"));
    for status in [Status::Cancelled, Status::Succeeded, Status::PartlyFailed, Status::Failed] {
        stack.change(&id, |record| record.status = status).await;
        for event in [clock(), event(id.as_str())] {
            let (ended, events) = check(&stack, event, later()).await;
            assert_eq!((ended.unwrap(), events.len(), stack.record(&id).await.status), (0, 0, status));
        }
    }
}

#[tokio::test]
async fn an_execution_that_began_no_restore_is_announced_with_its_cause_unless_somebody_stopped_it() {
    let stack = Stack::default();
    for name in ["unknown", "no name of a restore"] {
        let (ended, events) = check(&stack, event(name), later()).await;
        let says = format!("The execution {name} began no restore. C.");
        let notice = json!({"schema_version": 1, "id": name, "status": "failed", "says": says});
        assert_eq!((ended.unwrap(), events), (0, vec![("Restore Failed".to_owned(), notice)]));
        let mut stopped = event(name);
        stopped["detail"]["status"] = json!("ABORTED");
        let (ended, events) = check(&stack, stopped, later()).await;
        assert_eq!((ended.unwrap(), events), (0, vec![]));
    }
}

#[tokio::test]
async fn a_running_execution_is_left_alone_and_an_early_event_comes_again() {
    let stack = Stack::default();
    let id = begun(&stack).await;
    assert_eq!(check(&stack, clock(), later()).await.0.unwrap(), 0);
    assert_eq!(check(&stack, event(id.as_str()), later()).await.0.unwrap_err().name(), "Unavailable");
    // It ended, and an operator redrove it since.
    let redriven = Execution { redrives: 1, ..died(ExecutionStatus::Running, "", "") };
    stack.executions.end(&id, redriven);
    assert_eq!(check(&stack, event(id.as_str()), later()).await.0.unwrap(), 0);
    assert_eq!(stack.record(&id).await.status, Status::Running);
}

#[tokio::test]
async fn the_schedule_skips_young_and_old_restores_and_fails_those_that_step_functions_forgot() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Available)], 1).await;
    stack.executions.forget(&id);
    for (age, ended) in [(YOUNGEST - SignedDuration::from_secs(1), 0), (OLDEST, 0), (YOUNGEST, 1)] {
        assert_eq!(check(&stack, clock(), now() + age).await.0.unwrap(), ended, "{age}");
    }
    assert_eq!(
        stack.record(&id).await.says.unwrap(),
        "Step Functions does not know its execution any more. Of 1 object: 1 never archived."
    );
}

#[tokio::test]
async fn the_jobs_of_a_dead_restore_are_cancelled() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Planned)], 1).await;
    stack.change(&id, |record| record.plan.as_mut().unwrap().jobs = vec![0]).await;
    let input = create_jobs::Input { restore: id.to_string(), part: 0 };
    create_jobs::run(input, &stack.jobs, &stack.ledger, &stack.files, now()).await.unwrap();
    stack.executions.end(&id, died(ExecutionStatus::Failed, "States.Runtime", ""));
    check(&stack, event(id.as_str()), later()).await.0.unwrap();
    let (_, job) = stack.jobs.jobs().into_values().next().unwrap();
    assert_eq!(job.status, JobStatus::Cancelled);
}

/// Step Functions, which fails for one execution.
struct Silent<'a>(&'a RestoreId);

impl ReadExecutions for Silent<'_> {
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
        let trouble = Some(thaw_core::CallError::Throttled);
        let error = PortError { what: "DescribeExecution".to_owned(), says: "slower".to_owned(), trouble };
        if id == self.0 { Err(error) } else { Ok(None) }
    }
}

#[tokio::test]
async fn a_restore_that_cannot_be_checked_does_not_stop_the_others() {
    let stack = Stack::default();
    let (silent, other) = (begun(&stack).await, stack.accepted(&["b"]).await);
    let Stack { ledger, files, jobs, .. } = &stack;
    let checked = run(clock(), &Silent(&silent), ledger, files, &MemoryEvents::default(), jobs, later()).await;
    assert_eq!(checked.unwrap_err().name(), "Throttled");
    assert_eq!(stack.record(&silent).await.status, Status::Running);
    assert_eq!(stack.record(&other).await.status, Status::Failed);
}

#[tokio::test]
async fn a_restore_is_overdue_half_a_day_after_its_last_object_should_have_been_readable() {
    let stack = Stack::default();
    let record = stack.record(&begun(&stack).await).await;
    let last = record.plan.as_ref().and_then(|plan| plan.ready_between).map_or(now(), |[_, last]| last);
    assert!(!is_overdue(&record, last + OVERDUE_AFTER));
    assert!(is_overdue(&record, last + OVERDUE_AFTER + SignedDuration::from_secs(1)));
    // Nobody has planned it.
    let unplanned = record.with(|record| record.plan = None);
    assert!(!is_overdue(&unplanned, unplanned.requested_at + OVERDUE_AFTER));
    assert!(is_overdue(&unplanned, unplanned.requested_at + OVERDUE_AFTER + SignedDuration::from_secs(1)));
}
