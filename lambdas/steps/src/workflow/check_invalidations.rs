//! CheckInvalidations: looks which invalidations are complete. Their objects are visible then.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Batch, BatchId, Counts, Row, State, sentence};
use tracing::info;

use crate::StepError;
use crate::archive::restore_status::{after, seconds_until_next_look};
use crate::ledger::chunks::{self, ChunkRecord, is_done, total, wait_seconds};
use crate::ledger::restores::{self, RestoreRecord};
use crate::ports::{Ledger, ReadInvalidations, WorkFiles};
use crate::publishing::batches::confirmed;
use crate::workflow::{OBJECTS_PER_CALL, restore_id};

/// Seconds between two polls, as in CloudFront's own waiter.
const ASK_AGAIN: u64 = 20;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk to begin with: where the call before stopped.
    #[serde(default)]
    pub from_chunk: u32,
    /// The chunk to stop at: from there on Invalidate has objects left to take. 0 if it has none.
    #[serde(default)]
    pub until_chunk: u32,
}

/// The output, on which the next states decide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// The counts of the restore's objects.
    pub counts: Counts,
    /// Whether Invalidate has objects left to take.
    pub anything_to_invalidate: bool,
    /// Whether nothing is left to do.
    pub all_published: bool,
    /// Seconds until the next look.
    pub wait_seconds: u64,
    /// The chunk that the next call begins with; 0 if this look is complete.
    pub next_chunk: u32,
    /// The chunk that the next call stops at.
    pub until_chunk: u32,
}

/// Polls every invalidation that this restore's objects wait for.
pub async fn run(
    input: Input,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let mut all = chunks::records(ledger, &record).await?;
    let on_their_way = total(&all).awaited(record.status) > 0;
    let (mut looked_at, mut next_chunk) = (0, 0);
    // A batch may have objects of several chunks. CloudFront is asked for it once.
    let asked = RefCell::default();
    for chunk in &mut all {
        if input.until_chunk > 0 && chunk.chunk >= input.until_chunk {
            break;
        }
        if chunk.chunk < input.from_chunk || !chunk.is_publishing() {
            continue;
        }
        if looked_at >= OBJECTS_PER_CALL {
            next_chunk = chunk.chunk;
            break;
        }
        looked_at += chunk.counts.total;
        *chunk = look(&record, chunk, on_their_way, &asked, cdn, ledger, files, now).await?;
    }
    let counts = total(&all);
    let output = Output {
        says: sentence(counts, &[]),
        counts,
        anything_to_invalidate: next_chunk == 0 && input.until_chunk > 0,
        all_published: next_chunk == 0 && all.iter().all(|chunk| is_done(chunk, &record)),
        wait_seconds: wait_seconds(&all, &record, now),
        next_chunk,
        until_chunk: input.until_chunk,
    };
    info!(restore = %record.id, wait_seconds = output.wait_seconds, "{}", output.says);
    Ok(output)
}

/// Polls the invalidations that one chunk's objects wait for.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what the chunks share")]
async fn look(
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    on_their_way: bool,
    asked: &RefCell<BTreeSet<BatchId>>,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<ChunkRecord, StepError> {
    let entries = chunks::entries(files, record, chunk).await?;
    // An object that S3 was fetching at the last look has no path with CloudFront.
    let still_fetching = chunks::fetching(record, chunk, &entries);
    let confirm = async |batch: Batch| {
        // A completed batch, or one that was polled in this call, needs no poll.
        let is_unknown = !batch.is_completed() && asked.borrow_mut().insert(batch.id.clone());
        if is_unknown { confirmed(batch, cdn, ledger, now).await } else { Ok(batch) }
    };
    let (mut objects, with_cloudfront) =
        chunks::open_objects(ledger, record, chunk, &entries, &still_fetching, confirm).await?;
    objects.extend(still_fetching);
    let rows = objects.iter().map(|object| &object.row);
    let look_at = after(now, seconds_until_next_poll(rows, on_their_way, now));
    chunks::change(ledger, chunk.clone(), |chunk| chunk.counted(&objects, &with_cloudfront, Some(look_at), now)).await
}

/// Seconds until the next poll. Paths that are with CloudFront are clean within seconds, and only the record of that is
/// missing. So while S3 still fetches other objects, the record waits for their next look: a round takes five state
/// transitions and two reads of every row.
fn seconds_until_next_poll<'a>(
    rows: impl Iterator<Item = &'a Row> + Clone,
    others_on_their_way: bool,
    now: Timestamp,
) -> u64 {
    let mut to_publish = rows.clone().filter(|row| row.is_to_publish(others_on_their_way, now));
    let soon = if rows.clone().any(|row| matches!(row.state, State::Restoring { .. })) {
        to_publish.any(|row| row.state.claim().is_none())
    } else {
        to_publish.next().is_some()
    };
    let unclaimed = rows.clone().filter(|row| row.state.claim().is_none());
    match seconds_until_next_look(unclaimed, others_on_their_way, now) {
        _ if soon => ASK_AGAIN,
        // The chunk has nothing else to wait for, but other chunks of the restore do.
        0 if rows.clone().any(|row| row.state.claim().is_some()) => ASK_AGAIN,
        seconds => seconds,
    }
}

#[cfg(test)]
mod tests {
    use thaw_core::{Publish, PublishWhen, RestoreId};

    use super::*;
    use crate::testing::cdn::Edge;
    use crate::testing::stack::{Stack, four_chunks, now, restored, restoring, row};

    fn of(state: State) -> Row {
        row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", state)
    }

    #[tokio::test]
    async fn a_call_stops_after_its_maximum_and_where_invalidate_stopped() {
        let stack = Stack::default();
        let restore = four_chunks(&stack).await;
        let look = async |from_chunk, until_chunk| {
            let input = Input { restore: restore.to_string(), from_chunk, until_chunk };
            let output = run(input, &Edge::default(), &stack.ledger, &stack.files, now()).await.unwrap();
            let Output { next_chunk, until_chunk, anything_to_invalidate, all_published, .. } = output;
            (output.counts.published, next_chunk, until_chunk, anything_to_invalidate, all_published)
        };
        assert_eq!(look(0, 3).await, (2, 2, 3, false, false));
        assert_eq!(look(2, 3).await, (3, 0, 3, true, false));
        assert_eq!(look(3, 0).await, (4, 0, 0, false, true));
    }

    #[test]
    fn a_record_waits_for_the_next_look_and_an_object_does_not() {
        let claimed = || of(restored(Some("b")));
        let hours = |hours: u64| hours * 3_600;
        for (rows, seconds) in [
            (vec![claimed()], ASK_AGAIN),
            (vec![of(restored(None))], ASK_AGAIN),
            (vec![claimed(), of(restoring())], hours(3)),
            (vec![claimed(), of(restored(None)), of(restoring())], ASK_AGAIN),
            (vec![of(State::Cancelled { at: now() })], 0),
        ] {
            assert_eq!(seconds_until_next_poll(rows.iter(), false, now()), seconds, "{rows:?}");
        }
        // The restore's other objects are in other chunks.
        let publish = Publish { when: PublishWhen::Together, ..of(State::Available).publish };
        let together = Row { publish, ..claimed() };
        assert_eq!(seconds_until_next_poll([&together].into_iter(), true, now()), ASK_AGAIN);
        // A copy that lives long enough does not wait for them either.
        let state = State::Restored { at: now(), expires: None, claim: together.state.claim().cloned() };
        assert_eq!(seconds_until_next_poll([&Row { state, ..together }].into_iter(), true, now()), ASK_AGAIN);
    }
}
