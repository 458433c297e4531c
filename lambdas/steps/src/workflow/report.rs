//! Report: write down how the restore ended, and say so.

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

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// The status.
    pub status: Status,
    /// Whether the execution ends green.
    pub succeeded: bool,
    /// In words: the Cause of an execution that ends red.
    pub says: String,
    /// Where the objects are.
    pub counts: Counts,
}

/// Ends a restore whose objects are all settled. Where others had asked S3 for fewer days than this restore, another restore
/// begins that keeps the copies for as long as was asked.
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
    let earliest = all.iter().filter_map(|known| known.expire.first()).min().copied();
    if !record.request.dry_run {
        let expire = all.iter().flat_map(|known| known.expire.iter().copied()).collect();
        expiries::note(&record.id, &expire, ledger, now).await?;
    }
    let failures: Vec<Failure> = all.into_iter().flat_map(|known| known.failures).collect();
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
    // A cancelled restore was reported by the door that cancelled it.
    if record.status != Status::Cancelled && !record.request.dry_run {
        announce(&record, record.status, counts, &outcome.says, events).await?;
    }
    info!(restore = %record.id, status = record.status.as_str(), "{}", outcome.says);
    let says = record.says.unwrap_or(outcome.says);
    Ok(Output { status: record.status, succeeded: record.status == Status::Succeeded, says, counts })
}

/// Whether a copy that ends then ends before the days are over that were asked for.
///
/// S3 keeps the days of whoever asked first: of a restore that was running already, and of another's that won the race for it. A
/// restore that only joins asks for no days.
fn ends_early(record: &RestoreRecord, earliest: Timestamp) -> bool {
    // A copy that this restore has asked for was ready after the plan was made.
    let plan = record.plan.as_ref().filter(|_| !record.request.join_only);
    plan.is_some_and(|plan| earliest < copy_expiry(plan.made_at, record.request.copy_days()))
}

/// The restore that keeps this one's copies for the days that were asked for.
///
/// Only for a restore whose price includes copies, and for no more than that price: what others fetched first was not paid for.
/// A restore that keeps the copies of another makes no further one.
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

/// That some copies end early, and what is done about it, in words.
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
    async fn the_end_is_written_down_and_told_by_its_name() {
        let failed = || State::Failed { at: now(), code: FailureCode::NoSuchKey, message: "gone".to_owned() };
        for (states, status, told) in [
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
            assert_eq!(events.first().map(|(name, _)| name.as_str()), told);
        }
    }
}
