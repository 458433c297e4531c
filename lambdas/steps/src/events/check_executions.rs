//! CheckExecutions: whether the executions of restores that are said to run do run.
//!
//! Some ends of an execution nothing in it can catch: `States.Runtime`, `StopExecution` by an operator, an error of
//! ReportFailure itself. EventBridge tells of an end within seconds, but Step Functions sends its events by best effort
//! (EventBridge Events Reference, "AWS Step Functions events"). So the clock has all restores that are said to run looked at a
//! few times a day as well.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use thaw_core::{RestoreId, Status, why_it_ended};
use tracing::{info, warn};

use crate::StepError;
use crate::ledger::failing::{announce, failed, says};
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::{chunks, jobs};
use crate::ports::{Ledger, ListRestores, PutEvents, ReadExecutions, UpdateJobs, WorkFiles};

/// Restores that are listed at a time.
const PAGE: usize = 100;

/// The clock leaves out younger ones: `DescribeExecution` is eventually consistent, and the index lags.
const YOUNGEST: SignedDuration = SignedDuration::from_mins(15);

/// And older ones: no restore runs for so long, and the list would be read back to its beginning each time.
const OLDEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Restores whose executions had ended without a word, and that have failed now.
    pub ended: usize,
}

/// Looks at the execution that an event of Step Functions tells of; for any other event, which is the clock's, at those of all
/// restores that are said to run. A restore whose execution has ended has failed.
///
/// What is told and cancelled comes before the note that the restore has failed: whoever dies in between does it again, and
/// a restore that has ended is left alone. One that cannot be looked at stops no other, and this fails at its end.
pub async fn run(
    event: Value,
    executions: &impl ReadExecutions,
    ledger: &(impl Ledger + ListRestores),
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<Output, StepError> {
    let ended = match trigger(&event) {
        Trigger::Ended(name) => usize::from(check_ended(name, executions, ledger, files, events, s3, now).await?),
        Trigger::Clock => check_all(executions, ledger, files, events, s3, now).await?,
    };
    let says = format!("{ended} restores were said to run whose executions had ended.");
    info!(ended, "{says}");
    Ok(Output { says, ended })
}

/// What an event says.
enum Trigger<'a> {
    /// An execution of this name has ended.
    Ended(&'a str),
    /// It is time to look.
    Clock,
}

fn trigger(event: &Value) -> Trigger<'_> {
    match event["detail"]["name"].as_str().filter(|_| event["source"] == "aws.states") {
        Some(name) => Trigger::Ended(name),
        None => Trigger::Clock,
    }
}

