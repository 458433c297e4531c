//! Report: records how the restore ended, and announces it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    Counts, Failure, ObjectSelector, ObjectsOf, Outcome, Request, RestoreId, Source, Status, copy_expiry, hash,
};
use tracing::info;

use crate::StepError;
use crate::ledger::chunks::{self, total};
use crate::ledger::ending::announce;
use crate::ledger::expiries;
use crate::ledger::restores::{self, RestoreRecord};
use crate::planning::accepting::begin;
use crate::ports::{Ledger, PutEvents, StartExecutions};
use crate::workflow::restore_id;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// The status.
    pub status: Status,
    /// Whether the execution succeeds.
    pub succeeded: bool,
    /// A summary in words: the Cause of an execution that fails.
    pub says: String,
    /// The counts of the restore's objects.
    pub counts: Counts,
}

/// Ends a restore whose objects are all settled. If somebody else had asked S3 for fewer days than this restore,
/// another restore begins that extends these copies to the requested days.
pub async fn run(
    input: Input,
    ledger: &impl Ledger,
    executions: &impl StartExecutions,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let all = chunks::records(ledger, &record).await?;
    let counts = total(&all);
    let earliest = all.iter().filter_map(|chunk| chunk.expire.first()).min().copied();
    if !record.request.dry_run {
        let expire = all.iter().flat_map(|chunk| chunk.expire.iter().copied()).collect();
        expiries::note(&record.id, &expire, ledger, now).await?;
    }
    let failures: Vec<Failure> = all.into_iter().flat_map(|chunk| chunk.failures).collect();
    let outcome = if record.request.dry_run {
        let says = "Only a plan was asked for: nothing was asked of S3, and nothing was spent on it.".to_owned();
        Outcome { status: Status::Succeeded, says }
    } else {
        let Outcome { status, says } = Outcome::of(counts, &failures);
        let early = earliest.filter(|earliest| ends_early(&record, *earliest));
        let extension = early.and_then(|_| extension(&record));
        if let Some((id, request)) = &extension {
            begin(id, request, &serde_json::to_value(request)?, now, ledger, executions).await?;
        }
        let says = says + &early.map_or_else(String::new, |early| says_early(&record, early, extension.as_ref()));
        Outcome { status, says }
    };
    let record = restores::change(ledger, record, |record| {
        record.status = outcome.status;
        record.completed_at = Some(now);
        record.says = Some(outcome.says.clone());
    })
    .await?;
    // CancelRestore has announced a cancelled restore.
    if record.status != Status::Cancelled && !record.request.dry_run {
        announce(&record, record.status, counts, &outcome.says, events).await?;
    }
    info!(
        restore = %record.id,
        ObjectsPublished = counts.published,
        ObjectsFailed = counts.failed,
        ObjectsCancelled = counts.cancelled,
        "counted the objects of an ended restore"
    );
    let says = record.says.unwrap_or(outcome.says);
    Ok(Output { status: record.status, succeeded: record.status == Status::Succeeded, says, counts })
}

/// Whether a copy that expires at this time expires before the requested days are over.
///
/// S3 keeps the days of the first request. That may be one that was running already, or one of another requester that
/// won a race. A restore that only joins or only publishes requests no days.
fn ends_early(record: &RestoreRecord, earliest: Timestamp) -> bool {
    // A copy that this restore asked for was ready after the plan was made.
    let plan = record.plan.as_ref().filter(|_| !record.request.join_only && !record.request.publish_only);
    plan.is_some_and(|plan| earliest < copy_expiry(plan.made_at, record.request.copy_days()))
}

/// The restore that extends this one's copies to the requested days.
///
/// Only for a restore whose price includes copies, and for at most that price: copies that somebody else fetched first
/// were not paid for. An extension makes no further extension.
fn extension(record: &RestoreRecord) -> Option<(RestoreId, Request)> {
    let asked = &record.request;
    let keeps_copies =
        matches!(&asked.source, Source::Restore { objects_of } if objects_of.selector == ObjectSelector::Published);
    let plan = record.plan.as_ref().filter(|plan| plan.copied_bytes > 0 && !keeps_copies)?;
    if record.status == Status::Cancelled {
        return None;
    }
    let objects_of = ObjectsOf { restore: record.id.clone(), selector: ObjectSelector::Published };
    let request = Request {
        source: Source::Restore { objects_of },
        max_cost_usd: Some(plan.cost.total_usd),
        batch_operations: None,
        confirm: None,
        ..asked.clone()
    };
    let id = RestoreId::new(plan.made_at, &request, &hash(&[record.id.as_str(), "extension"]));
    Some((id, request))
}

/// The text about copies that expire early, and what is done about it.
fn says_early(record: &RestoreRecord, earliest: Timestamp, extension: Option<&(RestoreId, Request)>) -> String {
    let days = record.request.copy_days();
    let then = match extension {
        Some((id, _)) => format!("Restore {id} keeps them for {days} days from now."),
        None => format!("POST /v1/restores/{}/extend keeps them longer.", record.id),
    };
    format!(
        " Some copies end on {earliest:.0}, before the {days} days are over that were asked for: others had asked S3 for them, for fewer days. {then}"
    )
}

#[cfg(test)]
mod tests {
    use thaw_core::{FailureCode, State};

    use super::*;
    use crate::testing::memory::{MemoryEvents, MemoryExecutions};
    use crate::testing::stack::{Stack, now, restored};

    #[tokio::test]
    async fn the_end_is_recorded_and_announced_by_its_name() {
        let failed = || State::Failed { at: now(), code: FailureCode::NoSuchKey, message: "gone".to_owned() };
        for (states, status, event) in [
            (vec![("a", restored(None))], Status::Succeeded, Some("Restore Completed")),
            (vec![("a", restored(None)), ("b", failed())], Status::PartlyFailed, Some("Restore Failed")),
            (vec![("a", failed())], Status::Failed, Some("Restore Failed")),
            (vec![("a", failed())], Status::Cancelled, None),
        ] {
            let (stack, events) = (Stack::default(), MemoryEvents::default());
            let id = stack.planned(&states, 9).await;
            if status == Status::Cancelled {
                stack.change(&id, |record| record.status = Status::Cancelled).await;
            }
            let input = Input { restore: id.to_string() };
            let output = run(input, &stack.ledger, &MemoryExecutions::default(), &events, now()).await.unwrap();
            assert_eq!((output.status, output.succeeded), (status, status == Status::Succeeded));
            assert_eq!(stack.record(&id).await.status, status);
            let events = events.events();
            assert_eq!(events.first().map(|(name, _)| name.as_str()), event);
        }
    }
}
