//! CheckInvalidations: look which invalidations took effect: their objects are visible.

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

/// CloudFront's own waiter asks every 20 seconds.
const ASK_AGAIN: u64 = 20;

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk to begin with: where the call before stopped.
    #[serde(default)]
    pub from_chunk: u32,
    /// The chunk to stop at: those from there on have objects that Invalidate has yet to take. 0 if there are none.
    #[serde(default)]
    pub until_chunk: u32,
}

/// What the next states decide on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Where the objects stand.
    pub counts: Counts,
    /// Whether Invalidate has more to take.
    pub anything_to_invalidate: bool,
    /// Whether nothing is left to do.
    pub all_published: bool,
    /// Seconds until the next look.
    pub wait_seconds: u64,
    /// The chunk that the next call begins with; 0 if this look is over.
    pub next_chunk: u32,
    /// The chunk that the next call stops at.
    pub until_chunk: u32,
}

/// Looks at every invalidation that this restore's objects wait for.
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
    // A batch may have objects of several chunks: CloudFront is asked for it once.
    let asked = RefCell::default();
    for known in &mut all {
        if input.until_chunk > 0 && known.chunk >= input.until_chunk {
            break;
        }
        if known.chunk < input.from_chunk || !known.is_publishing() {
            continue;
        }
        if looked_at >= OBJECTS_PER_CALL {
            next_chunk = known.chunk;
            break;
        }
        looked_at += known.counts.total;
        *known = look(&record, known, on_their_way, &asked, cdn, ledger, files, now).await?;
    }
    let counts = total(&all);
    let output = Output {
        says: sentence(counts, &[]),
        counts,
        anything_to_invalidate: next_chunk == 0 && input.until_chunk > 0,
        all_published: next_chunk == 0 && all.iter().all(|known| is_done(known, &record)),
        wait_seconds: wait_seconds(&all, &record, now),
        next_chunk,
        until_chunk: input.until_chunk,
    };
    info!(restore = %record.id, wait_seconds = output.wait_seconds, "{}", output.says);
    Ok(output)
}

/// Looks at the invalidations that one chunk's objects wait for.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what the chunks share")]
async fn look(
    record: &RestoreRecord,
    known: &ChunkRecord,
    on_their_way: bool,
    asked: &RefCell<BTreeSet<BatchId>>,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<ChunkRecord, StepError> {
    let entries = chunks::entries(files, record, known).await?;
    // What S3 was fetching a moment ago has no path with CloudFront.
    let still = chunks::fetching(record, known, &entries);
    let confirm = async |batch: Batch| {
        // Of the others it is known already.
        let is_news = !batch.is_completed() && asked.borrow_mut().insert(batch.id.clone());
        if is_news { confirmed(batch, cdn, ledger, now).await } else { Ok(batch) }
    };
    let (mut objects, called) = chunks::open_objects(ledger, record, known, &entries, &still, confirm).await?;
    objects.extend(still);
    let rows = objects.iter().map(|known| &known.row);
    let look_at = after(now, seconds_until_next_word(rows, on_their_way, now));
    chunks::change(ledger, known.clone(), |known| known.counted(&objects, &called, Some(look_at), now)).await
}

/// What is with CloudFront is visible in seconds, and only its note is missing. So while S3 still fetches other objects,
/// that note waits for their next look: a round takes five transitions and two reads of every row.
fn seconds_until_next_word<'a>(
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
        // Nothing else is waited for here, though the restore has more on its way.
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
    async fn a_call_looks_at_so_many_and_no_further_than_objects_were_taken() {
        let stack = Stack::default();
        let restore = four_chunks(&stack).await;
        let look = async |from_chunk, until_chunk| {
            let input = Input { restore: restore.to_string(), from_chunk, until_chunk };
            let looked = run(input, &Edge::default(), &stack.ledger, &stack.files, now()).await.unwrap();
            let Output { next_chunk, until_chunk, anything_to_invalidate, all_published, .. } = looked;
            (looked.counts.published, next_chunk, until_chunk, anything_to_invalidate, all_published)
        };
        assert_eq!(look(0, 3).await, (2, 2, 3, false, false));
        assert_eq!(look(2, 3).await, (3, 0, 3, true, false));
        assert_eq!(look(3, 0).await, (4, 0, 0, false, true));
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
            assert_eq!(seconds_until_next_word(rows.iter(), false, now()), seconds, "{rows:?}");
        }
        // Its restore's other objects are in other chunks.
        let publish = Publish { when: PublishWhen::Together, ..of(State::Available).publish };
        let together = Row { publish, ..claimed() };
        assert_eq!(seconds_until_next_word([&together].into_iter(), true, now()), ASK_AGAIN);
        // Nor does it wait for them when its copy has time.
        let state = State::Restored { at: now(), expires: None, claim: together.state.claim().cloned() };
        assert_eq!(seconds_until_next_word([&Row { state, ..together }].into_iter(), true, now()), ASK_AGAIN);
    }
}
