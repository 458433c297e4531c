//! Chunks: the objects of a restore in files, and in the ledger one item for each file with the state of its objects as
//! a whole.
//!
//! The plan writes a chunk's file once, with every object as it was found. An object gets a row in the ledger when S3
//! is about to be asked for it. That row is written again only when something happens to this object alone. What
//! happens to many objects alike is recorded once: that S3 accepted a range of entries, in the chunk's item; that S3
//! made objects readable, in a readiness record (`readiness.rs`); that CloudFront is done, in the batch (`rows.rs`).

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    ArchiveKind, Batch, ChunkPosition, Counts, Decision, Failure, FailureCode, ObjectId, RestoreId, Row, State, Status,
    Tier, hash_bytes,
};

use crate::StepError;
use crate::ledger::entry_set::{EntrySet, Finished};
use crate::ledger::readiness;
use crate::ledger::restores::{Planned, RestoreRecord};
use crate::ledger::rows::{self, row_key};
use crate::ledger::update::update;
use crate::ports::{Item, ItemKey, Ledger, WorkFiles};

/// The most objects of a restore that an API handler counts and cancels one by one. For a larger restore it reports the
/// counts of the last look.
pub const COUNTED_LIVE: u64 = 10_000;

/// Failures that a chunk keeps in words. The list of a restore's objects shows them all.
const FAILURES_KEPT: usize = 20;

/// An object in a chunk file: its row as the plan found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// The key.
    pub key: String,
    /// The pinned version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Bytes; 0 if S3 did not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Which kind of archive it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArchiveKind>,
    /// What is to be done about it.
    pub decision: Decision,
    /// Whether it is not the current version. No path shows it then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old: bool,
    /// Its state when it was planned.
    #[serde(flatten)]
    pub state: State,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ChunkEntry {
    /// The object.
    pub fn object(&self, record: &RestoreRecord) -> ObjectId {
        ObjectId { bucket: record.request.bucket.clone(), key: self.key.clone(), version: self.version.clone() }
    }

    /// The object's row before anything happened to it.
    pub fn row(&self, record: &RestoreRecord, made_at: Timestamp, place: ChunkPosition) -> Row {
        // A plan that took several calls may have found a live copy later than the first object of its chunk. The row
        // waits for that copy from then on, not from the beginning of the chunk.
        let planned_at = match &self.state {
            State::Restored { at, .. } => *at,
            State::Planned
            | State::Available
            | State::Restoring { .. }
            | State::Published { .. }
            | State::Failed { .. }
            | State::Cancelled { .. } => made_at,
        };
        Row {
            object: self.object(record),
            restore: record.id.clone(),
            size: self.size,
            kind: self.kind,
            decision: self.decision,
            publish: record.request.publish,
            current: !self.old,
            planned_at,
            place: Some(place),
            held_until: None,
            state: self.state.clone(),
            revision: 0,
        }
    }
}

/// The state of a chunk's objects as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// The restore.
    pub restore: RestoreId,
    /// When its first object was looked at, or a moment before. Its rows have this time as `planned_at`.
    pub made_at: Timestamp,
    /// When the call that wrote it began; `None` if that is `made_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Timestamp>,
    /// The chunk's number.
    pub chunk: u32,
    /// The hash of its file. S3 is only asked for what was planned: a file that was changed since is refused.
    pub file_hash: String,
    /// The ranges of entries that S3 has accepted as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// The states of the objects when they were last counted.
    pub counts: Counts,
    /// When they were last counted; `None` if only the plan counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// How many readable objects are to be published now, and are not with CloudFront yet.
    #[serde(default)]
    pub to_invalidate: u64,
    /// How many readable objects wait for the others of their restore.
    #[serde(default)]
    pub waiting: u64,
    /// How many readable objects wait for an archived neighbour that is on its way, in whichever restore.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
    /// When the next look may find something new; `None` if nothing is left to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<Timestamp>,
    /// Entries that S3 was still fetching, and whose rows say no more than the chunk's accepted ranges do.
    #[serde(default, skip_serializing_if = "EntrySet::is_empty")]
    pub fetching: EntrySet,
    /// Entries that are readable, and not with CloudFront yet.
    #[serde(default, skip_serializing_if = "EntrySet::is_empty")]
    pub readable: EntrySet,
    /// Entries that are finished: nothing can change them any more.
    #[serde(rename = "over", default, skip_serializing_if = "Finished::is_empty")]
    pub finished: Finished,
    /// Whether nothing is left to do for any entry.
    pub settled: bool,
    /// Whether some objects were given up that S3 may still deliver. An event then makes them readable, and the chunk
    /// is no longer settled.
    #[serde(default)]
    pub may_revive: bool,
    /// When copies of its objects expire.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub expire: BTreeSet<Timestamp>,
    /// The first failures, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// Counts the changes. Every write is conditional on it.
    pub revision: u64,
}