/// Fails with `Unavailable` while Step Functions does not know of the end that it told: the event comes again.
async fn check_ended(
    name: &str,
    executions: &impl ReadExecutions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<bool, StepError> {
    // Executions that are started by hand may have any name; those that no restore can have were refused.
    let Ok(id) = RestoreId::try_from(name.to_owned()) else { return Ok(false) };
    let Some(record) = running(&id, ledger).await? else { return Ok(false) };
    let execution = executions.execution(&id).await?;
    match why_it_ended(execution.as_ref()) {
        Some(why) => end(record, &why, ledger, files, events, s3, now).await,
        None if execution.is_some_and(|execution| execution.redrives > 0) => Ok(false),
        None => Err(StepError::Unavailable(format!("Step Functions told that {id} has ended, and says that it runs"))),
    }
}

async fn check_all(
    executions: &impl ReadExecutions,
    ledger: &(impl Ledger + ListRestores),
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<usize, StepError> {
    let (mut after, mut ended, mut trouble) = (None, 0, None);
    loop {
        let (page, next) = ledger.restores(Some(Status::Running), after.as_ref(), PAGE).await?;
        let of_interest =
            |record: &&RestoreRecord| (YOUNGEST..OLDEST).contains(&now.duration_since(record.requested_at));
        for listed in page.iter().filter(of_interest) {
            match check_listed(&listed.id, executions, ledger, files, events, s3, now).await {
                Ok(has_ended) => ended += usize::from(has_ended),
                Err(error) => {
                    warn!(restore = %listed.id, "whether its execution runs is not known: {error}");
                    trouble.get_or_insert(error);
                }
            }
        }
        after = next.filter(|next| now.duration_since(next.requested_at) < OLDEST);
        if after.is_none() {
            return trouble.map_or(Ok(ended), Err);
        }
    }
}

async fn check_listed(
    id: &RestoreId,
    executions: &impl ReadExecutions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<bool, StepError> {
    let Some(why) = why_it_ended(executions.execution(id).await?.as_ref()) else { return Ok(false) };
    // Read after the execution was seen to have ended: what its last state wrote is there.
    match running(id, ledger).await? {
        Some(record) => end(record, &why, ledger, files, events, s3, now).await,
        None => Ok(false),
    }
}

/// The record of a restore that is said to run.
async fn running(id: &RestoreId, ledger: &impl Ledger) -> Result<Option<RestoreRecord>, StepError> {
    let record = ledger.get::<RestoreRecord>(&RestoreRecord::key_of(id)).await?;
    Ok(record.filter(|record| record.status == Status::Running))
}

/// Ends a restore whose execution goes on no more. Answers whether it was this that ended it.
async fn end(
    record: RestoreRecord,
    why: &str,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<bool, StepError> {
    let counts = RestoreProgress::of(&record, ledger, files).await?.counts;
    let mut words = says(why, counts);
    if chunks::records(ledger, &record).await?.iter().any(|known| !known.settled) {
        words.push_str(&format!(
            " Nobody waits for the others any more: what S3 is fetching is published when S3 says that it is done, and POST /v1/restores/{}/retry asks for them again and waits.",
            record.id
        ));
    }
    jobs::cancel(ledger, &record, s3).await?;
    announce(&record, Status::Failed, counts, &words, events).await?;
    let record = restores::change(ledger, record, |record| failed(record, &words, now)).await?;
    warn!(restore = %record.id, "its execution had ended: {words}");
    Ok(record.says.as_ref() == Some(&words))
}

#[cfg(test)]
mod tests {
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

    /// As Step Functions tells it (Developer Guide, "Automating Step Functions event delivery with EventBridge").
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
    async fn a_restore_whose_execution_died_has_failed_in_words_and_is_told_of_once() {
        for (execution, words) in [
            (died(ExecutionStatus::Failed, "States.Runtime", "It is full."), "It is full."),
            (
                died(ExecutionStatus::Failed, "States.Runtime", ""),
                "It failed with States.Runtime, and no cause was given.",
            ),
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
                assert!(
                    says.starts_with(&format!("{words} Of 1 object: 1 still being restored. Nobody waits")),
                    "{says}"
                );
                assert_eq!(
                    (events[0].0.as_str(), &events[0].1["says"], events.len()),
                    ("Restore Failed", &json!(says), 1)
                );
                let (ended, events) = check(&stack, trigger(), later()).await;
                assert_eq!((ended.unwrap(), events.len()), (0, 0), "again");
            }
        }
    }

    #[tokio::test]
    async fn what_has_ended_as_it_should_is_left_alone() {
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
        for name in ["unknown", "no name of a restore"] {
            assert_eq!(check(&stack, event(name), later()).await.0.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn what_runs_is_left_alone_and_an_event_that_is_ahead_of_step_functions_comes_again() {
        let stack = Stack::default();
        let id = begun(&stack).await;
        assert_eq!(check(&stack, clock(), later()).await.0.unwrap(), 0);
        assert_eq!(check(&stack, event(id.as_str()), later()).await.0.unwrap_err().name(), "Unavailable");
        // It ended, and somebody redrove it since.
        let redriven = Execution { redrives: 1, ..died(ExecutionStatus::Running, "", "") };
        stack.executions.end(&id, redriven);
        assert_eq!(check(&stack, event(id.as_str()), later()).await.0.unwrap(), 0);
        assert_eq!(stack.record(&id).await.status, Status::Running);
    }

    #[tokio::test]
    async fn the_clock_looks_at_no_restore_that_is_too_young_or_too_old_and_at_one_that_step_functions_forgot() {
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
    async fn its_jobs_are_cancelled() {
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

    /// Step Functions, which does not answer about one of them.
    struct Silent<'a>(&'a RestoreId);

    impl ReadExecutions for Silent<'_> {
        async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
            let trouble = Some(thaw_core::CallError::Throttled);
            let error = PortError { what: "DescribeExecution".to_owned(), says: "slower".to_owned(), trouble };
            if id == self.0 { Err(error) } else { Ok(None) }
        }
    }

    #[tokio::test]
    async fn one_that_cannot_be_looked_at_stops_no_other() {
        let stack = Stack::default();
        let (silent, other) = (begun(&stack).await, stack.accepted(&["b"]).await);
        let Stack { ledger, files, jobs, .. } = &stack;
        let checked = run(clock(), &Silent(&silent), ledger, files, &MemoryEvents::default(), jobs, later()).await;
        assert_eq!(checked.unwrap_err().name(), "Throttled");
        assert_eq!(stack.record(&silent).await.status, Status::Running);
        assert_eq!(stack.record(&other).await.status, Status::Failed);
    }
}
