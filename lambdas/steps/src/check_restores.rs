//! CheckRestores: look which objects can be read, and say what comes next.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thaw_core::{Batch, BatchId, Counts, Event, Row, State, Status, sentence};
use tracing::info;

use crate::ledger::{self, apply, batch_key};
use crate::looking::{look_at, seconds_until_next_look};
use crate::ports::{Ledger, PutEvents, ReadArchive, WorkFiles};
use crate::{IN_FLIGHT, RestoreRecord, StepError, plan};

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
}

/// What the next states decide on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Where the objects stand.
    pub counts: Counts,
    /// Whether objects are readable whose paths are not with CloudFront yet.
    pub anything_to_invalidate: bool,
    /// Whether paths are with CloudFront, and not yet known to be clean.
    pub anything_to_confirm: bool,
    /// Whether nothing is left to do.
    pub all_published: bool,
    /// Seconds until the next look.
    pub wait_seconds: u64,
}

/// Looks at what is being restored.
pub async fn run(
    input: Input,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let rows = ledger::rows(ledger, files, &record).await?;
    let rows = if record.status == Status::Running {
        let seen = look_at(&rows, archive, now).await?;
        let learned: Vec<(Row, Event)> = seen.into_iter().filter_map(|seen| Some((seen.row, seen.event?))).collect();
        updated(ledger, rows, learned).await?
    } else {
        let open = rows.iter().filter(|row| row.state.claim().is_none());
        let cancelled = open.map(|row| (row.clone(), Event::Cancelled { at: now })).collect();
        updated(ledger, rows, cancelled).await?
    };
    if !record.late && is_late(&rows, now) {
        say_late(&record, &rows, ledger, events).await?;
    }
    let counts = Counts::of(&rows);
    let to_publish: Vec<&Row> = rows.iter().filter(|row| row.is_to_publish(&rows, now)).collect();
    let output = Output {
        says: sentence(counts, &[]),
        counts,
        anything_to_invalidate: !are_with_cloudfront(&to_publish, ledger).await?,
        anything_to_confirm: !to_publish.is_empty(),
        all_published: rows.iter().all(Row::is_settled),
        wait_seconds: seconds_until_next_look(&rows, now),
    };
    info!(restore = %record.id, wait_seconds = output.wait_seconds, "{}", output.says);
    Ok(output)
}

/// Whether batches have all these rows, and CloudFront has all of those batches: then an event came first, and did all of it.
async fn are_with_cloudfront(rows: &[&Row], ledger: &impl Ledger) -> Result<bool, StepError> {
    if rows.iter().any(|row| row.state.claim().is_none()) {
        return Ok(false);
    }
    let claims: BTreeSet<&BatchId> = rows.iter().filter_map(|row| row.state.claim()).collect();
    let keys: Vec<_> = claims.into_iter().map(batch_key).collect();
    let batches = ledger.get_many::<Batch>(&keys).await?;
    let called = |batch: &Batch| {
        let mut calls = batch.calls.iter().flatten();
        batch.calls.is_some() && calls.all(|call| call.invalidation.is_some() || call.refused.is_some())
    };
    let has = |row: &&Row| batches.iter().any(|batch| row.state.claim() == Some(&batch.id) && batch.has(&row.object));
    Ok(rows.iter().all(has) && batches.iter().all(called))
}

async fn updated(ledger: &impl Ledger, mut rows: Vec<Row>, events: Vec<(Row, Event)>) -> Result<Vec<Row>, StepError> {
    let changed: Vec<Row> = stream::iter(events)
        .map(|(row, event)| async move { apply(ledger, &row, &event).await })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    for new in changed {
        if let Some(old) = rows.iter_mut().find(|row| row.object == new.object) {
            *old = new;
        }
    }
    Ok(rows)
}

fn is_late(rows: &[Row], now: Timestamp) -> bool {
    rows.iter().any(|row| match (&row.state, row.kind) {
        (State::Restoring { since, tier, .. }, Some(kind)) => kind
            .window(*tier)
            .is_some_and(|window| now.duration_since(*since).as_secs() > window.typical.as_secs() as i64),
        _ => false,
    })
}

async fn say_late(
    record: &RestoreRecord,
    rows: &[Row],
    ledger: &impl Ledger,
    events: &impl PutEvents,
) -> Result<(), StepError> {
    let says = format!("S3 takes longer than it typically does. {}", sentence(Counts::of(rows), &[]));
    let detail = json!({
        "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
        "counts": Counts::of(rows), "says": says, "notify": record.request.notify,
    });
    events.put_event("Restore Late", &detail).await?;
    ledger::change(ledger, record.clone(), |record| record.late = true).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{Stack, now, restored, restoring, row};
    use std::time::Duration;
    use thaw_core::{Candidate, RestoreId, batches};

    fn of(state: State) -> Row {
        row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", state)
    }

    #[test]
    fn what_s3_fetches_is_late_after_its_typical_time() {
        let at = |seconds: u64| now() + Duration::from_secs(5 * 3_600 + seconds);
        let rows = [of(restored(None)), of(restoring())];
        assert!(!is_late(&rows, at(0)) && is_late(&rows, at(1)));
        assert!(!is_late(&rows[..1], at(1)));
        assert!(!is_late(&[Row { kind: None, ..of(restoring()) }], at(1)), "nobody knows what is typical");
    }

    #[tokio::test]
    async fn a_batch_is_with_cloudfront_once_each_call_was_answered() {
        let candidate = Candidate {
            object: of(State::Planned).object,
            restores: vec![of(State::Planned).restore],
            paths: ["E1", "E2"].map(|id| (id.to_owned(), ["/a".to_owned()].into())).into(),
        };
        let made = batches(vec![candidate.clone()], now()).remove(0);
        let made_once = made.clone();
        let sealed = made.sealed(&[candidate.object].into());
        let one = sealed.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
        let both = one.with_call(1, |call| call.refused = Some("no".to_owned()));
        let row = of(restored(Some(made.id.as_str())));
        for (batch, with_cloudfront) in
            [(None, false), (Some(made), false), (Some(sealed), false), (Some(one), false), (Some(both), true)]
        {
            let stack = Stack::default();
            if let Some(batch) = &batch {
                stack.insert(batch).await;
            }
            assert_eq!(are_with_cloudfront(&[&row], &stack.ledger).await.unwrap(), with_cloudfront, "{batch:?}");
            // Another object that no batch has.
            assert!(!are_with_cloudfront(&[&row, &of(restored(None))], &stack.ledger).await.unwrap());
        }
        // The batch was sealed without it, and whoever did so died before giving its claim back.
        let stack = Stack::default();
        let lost = Batch { calls: Some(Vec::new()), candidates: Vec::new(), ..made_once.clone() };
        stack.insert(&lost).await;
        assert!(!are_with_cloudfront(&[&row], &stack.ledger).await.unwrap());
        assert!(are_with_cloudfront(&[], &Stack::default().ledger).await.unwrap());
    }
}
