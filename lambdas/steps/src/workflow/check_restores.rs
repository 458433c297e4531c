//! CheckRestores: looks which objects can be read by now, and answers what comes next.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thaw_core::{Counts, Event, Facts, ObjectId, Readability, Readiness, Row, State, Status, sentence};
use tracing::{info, warn};

use crate::StepError;
use crate::archive::restore_status::{after, is_still_fetched, listed, look_at, seconds_until_next_look};
use crate::archive::restore_time::{RestoreTime, log_restored};
use crate::ledger::chunks::{self, ChunkObject, ChunkRecord, RowPresence, is_done, total, wait_seconds};
use crate::ledger::readiness;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows::apply;
use crate::metrics::seconds;
use crate::ports::{IN_FLIGHT, Ledger, PutEvents, ReadArchive, WorkFiles};
use crate::workflow::{LONGEST_FUNCTION_SECONDS, OBJECTS_PER_CALL, restore_id};

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk to begin with: where the call before stopped.
    #[serde(default)]
    pub from_chunk: u32,
}

/// The output, on which the next states decide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// The counts of the restore's objects.
    pub counts: Counts,
    /// Whether readable objects have paths that are not with CloudFront yet.
    pub anything_to_invalidate: bool,
    /// Whether paths are with CloudFront that are not known to be invalidated yet.
    pub anything_to_confirm: bool,
    /// Whether nothing is left to do.
    pub all_published: bool,
    /// Seconds until the next look.
    pub wait_seconds: u64,
    /// The chunk that the next call begins with; 0 if this look is complete.
    pub next_chunk: u32,
}

/// Looks at the objects that are being restored, chunk by chunk, where a look is due.
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
    // The execution woke up for the chunk that is due first. That chunk is due even if this clock is behind.
    let first = all.iter().filter(|chunk| !is_done(chunk, &record)).filter_map(|chunk| chunk.look_at).min();
    let due = first.unwrap_or(now).max(now);
    let (mut looked_at, mut late, mut next_chunk) = (0, false, 0);
    for chunk in &mut all {
        if chunk.chunk < input.from_chunk || !is_due(chunk, &record, due) {
            continue;
        }
        if looked_at >= OBJECTS_PER_CALL {
            next_chunk = chunk.chunk;
            break;
        }
        looked_at += chunk.counts.total;
        let (objects, with_cloudfront) = look(&record, chunk, others_on_their_way, archive, ledger, files, now).await?;
        let rows = objects.iter().map(|object| &object.row);
        late |= is_late(rows.clone(), now);
        // Whether other objects are still on their way is only known after the last chunk. Until then it is assumed.
        let wait = seconds_until_next_look(rows, true, now);
        let look_at = after(now, wait);
        let counted = |chunk: ChunkRecord| chunk.counted(&objects, &with_cloudfront, Some(look_at), now);
        *chunk = chunks::change(ledger, chunk.clone(), counted).await?;
    }
    let counts = total(&all);
    let is_over = next_chunk == 0;
    let to_invalidate = all.iter().any(|chunk| chunk.to_invalidate > 0);
    let nobody_waits_any_more = counts.awaited(record.status) == 0 && all.iter().any(|chunk| chunk.waiting > 0);
    let anything_to_invalidate = is_over && (to_invalidate || nobody_waits_any_more);
    let with_cloudfront = |chunk: &ChunkRecord| match chunk.settled || record.request.publish.never() {
        true => 0,
        false => chunk.counts.restored.saturating_sub(chunk.to_invalidate + chunk.waiting + chunk.held),
    };
    let claimed: u64 = all.iter().map(with_cloudfront).sum();
    let mut says = sentence(counts, &[]);
    if claimed > 0 {
        says.push_str(&format!(" Of the restored, CloudFront has the paths of {claimed} already."));
    }
    let output = Output {
        says,
        counts,
        anything_to_invalidate,
        anything_to_confirm: anything_to_invalidate || is_over && claimed > 0,
        all_published: is_over && all.iter().all(|chunk| is_done(chunk, &record)),
        wait_seconds: wait_seconds(&all, &record, now),
        next_chunk,
    };
    if !record.late && late && record.status == Status::Running {
        say_late(&record, counts, ledger, events).await?;
    }
    info!(restore = %record.id, wait_seconds = output.wait_seconds, "{}", output.says);
    Ok(output)
}

/// Whether a look at a chunk may find something new. A cancelled restore is settled at once.
fn is_due(chunk: &ChunkRecord, record: &RestoreRecord, due: Timestamp) -> bool {
    let is_time = record.status == Status::Cancelled || chunk.look_at.is_none_or(|at| at <= due);
    chunk.may_revive || (!chunk.settled && (is_time || may_be_asked_for_unnoted(chunk, record)))
}