/// A range of a chunk's entries that S3 has accepted. Their rows may still say `planned`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The first entry.
    pub from: u32,
    /// The entry after the last.
    pub to: u32,
    /// When S3 accepted them.
    pub at: Timestamp,
}

impl ChunkRecord {
    /// A chunk of a new plan: S3 was asked for nothing yet.
    pub fn new(record: &RestoreRecord, made_at: Timestamp, chunk: u32, entries: &[ChunkEntry], file: &[u8]) -> Self {
        let new = Self {
            restore: record.id.clone(),
            made_at,
            written_at: None,
            chunk,
            file_hash: hash_bytes(file),
            accepted: Vec::new(),
            counts: Counts::default(),
            counted_at: None,
            to_invalidate: 0,
            waiting: 0,
            held: 0,
            look_at: None,
            fetching: EntrySet::default(),
            readable: EntrySet::default(),
            finished: Finished::default(),
            settled: true,
            may_revive: false,
            expire: BTreeSet::new(),
            failures: Vec::new(),
            revision: 0,
        };
        // Rows are many times as large as entries, and a plan may have a million. A thousand rows at a time stay in the
        // CPU's caches.
        let to_object = |(entry, planned): (u32, &ChunkEntry)| {
            let row = planned.row(record, made_at, ChunkPosition { chunk, entry });
            ChunkObject { entry, row, written: RowPresence::Nothing }
        };
        let part = |(from, entries): (u32, &[ChunkEntry])| {
            let objects: Vec<ChunkObject> = (from..).zip(entries).map(to_object).collect();
            new.clone().counted(&objects, &BTreeSet::new(), None, made_at)
        };
        let parts = (0..).step_by(1_000).zip(entries.chunks(1_000));
        parts.map(part).reduce(Self::and).unwrap_or(new)
    }

