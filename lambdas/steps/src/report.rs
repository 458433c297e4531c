//! Report: write down how the restore ended, and say so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thaw_core::{Counts, Failure, Outcome, Status, copy_expiry};
use tracing::info;

use crate::check_restores::total;
use crate::ports::{Ledger, PutEvents};
use crate::{RestoreRecord, StepError, announce_expiries, plan};
use crate::{chunks, ledger};

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

/// Ends a restore whose objects are all settled.
pub async fn run(
    input: Input,
    ledger: &impl Ledger,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let all = chunks::records(ledger, &record).await?;
    let counts = total(&all);
    let earliest = all.iter().filter_map(|known| known.expire.first()).min().copied();
    if !record.request.dry_run {
        let expire = all.iter().flat_map(|known| known.expire.iter().copied()).collect();
        announce_expiries::expect(&record.id, &expire, ledger, now).await?;
    }
    let failures: Vec<Failure> = all.into_iter().flat_map(|known| known.failures).collect();
    let outcome = if record.request.dry_run {
        let says = "Only a plan was asked for: nothing was asked of S3, and nothing was spent on it.".to_owned();
        Outcome { status: Status::Succeeded, says }
    } else {
        let Outcome { status, says } = Outcome::of(counts, &failures);
        Outcome { status, says: says + &copies_that_end_early(&record, earliest) }
    };
    let record = ledger::change(ledger, record, |record| {
        record.status = outcome.status;
        record.completed_at = Some(now);
        record.says = Some(outcome.says.clone());
    })
    .await?;
    // A cancelled restore was reported by the door that cancelled it.
    if record.status != Status::Cancelled && !record.request.dry_run {
        let detail = json!({
            "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
            "status": record.status, "counts": counts, "says": outcome.says, "notify": record.request.notify,
        });
        let name = if record.status == Status::Succeeded { "Restore Completed" } else { "Restore Failed" };
        events.put_event(name, &detail).await?;
    }
    info!(restore = %record.id, status = record.status.word(), "{}", outcome.says);
    let says = record.says.unwrap_or(outcome.says);
    Ok(Output { status: record.status, succeeded: record.status == Status::Succeeded, says, counts })
}

/// That some copies end before the days are over that were asked for, in words; nothing if none does.
///
/// S3 keeps the days of whoever asked first: of a restore that was running already, and of another's that won the race for it. A
/// restore that only joins asks for no days.
fn copies_that_end_early(record: &RestoreRecord, earliest: Option<Timestamp>) -> String {
    let Some(plan) = record.plan.as_ref().filter(|_| !record.request.join_only) else { return String::new() };
    let days = record.request.copy_days();
    // A copy that this restore has asked for was ready after the plan was made.
    match earliest.filter(|earliest| *earliest < copy_expiry(plan.made_at, days)) {
        None => String::new(),
        Some(earliest) => format!(
            " Some copies end on {earliest:.0}, before the {days} days are over that were asked for: others had asked S3 for them, for fewer days. POST /v1/restores/{}/extend keeps them longer.",
            record.id
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{Stack, now, restored};
    use crate::memory::MemoryEvents;
    use thaw_core::{FailureCode, State};

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
            let output = run(input, &stack.ledger, &events, now()).await.unwrap();
            assert_eq!((output.status, output.succeeded), (status, status == Status::Succeeded));
            assert_eq!(stack.record(&id).await.status, status);
            let events = events.events();
            assert_eq!(events.first().map(|(name, _)| name.as_str()), told);
        }
    }
}