/// Whether S3 may have been asked for objects of a chunk without a record of it, by a function or a job that was
/// interrupted when the restore failed. True until one look after the last of them must have ended.
fn may_be_asked_for_unnoted(chunk: &ChunkRecord, record: &RestoreRecord) -> bool {
    let ended = record
        .completed_at
        .filter(|_| record.status == Status::Failed)
        .map(|failed| after(failed, LONGEST_FUNCTION_SECONDS));
    chunk.counts.planned > 0 && ended.is_some_and(|ended| chunk.counted_at.is_none_or(|counted| counted < ended))
}

/// Looks at the objects of a chunk that are not finished. Answers them as they are now, and those whose batches are
/// with CloudFront.
async fn look(
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    others_on_their_way: bool,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<(Vec<ChunkObject>, BTreeSet<ObjectId>), StepError> {
    let as_it_is = async |batch| Ok(batch);
    let entries = chunks::entries(files, record, chunk).await?;
    if record.status == Status::Cancelled {
        let (objects, with_cloudfront) = chunks::open_objects(ledger, record, chunk, &entries, &[], as_it_is).await?;
        let open =
            objects.iter().filter(|object| object.written != RowPresence::Nothing && object.row.ends_with_a_cancel());
        let cancelled = open.map(|object| (object.row.clone(), Event::Cancelled { at: now })).collect();
        return Ok((updated(ledger, objects, cancelled).await?, with_cloudfront));
    }
    // S3 first. A page of its listing costs as much as eventually consistent reads of eighty rows, and most objects of
    // its thousand are still being fetched.
    let mut still_fetching = chunks::fetching(record, chunk, &entries);
    let listing = listed(still_fetching.iter().map(|object| &object.row), archive).await?;
    still_fetching.retain(|object| is_still_fetched(&object.row, &listing, now));
    let (objects, with_cloudfront) =
        chunks::open_objects(ledger, record, chunk, &entries, &still_fetching, as_it_is).await?;
    let rows: Vec<Row> = objects.iter().map(|object| object.row.clone()).collect();
    let seen = look_at(rows, &listing, others_on_their_way, archive, now).await?;
    let mut learned: Vec<(Row, Event)> = seen.into_iter().filter_map(|seen| Some((seen.row, seen.event?))).collect();
    if record.status != Status::Running {
        learned.extend(found_in_s3(&objects, record, archive, now).await?);
    }
    let mut objects = updated(ledger, objects, learned).await?;
    objects.extend(still_fetching);
    Ok((objects, with_cloudfront))
}

/// The state in S3 of objects that a failed restore was about to ask for: the ledger does not know whether it did.
/// Objects that S3 neither fetches nor has readable stay as they are. One that S3 refuses to describe may be paid for,
/// and no later look would know more: it has failed.
async fn found_in_s3(
    objects: &[ChunkObject],
    record: &RestoreRecord,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<(Row, Event)>, StepError> {
    let unknown = |object: &&ChunkObject| object.written == RowPresence::Row && object.row.state == State::Planned;
    let found: Vec<(Row, Option<Event>)> = stream::iter(objects.iter().filter(unknown))
        .map(async |object| {
            let event = match archive.head(&object.row.object).await? {
                Facts::Found(head) => match head.readability(now) {
                    Ok(Readability::Restoring(_)) => {
                        // Somebody else may have asked for it, at another tier.
                        let (tier, _) = chunks::accepted_as(&object.row, record.request.tier);
                        Some(Event::Joined { at: now, tier })
                    }
                    Ok(Readability::Copy { expires, .. }) => Some(Event::Readable { at: now, expires: Some(expires) }),
                    Ok(Readability::Readable) => Some(Event::Readable { at: now, expires: None }),
                    Ok(Readability::Archived(_)) | Err(_) => None,
                },
                Facts::Missing(missing) => {
                    missing.undescribed().map(|(code, message)| Event::Failed { at: now, code, message })
                }
            };
            Ok::<_, StepError>((object.row.clone(), event))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    Ok(found.into_iter().filter_map(|(row, event)| Some((row, event?))).collect())
}

/// The objects after these events. That an object can be read goes into a readiness record, unless its row has to be
/// written.
async fn updated(
    ledger: &impl Ledger,
    mut objects: Vec<ChunkObject>,
    events: Vec<(Row, Event)>,
) -> Result<Vec<ChunkObject>, StepError> {
    log_restored(events.iter().filter_map(|(row, event)| took(row, event)));
    let mut events: HashMap<ObjectId, Event> = events.into_iter().map(|(row, event)| (row.object, event)).collect();
    let (mut ready, mut changes) = (Vec::new(), Vec::new());
    for object in &mut objects {
        match (events.remove(&object.row.object), object.written) {
            (None, _) => {}
            (Some(Event::Readable { at, expires }), RowPresence::AsAccepted)
                if readiness::is_recorded_for(&object.row) =>
            {
                let readiness = Readiness { at, expires };
                let row = object.row.clone().with_readiness(readiness);
                if row != object.row {
                    object.row = row;
                    ready.push((&object.row, readiness));
                }
            }
            (Some(event), _) => changes.push((&mut object.row, event)),
        }
    }
    readiness::record(&ready, ledger).await?;
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

/// How long S3 took for an object, if it can be read from this event on.
fn took(row: &Row, event: &Event) -> Option<RestoreTime> {
    let (State::Restoring { since, tier, .. }, Event::Readable { at, .. }) = (&row.state, event) else { return None };
    Some(RestoreTime { kind: row.kind?, tier: *tier, seconds: seconds(*since, *at) })
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
    warn!(restore = %record.id, RestoresLate = 1_u64, "{says}");
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
    async fn a_call_stops_after_its_maximum_and_the_next_goes_on() {
        let stack = Stack::default();
        let restore = four_chunks(&stack).await;
        let look = async |from_chunk| {
            let input = Input { restore: restore.to_string(), from_chunk };
            let (archive, events) = (&nobody_near(), &MemoryEvents::default());
            let output = run(input, archive, &stack.ledger, &stack.files, events, now()).await.unwrap();
            (output.counts.published, output.next_chunk, output.anything_to_confirm, output.all_published)
        };
        assert_eq!(look(0).await, (2, 2, false, false));
        assert_eq!(look(2).await, (4, 0, false, true));
    }

    #[tokio::test]
    async fn the_row_of_an_object_that_a_listing_shows_as_still_fetched_is_not_read() {
        let stack = Stack::default();
        let keys: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let id = stack.planned(&keys.iter().map(|key| (key.as_str(), State::Planned)).collect::<Vec<_>>(), 20).await;
        let record = stack.record(&id).await;
        let chunk = chunks::record(&stack.ledger, &record, 0).await.unwrap().accepting_all(now());
        let objects = chunks::objects(&stack.ledger, &stack.files, &record, &chunk).await.unwrap();
        // A ledger without rows: a read of one fails, because it looks lost.
        let ledger = MemoryLedger::default();
        ledger.insert(&record).await.unwrap();
        ledger.insert(&chunk.counted(&objects, &BTreeSet::new(), None, now())).await.unwrap();
        let at = now() + Duration::from_secs(4 * 3_600);
        for (restore, restoring) in
            [(ListedRestore::Ongoing, Some(20)), (ListedRestore::Copy(at + FACTS_VALID_FOR), None)]
        {
            let archive = Bucket::of(keys.clone(), Some(restore), 1_000);
            let input = Input { restore: id.to_string(), from_chunk: 0 };
            let output = run(input, &archive, &ledger, &stack.files, &MemoryEvents::default(), at).await;
            assert_eq!(output.ok().map(|output| output.counts.restoring), restoring, "{restore:?}");
            assert_eq!((archive.lists.borrow().len(), archive.heads.borrow().len()), (1, 0));
        }
    }

    #[tokio::test]
    async fn a_failed_restore_looks_once_at_what_may_have_been_asked_for_even_if_its_chunk_is_not_due() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", State::Planned), ("b", restoring())], 2).await;
        stack.change(&id, |record| (record.status, record.completed_at) = (Status::Failed, Some(now()))).await;
        let record = stack.record(&id).await;
        let chunk = chunks::record(&stack.ledger, &record, 0).await.unwrap();
        let in_hours = Some(after(now(), 48 * 3_600));
        let counted = |seconds: u64| ChunkRecord {
            look_at: in_hours,
            counted_at: Some(after(now(), seconds)),
            settled: false,
            ..chunk.clone()
        };
        let due = after(now(), LONGEST_FUNCTION_SECONDS);
        assert!(is_due(&counted(LONGEST_FUNCTION_SECONDS - 1), &record, due));
        assert!(!is_due(&counted(LONGEST_FUNCTION_SECONDS), &record, due), "it was looked at");
        let running = RestoreRecord { status: Status::Running, completed_at: None, ..record.clone() };
        assert!(!is_due(&counted(0), &running, due));
        let all_asked = ChunkRecord { counts: Counts { planned: 0, ..chunk.counts }, ..counted(0) };
        assert!(!is_due(&all_asked, &record, due));
    }

    #[test]
    fn an_object_is_late_after_its_typical_time() {
        let at = |seconds: u64| now() + Duration::from_secs(5 * 3_600 + seconds);
        let rows = [of(restored(None)), of(restoring())];
        assert!(!is_late(rows.iter(), at(0)) && is_late(rows.iter(), at(1)));
        assert!(!is_late(rows[..1].iter(), at(1)));
        assert!(!is_late([Row { kind: None, ..of(restoring()) }].iter(), at(1)), "nobody knows what is typical");
    }
}
