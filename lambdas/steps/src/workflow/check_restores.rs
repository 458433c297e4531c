//! CheckRestores: look which objects can be read, and say what comes next.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thaw_core::{Counts, Event, Facts, ObjectId, Readability, Readiness, Row, State, Status, sentence};
use tracing::info;

use crate::StepError;
use crate::archive::restore_status::{after, is_still_fetched, listed, look_at, seconds_until_next_look};
use crate::ledger::chunks::{self, ChunkObject, ChunkRecord, RowPresence, is_done, total, wait_seconds};
use crate::ledger::readiness;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows::apply;
use crate::ports::{IN_FLIGHT, Ledger, PutEvents, ReadArchive, WorkFiles};
use crate::workflow::{LONGEST_FUNCTION_SECONDS, OBJECTS_PER_CALL, restore_id};

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk to begin with: where the call before stopped.
    #[serde(default)]
    pub from_chunk: u32,
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
    /// The chunk that the next call begins with; 0 if this look is over.
    pub next_chunk: u32,
}

/// Looks at what is being restored, chunk by chunk, where a look is due.
pub async fn run(
    input: Input,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let mut all = chunks::records(ledger, &record).await?;
    let others_on_their_way = total(&all).awaited(record.status) > 0;
    // Whoever woke this up did so for the chunk that is due first, whatever the clocks say.
    let first = all.iter().filter(|known| !is_done(known, &record)).filter_map(|known| known.look_at).min();
    let due = first.unwrap_or(now).max(now);
    let (mut looked_at, mut late, mut next_chunk) = (0, false, 0);
    for known in &mut all {
        if known.chunk < input.from_chunk || !is_due(known, &record, due) {
            continue;
        }
        if looked_at >= OBJECTS_PER_CALL {
            next_chunk = known.chunk;
            break;
        }
        looked_at += known.counts.total;
        let (objects, called) = look(&record, known, others_on_their_way, archive, ledger, files, now).await?;
        let rows = objects.iter().map(|known| &known.row);
        late |= is_late(rows.clone(), now);
        // Whether others are on their way is known when all chunks are: until then, they are.
        let wait = seconds_until_next_look(rows, true, now);
        let look_at = after(now, wait);
        let counted = |known: ChunkRecord| known.counted(&objects, &called, Some(look_at), now);
        *known = chunks::change(ledger, known.clone(), counted).await?;
    }
    let counts = total(&all);
    let is_over = next_chunk == 0;
    let to_invalidate = all.iter().any(|known| known.to_invalidate > 0);
    let nobody_waits_any_more = counts.awaited(record.status) == 0 && all.iter().any(|known| known.waiting > 0);
    let anything_to_invalidate = is_over && (to_invalidate || nobody_waits_any_more);
    let is_with_cloudfront = |known: &ChunkRecord| {
        let readable = known.to_invalidate + known.waiting;
        !known.settled && !record.request.publish.never() && known.counts.restored > readable
    };
    let output = Output {
        says: sentence(counts, &[]),
        counts,
        anything_to_invalidate,
        anything_to_confirm: anything_to_invalidate || is_over && all.iter().any(is_with_cloudfront),
        all_published: is_over && all.iter().all(|known| is_done(known, &record)),
        wait_seconds: wait_seconds(&all, &record, now),
        next_chunk,
    };
    if !record.late && late && record.status == Status::Running {
        say_late(&record, counts, ledger, events).await?;
    }
    info!(restore = %record.id, wait_seconds = output.wait_seconds, "{}", output.says);
    Ok(output)
}

/// Whether a look at a chunk may tell something new. A restore that was cancelled settles what is left at once.
fn is_due(known: &ChunkRecord, record: &RestoreRecord, due: Timestamp) -> bool {
    let is_time = record.status == Status::Cancelled || known.look_at.is_none_or(|at| at <= due);
    known.may_revive || (!known.settled && (is_time || may_be_asked_for_unnoted(known, record)))
}

/// Whether S3 may have been asked for objects of a chunk by a function, or a job, that the failure of its restore kept from
/// noting it: nobody has looked since the last of them ended.
fn may_be_asked_for_unnoted(known: &ChunkRecord, record: &RestoreRecord) -> bool {
    let ended = record
        .completed_at
        .filter(|_| record.status == Status::Failed)
        .map(|failed| after(failed, LONGEST_FUNCTION_SECONDS));
    known.counts.planned > 0 && ended.is_some_and(|ended| known.counted_at.is_none_or(|counted| counted < ended))
}

