//! CheckExecutions: whether restores whose status is running have a running execution.
//!
//! An execution cannot catch all of its ends: `States.Runtime`, `StopExecution` by an operator, an error of
//! ReportFailure itself. EventBridge reports an end within seconds, but Step Functions sends its events on a
//! best-effort basis (EventBridge Events Reference, "AWS Step Functions events"). So a schedule also has all running
//! restores checked four times a day.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use thaw_core::{RestoreId, Status, why, why_it_ended};
use tracing::{info, warn};

use crate::StepError;
use crate::ledger::chunks;
use crate::ledger::ending::{fail, says};
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::{ListRestores, RestoreRecord};
use crate::ports::{Ledger, PutEvents, ReadExecutions, UpdateJobs, WorkFiles};

/// Restores that are listed at a time.
const PAGE: usize = 100;

/// The schedule leaves out younger restores, because `DescribeExecution` is eventually consistent and the index lags
/// behind.
const YOUNGEST: SignedDuration = SignedDuration::from_mins(15);

/// The schedule leaves out older restores, too. No restore runs for so long, and otherwise each run would read the
/// whole list.
const OLDEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How long after the time at which its last object is typically readable a restore is overdue.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(12);

/// The result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// Restores whose executions had ended without a report. They have failed now.
    pub ended: usize,
}

/// Checks the execution that an event of Step Functions names. Any other event is the schedule's: then the executions
/// of all running restores are checked. A restore whose execution has ended has failed.
///
/// Idempotent: a restore that has ended is left alone. A restore whose execution cannot be checked does not stop the
/// others, and the run fails at its end.
pub async fn run(
    event: Value,
    executions: &impl ReadExecutions,
    ledger: &(impl Ledger + ListRestores),
    files: &impl WorkFiles,
    events: &impl PutEvents,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<Output, StepError> {
    let check = Check { executions, ledger, files, events, s3, now };
    let Found { ended, overdue } = match event["detail"]["name"].as_str().filter(|_| event["source"] == "aws.states") {
        Some(name) => Found { ended: usize::from(check.ended(name, &event["detail"]).await?), overdue: 0 },
        None => check.all().await?,
    };
    let says = format!("{ended} restores were said to run whose executions had ended.");
    info!(ended, RestoresOverdue = (overdue > 0).then_some(overdue), "{says} {overdue} restores are overdue.");
    Ok(Output { says, ended })
}

/// What a check has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Restores whose executions had ended.
    ended: usize,
    /// Restores whose executions run, and whose objects should have been readable long ago.
    overdue: usize,
}

/// The ports of a check: each port is a permission.
struct Check<'a, X, L, F, E, J> {
    executions: &'a X,
    ledger: &'a L,
    files: &'a F,
    events: &'a E,
    s3: &'a J,
    now: Timestamp,
}

impl<X: ReadExecutions, L: Ledger + ListRestores, F: WorkFiles, E: PutEvents, J: UpdateJobs> Check<'_, X, L, F, E, J> {
    /// Checks an execution that has ended according to an event. Answers whether its restore failed because of this.
    ///
    /// Fails with `Unavailable` while Step Functions still says that the execution runs: then the event comes again.
    async fn ended(&self, name: &str, detail: &Value) -> Result<bool, StepError> {
        // An execution that is started by hand may have any name.
        let Ok(id) = RestoreId::try_from(name.to_owned()) else { return self.refused(name, detail).await };
        let Some(record) = self.ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&id)).await? else {
            return self.refused(name, detail).await;
        };
        if record.status != Status::Running {
            return Ok(false);
        }
        let execution = self.executions.execution(&id).await?;
        match why_it_ended(execution.as_ref()) {
            Some(why) => self.fail(record, &why).await,
            None if execution.is_some_and(|execution| execution.redrives > 0) => Ok(false),
            None => {
                Err(StepError::Unavailable(format!("Step Functions told that {id} has ended, and says that it runs")))
            }
        }
    }

    /// Announces that an execution was refused that somebody started by hand with a wrong input: nothing else does,
    /// because there is no restore. An execution that somebody stopped is not announced.
    async fn refused(&self, name: &str, detail: &Value) -> Result<bool, StepError> {
        if detail["status"] != "ABORTED" {
            let text = |field: &str| detail[field].as_str().unwrap_or_default();
            let says = format!("The execution {name} began no restore. {}", why(text("error"), text("cause")));
            let notice = json!({"schema_version": 1, "id": name, "status": Status::Failed, "says": says});
            self.events.put_event("Restore Failed", &notice).await?;
        }
        Ok(false)
    }

    /// Checks the executions of all running restores.
    async fn all(&self) -> Result<Found, StepError> {
        let (mut after, mut found, mut trouble) = (None, Found::default(), None);
        loop {
            let (page, next) = self.ledger.restores(Some(Status::Running), after.as_ref(), PAGE).await?;
            let is_of_age =
                |record: &&RestoreRecord| (YOUNGEST..OLDEST).contains(&self.now.duration_since(record.requested_at));
            for listed in page.iter().filter(is_of_age) {
                match self.listed(&listed.id).await {
                    Ok(true) => found.ended += 1,
                    Ok(false) => found.overdue += usize::from(is_overdue(listed, self.now)),
                    Err(error) => {
                        warn!(restore = %listed.id, "whether its execution runs is not known: {error}");
                        trouble.get_or_insert(error);
                    }
                }
            }
            after = next.filter(|next| self.now.duration_since(next.requested_at) < OLDEST);
            if after.is_none() {
                return trouble.map_or(Ok(found), Err);
            }
        }
    }

    async fn listed(&self, id: &RestoreId) -> Result<bool, StepError> {
        let Some(why) = why_it_ended(self.executions.execution(id).await?.as_ref()) else { return Ok(false) };
        // Read after the execution has ended, so that the last write of the execution is included.
        match self.running(id).await? {
            Some(record) => self.fail(record, &why).await,
            None => Ok(false),
        }
    }

    /// The record of a restore, if its status is running.
    async fn running(&self, id: &RestoreId) -> Result<Option<RestoreRecord>, StepError> {
        let record = self.ledger.get::<RestoreRecord>(&RestoreRecord::key_of(id)).await?;
        Ok(record.filter(|record| record.status == Status::Running))
    }

    /// Ends a restore whose execution has ended. Answers whether this call ended it.
    async fn fail(&self, record: RestoreRecord, why: &str) -> Result<bool, StepError> {
        let counts = RestoreProgress::of(&record, self.ledger, self.files).await?.counts;
        let mut says = says(why, counts);
        if chunks::records(self.ledger, &record).await?.iter().any(|chunk| !chunk.settled) {
            says.push_str(&format!(
                " Nobody waits for the others any more: what S3 is fetching is published when S3 says that it is done, and POST /v1/restores/{}/retry asks for them again and waits.",
                record.id
            ));
        }
        let record = fail(record, counts, &says, self.ledger, self.events, self.s3, self.now).await?;
        Ok(record.says.as_ref() == Some(&says))
    }
}

/// Whether the restore's objects should have been readable long ago. One without a plan is overdue if it was requested so long ago.
fn is_overdue(record: &RestoreRecord, now: Timestamp) -> bool {
    let due = record
        .plan
        .as_ref()
        .map_or(record.requested_at, |plan| plan.ready_between.map_or(plan.made_at, |[_, last]| last));
    due + OVERDUE_AFTER < now
}

#[cfg(test)]
mod tests;