    /// Adds up two parts of a chunk.
    fn and(mut self, other: Self) -> Self {
        self.counts += other.counts;
        self.expire.extend(other.expire);
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_KEPT);
        Self {
            to_invalidate: self.to_invalidate + other.to_invalidate,
            waiting: self.waiting + other.waiting,
            held: self.held + other.held,
            readable: self.readable.and(&other.readable),
            finished: self.finished.and(other.finished),
            settled: self.settled && other.settled,
            may_revive: self.may_revive || other.may_revive,
            ..self
        }
    }

    /// The record after a count of its objects. `objects` must hold every entry that is not finished; finished ones
    /// among them are not counted twice. `with_cloudfront` are the objects whose batches are with CloudFront.
    pub fn counted(
        self,
        objects: &[ChunkObject],
        with_cloudfront: &BTreeSet<ObjectId>,
        look_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let (mut finished, mut failures) = (self.finished.clone(), self.failures.clone());
        let open = objects.iter().filter(|object| !finished.has(object.entry));
        let (ended, open): (Vec<&ChunkObject>, Vec<&ChunkObject>) = open.partition(|object| object.row.is_final());
        finished.take(ended.iter().map(|object| (object.entry, &object.row)));
        let rows: Vec<&Row> = open.iter().map(|object| &object.row).collect();
        let is_readable = |row: &Row| matches!(row.state, State::Restored { .. }) && !row.is_settled();
        let is_with_cloudfront = |row: &Row| row.state.claim().is_some() && with_cloudfront.contains(&row.object);
        let readable = || open.iter().filter(|object| is_readable(&object.row) && !is_with_cloudfront(&object.row));
        let held = readable().filter(|object| object.row.held(now).is_some()).count() as u64;
        let waits = |row: &Row| row.state.claim().is_none() && row.held(now).is_none() && !row.is_to_publish(true, now);
        let waiting = readable().filter(|object| waits(&object.row)).count() as u64;
        let to_invalidate = readable().count() as u64 - waiting - held;
        let readable = readable().map(|object| object.entry).collect();
        let is_fetched = |object: &ChunkObject| {
            object.written == RowPresence::AsAccepted && matches!(object.row.state, State::Restoring { .. })
        };
        let fetching = open.iter().filter(|object| is_fetched(object)).map(|object| object.entry).collect();
        // Timeouts of open entries are found anew below. Failures of finished entries are only kept here.
        failures.retain(|failure| failure.code != FailureCode::RetrievalTimedOut);
        failures.extend(
            ended
                .into_iter()
                .chain(open.iter().copied())
                .filter_map(|object| Failure::of(&object.row))
                .take(FAILURES_KEPT),
        );
        failures.truncate(FAILURES_KEPT);
        let mut counts = finished.counts;
        counts += Counts::of(rows.iter().copied());
        Self {
            counts,
            counted_at: Some(now),
            to_invalidate,
            waiting,
            held,
            look_at,
            settled: rows.iter().all(|row| row.is_settled()),
            may_revive: rows
                .iter()
                .any(|row| matches!(row.state, State::Failed { code: FailureCode::RetrievalTimedOut, .. })),
            expire: finished.expire.iter().copied().chain(rows.iter().filter_map(|row| row.state.expires())).collect(),
            fetching,
            readable,
            finished,
            failures,
            ..self
        }
    }

    /// Whether some objects are readable but not known to be visible, or may become readable without the chunk knowing.
    pub fn is_publishing(&self) -> bool {
        (!self.settled && self.counts.restored > 0) || self.may_revive
    }

    /// When S3 accepted the entry; `None` if it has not, or not as part of a range.
    pub fn accepted_at(&self, entry: u32) -> Option<Timestamp> {
        self.accepted.iter().find(|one| (one.from..one.to).contains(&entry)).map(|one| one.at)
    }

    /// When the call that wrote it began.
    pub fn written_at(&self) -> Timestamp {
        self.written_at.unwrap_or(self.made_at)
    }

    fn key_of(restore: &RestoreId, written_at: Timestamp, chunk: u32) -> ItemKey {
        ItemKey { pk: format!("R#{restore}"), sk: format!("chunk#{}#{chunk:05}", written_at.as_millisecond()) }
    }
}