/// Looks at a chunk's objects, without those that are over. Answers how they stand now, and those whose batches are with
/// CloudFront.
async fn look(
    record: &RestoreRecord,
    known: &ChunkRecord,
    others_on_their_way: bool,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<(Vec<ChunkObject>, BTreeSet<ObjectId>), StepError> {
    let as_it_is = async |batch| Ok(batch);
    let entries = chunks::entries(files, record, known).await?;
    if record.status == Status::Cancelled {
        let (objects, called) = chunks::open_objects(ledger, record, known, &entries, &[], as_it_is).await?;
        let open =
            objects.iter().filter(|known| known.written != RowPresence::Nothing && known.row.ends_with_a_cancel());
        let cancelled = open.map(|known| (known.row.clone(), Event::Cancelled { at: now })).collect();
        return Ok((updated(ledger, objects, cancelled).await?, called));
    }
    // S3 first: a page of its listing costs as much as peeks at eighty rows, and most of a thousand are still fetched.
    let mut still = chunks::fetching(record, known, &entries);
    let told = listed(still.iter().map(|known| &known.row), archive).await?;
    still.retain(|known| is_still_fetched(&known.row, &told, now));
    let (objects, called) = chunks::open_objects(ledger, record, known, &entries, &still, as_it_is).await?;
    let rows: Vec<Row> = objects.iter().map(|known| known.row.clone()).collect();
    let seen = look_at(rows, &told, others_on_their_way, archive, now).await?;
    let mut learned: Vec<(Row, Event)> = seen.into_iter().filter_map(|seen| Some((seen.row, seen.event?))).collect();
    if record.status != Status::Running {
        learned.extend(asked_after_all(&objects, record, archive, now).await?);
    }
    let mut objects = updated(ledger, objects, learned).await?;
    objects.extend(still);
    Ok((objects, called))
}

/// What S3 says of objects that a restore was about to ask for when it failed: whether it did, only S3 knows. What S3 neither
/// fetches nor has is left as it is.
async fn asked_after_all(
    objects: &[ChunkObject],
    record: &RestoreRecord,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<(Row, Event)>, StepError> {
    let unknown = |known: &&ChunkObject| known.written == RowPresence::Row && known.row.state == State::Planned;
    let told: Vec<(Row, Option<Event>)> = stream::iter(objects.iter().filter(unknown))
        .map(async |known| {
            let event = match archive.head(&known.row.object).await? {
                Facts::Found(head) => match head.readability(now) {
                    Ok(Readability::Restoring(_)) => {
                        // Others may fetch it, at a tier that was not asked for.
                        let (tier, _) = chunks::accepted_as(&known.row, record.request.tier);
                        Some(Event::Joined { at: now, tier })
                    }
                    Ok(Readability::Copy { expires, .. }) => Some(Event::Readable { at: now, expires: Some(expires) }),
                    Ok(Readability::Readable) => Some(Event::Readable { at: now, expires: None }),
                    Ok(Readability::Archived(_)) | Err(_) => None,
                },
                Facts::Missing(_) => None,
            };
            Ok::<_, StepError>((known.row.clone(), event))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    Ok(told.into_iter().filter_map(|(row, event)| Some((row, event?))).collect())
}

/// The objects after these events. That one can be read is news, unless its row speaks for itself.
async fn updated(
    ledger: &impl Ledger,
    mut objects: Vec<ChunkObject>,
    events: Vec<(Row, Event)>,
) -> Result<Vec<ChunkObject>, StepError> {
    let mut events: HashMap<ObjectId, Event> = events.into_iter().map(|(row, event)| (row.object, event)).collect();
    let (mut told, mut changes) = (Vec::new(), Vec::new());
    for known in &mut objects {
        match (events.remove(&known.row.object), known.written) {
            (None, _) => {}
            (Some(Event::Readable { at, expires }), RowPresence::AsAccepted)
                if readiness::is_recorded_for(&known.row) =>
            {
                let readiness = Readiness { at, expires };
                let row = known.row.clone().with_readiness(readiness);
                if row != known.row {
                    known.row = row;
                    told.push((&known.row, readiness));
                }
            }
            (Some(event), _) => changes.push((&mut known.row, event)),
        }
    }
    readiness::record(&told, ledger).await?;
    stream::iter(changes)
        .map(async |(row, event)| {
            *row = apply(ledger, row, &event).await?;
            Ok::<_, StepError>(())
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    Ok(objects)
}

fn is_late<'a>(mut rows: impl Iterator<Item = &'a Row>, now: Timestamp) -> bool {
    rows.any(|row| {
        let State::Restoring { since, tier, .. } = &row.state else { return false };
        let window = row.kind.and_then(|kind| kind.window(*tier));
        window.is_some_and(|window| *since + window.typical < now)
    })
}

async fn say_late(
    record: &RestoreRecord,
    counts: Counts,
    ledger: &impl Ledger,
    events: &impl PutEvents,
) -> Result<(), StepError> {
    let says = format!("S3 takes longer than it typically does. {}", sentence(counts, &[]));
    let detail = json!({
        "schema_version": 1, "id": record.id, "bucket": record.request.bucket, "tier": record.request.tier,
        "counts": counts, "says": says, "notify": record.request.notify,
    });
    events.put_event("Restore Late", &detail).await?;
    restores::change(ledger, record.clone(), |record| record.late = true).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thaw_core::RestoreId;

    use super::*;
    use crate::archive::FACTS_VALID_FOR;
    use crate::ports::ListedRestore;
    use crate::testing::archive::{Bucket, nobody_near};
    use crate::testing::memory::{MemoryEvents, MemoryLedger};
    use crate::testing::stack::{Stack, four_chunks, now, restored, restoring, row};

    fn of(state: State) -> Row {
        row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", state)
    }

    #[tokio::test]
    async fn a_call_looks_at_so_many_and_the_next_at_the_rest() {
        let stack = Stack::default();
        let restore = four_chunks(&stack).await;
        let look = async |from_chunk| {
            let input = Input { restore: restore.to_string(), from_chunk };
            let (archive, events) = (&nobody_near(), &MemoryEvents::default());
            let looked = run(input, archive, &stack.ledger, &stack.files, events, now()).await.unwrap();
            (looked.counts.published, looked.next_chunk, looked.anything_to_confirm, looked.all_published)
        };
        assert_eq!(look(0).await, (2, 2, false, false));
        assert_eq!(look(2).await, (4, 0, false, true));
    }

    #[tokio::test]
    async fn of_what_a_listing_shows_as_still_fetched_a_look_reads_no_row() {
        let stack = Stack::default();
        let keys: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let id = stack.planned(&keys.iter().map(|key| (key.as_str(), State::Planned)).collect::<Vec<_>>(), 20).await;
        let record = stack.record(&id).await;
        let known = chunks::record(&stack.ledger, &record, 0).await.unwrap().accepting_all(now());
        let objects = chunks::objects(&stack.ledger, &stack.files, &record, &known).await.unwrap();
        // A ledger without rows: who reads one finds that it is lost.
        let ledger = MemoryLedger::default();
        ledger.insert(&record).await.unwrap();
        ledger.insert(&known.counted(&objects, &BTreeSet::new(), None, now())).await.unwrap();
        let at = now() + Duration::from_secs(4 * 3_600);
        for (restore, restoring) in
            [(ListedRestore::Ongoing, Some(20)), (ListedRestore::Copy(at + FACTS_VALID_FOR), None)]
        {
            let archive = Bucket::of(keys.clone(), Some(restore), 1_000);
            let input = Input { restore: id.to_string(), from_chunk: 0 };
            let looked = run(input, &archive, &ledger, &stack.files, &MemoryEvents::default(), at).await;
            assert_eq!(looked.ok().map(|looked| looked.counts.restoring), restoring, "{restore:?}");
            assert_eq!((archive.lists.borrow().len(), archive.heads.borrow().len()), (1, 0));
        }
    }

    #[tokio::test]
    async fn a_restore_that_has_failed_looks_once_at_what_may_have_been_asked_for_whenever_its_chunk_is_due() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", State::Planned), ("b", restoring())], 2).await;
        stack.change(&id, |record| (record.status, record.completed_at) = (Status::Failed, Some(now()))).await;
        let record = stack.record(&id).await;
        let known = chunks::record(&stack.ledger, &record, 0).await.unwrap();
        let in_hours = Some(after(now(), 48 * 3_600));
        let counted = |seconds: u64| ChunkRecord {
            look_at: in_hours,
            counted_at: Some(after(now(), seconds)),
            settled: false,
            ..known.clone()
        };
        let due = after(now(), LONGEST_FUNCTION_SECONDS);
        assert!(is_due(&counted(LONGEST_FUNCTION_SECONDS - 1), &record, due));
        assert!(!is_due(&counted(LONGEST_FUNCTION_SECONDS), &record, due), "it was looked at");
        let running = RestoreRecord { status: Status::Running, completed_at: None, ..record.clone() };
        assert!(!is_due(&counted(0), &running, due));
        let all_asked = ChunkRecord { counts: Counts { planned: 0, ..known.counts }, ..counted(0) };
        assert!(!is_due(&all_asked, &record, due));
    }

    #[test]
    fn what_s3_fetches_is_late_after_its_typical_time() {
        let at = |seconds: u64| now() + Duration::from_secs(5 * 3_600 + seconds);
        let rows = [of(restored(None)), of(restoring())];
        assert!(!is_late(rows.iter(), at(0)) && is_late(rows.iter(), at(1)));
        assert!(!is_late(rows[..1].iter(), at(1)));
        assert!(!is_late([Row { kind: None, ..of(restoring()) }].iter(), at(1)), "nobody knows what is typical");
    }
}
