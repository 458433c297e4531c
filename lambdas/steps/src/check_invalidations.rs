//! CheckInvalidations: look which invalidations took effect, and publish their objects.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Batch, BatchId, Counts, Row, State, sentence};
use tracing::info;

use crate::ledger::{self, batch_key};
use crate::looking::seconds_until_next_look;
use crate::ports::{Ledger, ReadInvalidations, WorkFiles};
use crate::publishing::{confirmed, settle_batch};
use crate::{StepError, plan};

/// CloudFront's own waiter asks every 20 seconds.
const ASK_AGAIN: u64 = 20;

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
    /// Whether nothing is left to do.
    pub all_published: bool,
    /// Seconds until the next look.
    pub wait_seconds: u64,
}

/// Looks at every invalidation that this restore's objects wait for.
pub async fn run(
    input: Input,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let mut rows = ledger::rows(ledger, files, &record).await?;
    let claims: BTreeSet<&BatchId> = rows.iter().filter_map(|row| row.state.claim()).collect();
    let keys: Vec<_> = claims.into_iter().map(batch_key).collect();
    for batch in ledger.get_many::<Batch>(&keys).await? {
        let batch = confirmed(batch, cdn, ledger).await?;
        if !batch.is_completed() {
            continue;
        }
        // Reading all rows again would be much of what a large restore costs.
        for moved in settle_batch(&batch, Some(&record.id), ledger, now).await? {
            if let Some(row) =
                rows.iter_mut().find(|row| (&row.object, &row.restore) == (&moved.object, &moved.restore))
            {
                *row = moved;
            }
        }
    }
    let counts = Counts::of(&rows);
    let output = Output {
        says: sentence(counts, &[]),
        counts,
        all_published: rows.iter().all(Row::is_settled),
        wait_seconds: wait_seconds(&rows, now),
    };
    info!(restore = %record.id, wait_seconds = output.wait_seconds, "{}", output.says);
    Ok(output)
}

/// What is with CloudFront is visible in seconds, and only its note is missing. So while S3 still fetches other objects,
/// that note waits for their next look: a round takes five transitions and two reads of every row.
fn wait_seconds(rows: &[Row], now: Timestamp) -> u64 {
    let mut to_publish = rows.iter().filter(|row| row.is_to_publish(rows, now));
    let soon = if rows.iter().any(|row| matches!(row.state, State::Restoring { .. })) {
        to_publish.any(|row| row.state.claim().is_none())
    } else {
        to_publish.next().is_some()
    };
    let unclaimed: Vec<Row> = rows.iter().filter(|row| row.state.claim().is_none()).cloned().collect();
    if soon { ASK_AGAIN } else { seconds_until_next_look(&unclaimed, now) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{now, restored, restoring, row};
    use thaw_core::RestoreId;

    fn of(state: State) -> Row {
        row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", state)
    }

    #[test]
    fn a_note_waits_for_the_next_look_and_an_object_does_not() {
        let claimed = || of(restored(Some("b")));
        let hours = |hours: u64| hours * 3_600;
        for (rows, seconds) in [
            (vec![claimed()], ASK_AGAIN),
            (vec![of(restored(None))], ASK_AGAIN),
            (vec![claimed(), of(restoring())], hours(3)),
            (vec![claimed(), of(restored(None)), of(restoring())], ASK_AGAIN),
            (vec![of(State::Cancelled { at: now() })], 0),
        ] {
            assert_eq!(wait_seconds(&rows, now()), seconds, "{rows:?}");
        }
    }
}