impl Item for ChunkRecord {
    fn key(&self) -> ItemKey {
        Self::key_of(&self.restore, self.written_at(), self.chunk)
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The name of a chunk's file in the work bucket.
pub fn chunk_name(id: &RestoreId, written_at: Timestamp, chunk: u32) -> String {
    format!("restores/{id}/chunks/{}/{chunk:05}.json", written_at.as_millisecond())
}

/// An object of a chunk, as it stands now.
#[derive(Debug, Clone)]
pub struct ChunkObject {
    /// The number of its entry in the chunk.
    pub entry: u32,
    /// Its row, with the chunk's accepted ranges and readiness records applied.
    pub row: Row,
    /// What the ledger itself has of the row.
    pub written: RowPresence,
}

/// What the ledger has of an object's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPresence {
    /// Nothing: S3 was not asked for it yet, or never will be.
    Nothing,
    /// A row that still says `planned`. The chunk says that S3 has accepted it, and a readiness record may say that it
    /// can be read.
    AsAccepted,
    /// A row that says the state itself.
    Row,
}

/// A restore's plan; an error if there is none yet.
pub fn plan_of(record: &RestoreRecord) -> Result<&Planned, StepError> {
    record.plan.as_ref().ok_or_else(|| StepError::Unexpected(format!("restore {} has no plan yet", record.id)))
}

/// The entries of a chunk, as they were planned. Fails if the file is gone or was changed since.
pub async fn entries(
    files: &impl WorkFiles,
    record: &RestoreRecord,
    chunk: &ChunkRecord,
) -> Result<Vec<ChunkEntry>, StepError> {
    let name = chunk_name(&record.id, chunk.written_at(), chunk.chunk);
    let Some(file) = files.get(&name).await? else {
        return Err(StepError::Unexpected(format!("the work bucket has no {name}")));
    };
    if hash_bytes(&file) != chunk.file_hash {
        return Err(StepError::Unexpected(format!(
            "{name} in the work bucket is not what was planned: it was changed"
        )));
    }
    Ok(serde_json::from_slice(&file)?)
}

/// The records of all chunks of a restore, in order; none while the restore is not planned.
pub async fn records(ledger: &impl Ledger, record: &RestoreRecord) -> Result<Vec<ChunkRecord>, StepError> {
    let Some(plan) = &record.plan else { return Ok(Vec::new()) };
    let key = |chunk| ChunkRecord::key_of(&record.id, plan.written_at(chunk), chunk);
    let keys: Vec<_> = (0..plan.chunks).map(key).collect();
    let mut records: Vec<ChunkRecord> = ledger.get_many(&keys).await?;
    records.sort_by_key(|record| record.chunk);
    // Chunks are written before the plan. A missing one would make the restore look smaller than it is.
    if records.len() != keys.len() {
        let gone = keys.len() - records.len().min(keys.len());
        return Err(StepError::Unexpected(format!(
            "the ledger has lost {gone} of the {} chunks of restore {}",
            keys.len(),
            record.id
        )));
    }
    Ok(records)
}

/// The record of one chunk.
pub async fn record(ledger: &impl Ledger, record: &RestoreRecord, chunk: u32) -> Result<ChunkRecord, StepError> {
    let key = ChunkRecord::key_of(&record.id, plan_of(record)?.written_at(chunk), chunk);
    let found = ledger.get(&key).await?;
    found.ok_or_else(|| StepError::Unexpected(format!("the ledger has lost chunk {chunk} of restore {}", record.id)))
}

/// Changes a chunk's record, with optimistic concurrency. A change that changes nothing is not written.
pub async fn change(
    ledger: &impl Ledger,
    chunk: ChunkRecord,
    change: impl Fn(ChunkRecord) -> ChunkRecord,
) -> Result<ChunkRecord, StepError> {
    let next = |chunk: &ChunkRecord| {
        let next = change(chunk.clone());
        (next != *chunk).then(|| ChunkRecord { revision: chunk.revision + 1, ..next })
    };
    update(ledger, chunk, next).await
}

/// A chunk's objects as they are now.
pub async fn objects(
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    record: &RestoreRecord,
    chunk: &ChunkRecord,
) -> Result<Vec<ChunkObject>, StepError> {
    let entries = entries(files, record, chunk).await?;
    let all = entries.iter().zip(0..);
    objects_of(ledger, record, chunk, all).await
}

/// The objects that S3 was still fetching at the last count, as they were then. No row is read.
pub fn fetching(record: &RestoreRecord, chunk: &ChunkRecord, entries: &[ChunkEntry]) -> Vec<ChunkObject> {
    let fetching = planned(record, chunk, entries.iter().zip(0..).filter(|(_, entry)| chunk.fetching.has(*entry)));
    let as_their_stretch = |(entry, row)| {
        let accepted = chunk.accepted_at(entry)?;
        Some(ChunkObject { entry, row: as_accepted(row, Some(accepted), record), written: RowPresence::AsAccepted })
    };
    fetching.into_iter().filter_map(as_their_stretch).collect()
}

/// The chunk's objects that are not finished, by an eventually consistent read, and those of them whose batches are
/// with CloudFront. `still_fetching` are left out: S3 still fetches these. `look` gets each batch of a claimed row and
/// answers the batch to go by; it may ask CloudFront.
pub async fn open_objects(
    ledger: &impl Ledger,
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    entries: &[ChunkEntry],
    still_fetching: &[ChunkObject],
    look: impl AsyncFn(Batch) -> Result<Batch, StepError>,
) -> Result<(Vec<ChunkObject>, BTreeSet<ObjectId>), StepError> {
    let unread: EntrySet = still_fetching.iter().map(|object| object.entry).collect();
    let is_open = |entry: u32| !chunk.finished.has(entry) && !unread.has(entry);
    let open = planned(record, chunk, entries.iter().zip(0..).filter(|(_, entry)| is_open(*entry)));
    let (written, with_cloudfront) = rows::with_keys_eventually(&keys_of(&open), ledger, look).await?;
    Ok((merged(ledger, record, chunk, open, written).await?, with_cloudfront))
}

/// The entries that were readable and not with CloudFront at the last count, with their numbers. No row is read.
pub async fn readable_entries(
    files: &impl WorkFiles,
    record: &RestoreRecord,
    chunk: &ChunkRecord,
) -> Result<Vec<(ChunkEntry, u32)>, StepError> {
    if chunk.readable.is_empty() {
        return Ok(Vec::new());
    }
    let entries = entries(files, record, chunk).await?;
    Ok(entries.into_iter().zip(0..).filter(|(_, entry)| chunk.readable.has(*entry)).collect())
}

/// Some of a chunk's objects as they are now, by entries and their numbers.
pub async fn objects_of(
    ledger: &impl Ledger,
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    entries: impl Iterator<Item = (&ChunkEntry, u32)>,
) -> Result<Vec<ChunkObject>, StepError> {
    let planned = planned(record, chunk, entries);
    let written = rows::with_keys(&keys_of(&planned), ledger).await?;
    merged(ledger, record, chunk, planned, written).await
}

/// The rows of entries before anything happened to them, each with its entry's number.
fn planned<'a>(
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    entries: impl Iterator<Item = (&'a ChunkEntry, u32)>,
) -> Vec<(u32, Row)> {
    let (made_at, number) = (chunk.made_at, chunk.chunk);
    entries
        .map(|(planned, entry)| (entry, planned.row(record, made_at, ChunkPosition { chunk: number, entry })))
        .collect()
}

/// The keys of the rows that the ledger may have: settled objects never get one.
fn keys_of(planned: &[(u32, Row)]) -> Vec<ItemKey> {
    let rows = planned.iter().map(|(_, row)| row).filter(|row| !row.is_settled());
    rows.map(|row| row_key(&row.object, &row.restore)).collect()
}

/// Merges the planned rows with the ledger's rows, the chunk's accepted ranges and its readiness records.
async fn merged(
    ledger: &impl Ledger,
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    planned: Vec<(u32, Row)>,
    written: Vec<Row>,
) -> Result<Vec<ChunkObject>, StepError> {
    let readiness = match written.iter().any(|row| row.state == State::Planned) {
        true => readiness::of_chunk(&chunk.restore, chunk.made_at, chunk.chunk, ledger).await?,
        false => HashMap::new(),
    };
    let of = planned.iter().filter(|(_, row)| !row.is_settled()).count();
    let mut written: HashMap<ItemKey, Row> = written.into_iter().map(|row| (row.key(), row)).collect();
    let mut lost = 0;
    let mut objects = Vec::with_capacity(planned.len());
    for (entry, row) in planned {
        let accepted = chunk.accepted_at(entry);
        objects.push(match written.remove(&row.key()) {
            Some(row) => {
                let written = match (&row.state, accepted) {
                    (State::Planned, Some(_)) => RowPresence::AsAccepted,
                    _ => RowPresence::Row,
                };
                let readiness = readiness.get(&entry).filter(|_| row.state == State::Planned);
                let row = as_accepted(row, accepted, record);
                let row = if let Some(readiness) = readiness { row.with_readiness(*readiness) } else { row };
                ChunkObject { entry, row, written }
            }
            None => {
                // Rows are written before S3 is asked. A missing row would make the restore look done.
                lost += usize::from(accepted.is_some() && !row.is_settled());
                let state = match record.status {
                    // An object that was not asked for, or not published, when its restore was cancelled stays that
                    // way.
                    Status::Cancelled if row.ends_with_a_cancel() => {
                        State::Cancelled { at: record.completed_at.unwrap_or(record.requested_at) }
                    }
                    // A restore that failed did nothing about such an object, not even about a copy that somebody else
                    // restored.
                    Status::Failed if row.ends_with_a_cancel() => State::Planned,
                    Status::Running | Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled => {
                        row.state.clone()
                    }
                };
                let row = Row { state, ..row };
                ChunkObject { entry, row, written: RowPresence::Nothing }
            }
        });
    }
    if lost > 0 {
        let number = chunk.chunk;
        return Err(StepError::Unexpected(format!(
            "the ledger has lost {lost} of the {of} rows of chunk {number} of restore {}",
            record.id
        )));
    }
    Ok(objects)
}

/// The row with the state that follows from its accepted range, if the row itself still says `planned`.
pub fn as_accepted(row: Row, accepted: Option<Timestamp>, record: &RestoreRecord) -> Row {
    match (&row.state, accepted) {
        (State::Planned, Some(at)) => Row { state: accepted_state(&row, record.request.tier, at), ..row },
        _ => row,
    }
}

/// The state of an object after S3 accepted it (202), or after the decision to wait for somebody else's request.
pub fn accepted_state(row: &Row, requested: Tier, at: Timestamp) -> State {
    let (tier, joined) = accepted_as(row, requested);
    State::Restoring { since: at, tier, joined }
}

/// The tier at which an accepted object is waited for, and whether somebody else asked for it.
pub fn accepted_as(row: &Row, requested: Tier) -> (Tier, bool) {
    match row.decision {
        Decision::Restore | Decision::Extend | Decision::Join => (requested, false),
        // S3 is not asked, so it may be fetching at any tier. A tier that is not offered for this kind has no known
        // duration.
        Decision::Watch | Decision::Publish | Decision::Nothing => {
            let is_offered = row.kind.is_none_or(|kind| kind.window(requested).is_some());
            (if is_offered { requested } else { Tier::Standard }, true)
        }
    }
}

/// All objects of a restore as they are now; `None` if they are too many to read while somebody waits for the answer.
pub async fn all_objects(
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    record: &RestoreRecord,
    chunks: &[ChunkRecord],
) -> Result<Option<Vec<ChunkObject>>, StepError> {
    if chunks.iter().map(|chunk| chunk.counts.total).sum::<u64>() > COUNTED_LIVE {
        return Ok(None);
    }
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend(objects(ledger, files, record, chunk).await?);
    }
    Ok(Some(all))
}

/// Whether the execution has nothing left to do for a chunk. A failed restore asks S3 for nothing more, so objects that
/// it did not ask for do not keep it going.
pub fn is_done(chunk: &ChunkRecord, record: &RestoreRecord) -> bool {
    let is_awaited = match record.status {
        Status::Running | Status::Cancelled => !chunk.settled,
        Status::Succeeded | Status::PartlyFailed | Status::Failed => {
            let unpublished = if record.request.publish.never() { 0 } else { chunk.counts.restored };
            chunk.counts.restoring + unpublished > 0
        }
    };
    !is_awaited
}

/// The sum of the counts of all chunks.
pub fn total(all: &[ChunkRecord]) -> Counts {
    let mut counts = Counts::default();
    all.iter().for_each(|chunk| counts += chunk.counts);
    counts
}

/// Seconds until the first chunk is due; 0 if it is due now, or if nothing is left to wait for.
pub fn wait_seconds(all: &[ChunkRecord], record: &RestoreRecord, now: Timestamp) -> u64 {
    let first = all.iter().filter(|chunk| !is_done(chunk, record)).filter_map(|chunk| chunk.look_at).min();
    first.map_or(0, |at| u64::try_from(at.as_second() - now.as_second()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
