//! StartRestores: asks S3 to restore the objects of one chunk, or leaves them to a job. A refused object does not stop
//! the others.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    ArchiveKind, ChunkPosition, Counts, Decision, Event, ExpeditedFallback, Facts, JobGroup, Readability,
    RestoreAnswer, Row, State, Status, Tier,
};
use tracing::{info, warn};

use crate::StepError;
use crate::ledger::chunks::{
    self, Accepted, ChunkEntry, ChunkObject, ChunkRecord, RowPresence, accepted_as, accepted_state,
};
use crate::ledger::jobs;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows::{self, apply};
use crate::ports::{IN_FLIGHT, Ledger, Put, ReadArchive, RequestRestores, WorkFiles};
use crate::workflow::counting::{counted, settled};
use crate::workflow::restore_id;

/// Entries that are recorded as accepted together. A function that dies loses the answers of at most this many, and of
/// the requests in flight. The next attempt asks S3 for the state of these objects before it repeats a request.
const RANGE: usize = 250;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk's number.
    pub chunk: u32,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// The counts of the chunk's objects.
    pub counts: Counts,
    /// Seconds until the first look at this chunk.
    pub wait_seconds: u64,
    /// Whether some objects are left to a job of S3 Batch Operations.
    pub for_a_job: bool,
}

/// Asks S3 for the objects of a chunk that are still planned.
///
/// An object that a job of S3 Batch Operations is to ask for only gets its row, unless the job was abandoned.
///
/// Each object's row is written before S3 is asked for it. Accepted requests are recorded range by range, so a second
/// run continues where the first died. It asks S3 for the state of an object that may have been asked for before it
/// repeats the request. A refused object does not stop the others. If S3 or the ledger throttles more than the ports
/// can absorb, no new requests are begun. Fails with `Throttled` or `Unavailable` if some objects are still planned at
/// the end.
pub async fn run(
    input: Input,
    archive: &(impl RequestRestores + ReadArchive),
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let mut chunk = chunks::record(ledger, &record, input.chunk).await?;
    let entries = chunks::entries(files, &record, &chunk).await?;
    let is_first_try = chunk.accepted.is_empty() && chunk.revision == 0;
    let mut objects = Vec::with_capacity(entries.len());
    let mut trouble = None;
    let by_jobs = jobs::ask_for(ledger, &record, input.chunk).await?;
    let asking = Asking { record: &record, chunk: input.chunk, made_at: chunk.made_at, by_jobs, archive, ledger, now };
    let to_ask = ranges(&chunk, &entries);
    let mut open: BTreeMap<u32, EntryRange> =
        to_ask.iter().map(|(from, entries)| (*from, EntryRange::new(entries.len()))).collect();
    let slow_down = Cell::new(false);
    // All entries in one stream, not range by range: then no range waits for the slowest request of the one before.
    let to_ask = to_ask.into_iter().flat_map(|(from, entries)| (from..).zip(entries).map(move |one| (from, one)));
    let mut answers = stream::iter(to_ask)
        .take_while(|_| future::ready(!slow_down.get()))
        .map(async |(from, (number, entry))| (from, asking.ask(number, entry).await))
        .buffer_unordered(IN_FLIGHT);
    while let Some((from, answer)) = answers.next().await {
        let Some(range) = open.get_mut(&from) else { continue };
        match answer {
            Ok((object, AnswerNoted::Alike)) => range.accepted.push(object),
            Ok((object, AnswerNoted::Noted)) => range.settled.push(object),
            Ok((object, AnswerNoted::ByJob)) => range.by_job.push(object),
            Err(error) => {
                slow_down.set(slow_down.get() || matches!(error, StepError::Throttled(_)));
                trouble.get_or_insert(error);
            }
        }
        if range.is_answered()
            && range.by_job.is_empty()
            && let Some(range) = open.remove(&from)
        {
            if !range.accepted.is_empty() {
                let to = from + range.entries;
                chunk = chunks::change(ledger, chunk, |chunk| chunk.accepting(from, to, now)).await?;
            }
            let tier = record.request.tier;
            let accepted = range.accepted.into_iter();
            objects.extend(accepted.map(|object| {
                let state = accepted_state(&object.row, tier, now);
                ChunkObject { row: Row { state, ..object.row }, written: RowPresence::AsAccepted, ..object }
            }));
            objects.extend(range.settled);
        }
    }
    drop(answers);
    // Ranges that cannot be recorded as a whole: each accepted object is recorded in its row.
    let left = open.values().map(EntryRange::left).sum::<u32>();
    let mut for_a_job = false;
    for range in open.into_values() {
        for object in range.accepted {
            let row = apply(ledger, &object.row, &accepted_event(&object.row, &record, now)).await?;
            objects.push(ChunkObject { row, ..object });
        }
        for_a_job |= !range.by_job.is_empty();
        objects.extend(range.settled.into_iter().chain(range.by_job));
    }
    if let Some(trouble) = trouble {
        let of = entries.len();
        warn!(restore = %record.id, chunk = input.chunk, left, "{left} of {of} objects are still to be asked for: {trouble}");
        return Err(trouble);
    }
    // Read again, because the restore may have been cancelled meanwhile.
    let record = restores::record(ledger, &record.id).await?;
    if !is_first_try || record.status == Status::Cancelled {
        // Only the ledger knows what an earlier attempt did.
        objects = settled(&record, &chunk, ledger, files, now).await?;
    }
    let (chunk, wait_seconds) = counted(chunk, objects, ledger, now).await?;
    let says = format!("Chunk {}: {}", input.chunk, thaw_core::sentence(chunk.counts, &[]));
    info!(restore = %record.id, chunk = input.chunk, "{says}");
    Ok(Output { says, counts: chunk.counts, wait_seconds, for_a_job })
}

/// The ranges of a chunk that S3 has not accepted as a whole yet, each with the number of its first entry.
fn ranges<'a>(chunk: &ChunkRecord, entries: &'a [ChunkEntry]) -> Vec<(u32, &'a [ChunkEntry])> {
    let numbered = (0..).step_by(RANGE).zip(entries.chunks(RANGE));
    numbered.filter(|(from, _)| chunk.accepted_at(*from).is_none()).collect()
}

impl ChunkRecord {
    /// The record after S3 has accepted all entries. Ranges that it accepted before keep their time.
    pub(crate) fn accepting_all(mut self, at: Timestamp) -> Self {
        let to = u32::try_from(self.counts.total).unwrap_or(u32::MAX);
        // A second attempt changes nothing.
        if !self.accepted.iter().any(|one| (one.from, one.to) == (0, to)) {
            self.accepted.push(Accepted { from: 0, to, at });
        }
        self
    }

    /// The record after S3 has accepted these entries.
    fn accepting(mut self, from: u32, to: u32, at: Timestamp) -> Self {
        if self.accepted_at(from).is_some() {
            return self;
        }
        match self.accepted.last_mut() {
            Some(last) if last.to == from && last.at == at => last.to = to,
            Some(_) | None => self.accepted.push(Accepted { from, to, at }),
        }
        self
    }
}

/// A range whose objects are being asked for.
struct EntryRange {
    /// The number of its entries.
    entries: u32,
    /// Objects that S3 accepted, or that it fetches for somebody else. Their rows still say `planned`.
    accepted: Vec<ChunkObject>,
    /// Objects that need no request, or whose answer is recorded in their own row.
    settled: Vec<ChunkObject>,
    /// Objects that a job is to ask for.
    by_job: Vec<ChunkObject>,
}

impl EntryRange {
    fn new(entries: usize) -> Self {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        Self { entries, accepted: Vec::new(), settled: Vec::new(), by_job: Vec::new() }
    }

    /// Entries without an answer so far.
    fn left(&self) -> u32 {
        let answered = self.accepted.len() + self.settled.len() + self.by_job.len();
        self.entries.saturating_sub(u32::try_from(answered).unwrap_or(u32::MAX))
    }

    fn is_answered(&self) -> bool {
        self.left() == 0
    }
}

/// What all requests of a call share.
struct Asking<'a, A, L> {
    record: &'a RestoreRecord,
    chunk: u32,
    /// When the chunk was planned.
    made_at: Timestamp,
    /// Whether jobs ask for the archived objects.
    by_jobs: bool,
    archive: &'a A,
    ledger: &'a L,
    now: Timestamp,
}

impl<A: RequestRestores + ReadArchive, L: Ledger> Asking<'_, A, L> {
    async fn ask(&self, number: u32, entry: &ChunkEntry) -> Result<(ChunkObject, AnswerNoted), StepError> {
        let place = ChunkPosition { chunk: self.chunk, entry: number };
        let row = entry.row(self.record, self.made_at, place);
        let cancelled = self.record.status != Status::Running;
        if row.is_settled() || cancelled {
            return Ok((ChunkObject { entry: number, row, written: RowPresence::Nothing }, AnswerNoted::Noted));
        }
        let (row, answered) = self.ask_for(row).await?;
        Ok((ChunkObject { entry: number, row, written: RowPresence::Row }, answered))
    }

    async fn ask_for(&self, row: Row) -> Result<(Row, AnswerNoted), StepError> {
        let (row, is_new) = match self.ledger.insert(&row).await? {
            Put::Done => (row, true),
            // An earlier attempt wrote the row, and it may have moved on since.
            Put::Lost(existing) => (existing, false),
        };
        match row.state {
            State::Planned => {}
            State::Available
            | State::Restoring { .. }
            | State::Restored { .. }
            | State::Published { .. }
            | State::Failed { .. }
            | State::Cancelled { .. } => return Ok((row, AnswerNoted::Noted)),
        }
        if self.by_jobs && JobGroup::of(row.decision, row.kind, row.object.version.as_deref()).is_some() {
            return Ok((row, AnswerNoted::ByJob));
        }
        let may_be_asked_for = match row.decision {
            // An earlier attempt wrote the row and died, perhaps after its request.
            Decision::Restore => !is_new,
            // Somebody else asked for it. S3 may have finished since the plan, when an event found no row to change.
            Decision::Watch => true,
            Decision::Extend | Decision::Join | Decision::Publish | Decision::Nothing => false,
        };
        if may_be_asked_for && let Some(event) = self.asked_already(&row).await? {
            return match event {
                None => Ok((row, AnswerNoted::Alike)),
                Some(event) => Ok((apply(self.ledger, &row, &event).await?, AnswerNoted::Noted)),
            };
        }
        let tier = self.record.request.tier;
        let event = match row.decision {
            Decision::Watch | Decision::Publish | Decision::Nothing => return Ok((row, AnswerNoted::Alike)),
            Decision::Restore | Decision::Extend | Decision::Join => {
                let days = self.days(&row).await?;
                let answer = self.archive.restore(&row.object, days, tier).await?;
                let answer = if row.decision == Decision::Join { while_it_is_fetched(answer) } else { answer };
                match (&answer, self.record.request.on_expedited_unavailable) {
                    (RestoreAnswer::Accepted, _) => return Ok((row, AnswerNoted::Alike)),
                    (RestoreAnswer::NoExpeditedCapacity, ExpeditedFallback::Standard) => {
                        info!(restore = %self.record.id, object.key = %row.object.key, "no Expedited capacity for {}: asking at Standard", row.object.key);
                        let answer = self.archive.restore(&row.object, days, Tier::Standard).await?;
                        let answer = if row.decision == Decision::Join { while_it_is_fetched(answer) } else { answer };
                        answer.event(days, Tier::Standard, self.now)
                    }
                    _ => answer.event(days, tier, self.now),
                }
            }
        };
        Ok((apply(self.ledger, &row, &event).await?, AnswerNoted::Noted))
    }

    /// The days that a copy is asked for; `None` if the object has no copy: S3 refuses days for Intelligent-Tiering.
    ///
    /// A request that speeds up a running restore "must not change any other parameters, such as the Days request
    /// element" (User Guide, "Upgrading the speed of an in-progress restore"). So a join repeats the days of the
    /// running restore, if the ledger knows them. The days of a restore that was not started by thaw are unknown: S3
    /// refuses a request with other days, and goes on fetching.
    async fn days(&self, row: &Row) -> Result<Option<u32>, StepError> {
        if !row.kind.is_none_or(ArchiveKind::has_copy) {
            return Ok(None);
        }
        let own = self.record.request.copy_days();
        match row.decision {
            Decision::Join => {}
            Decision::Restore | Decision::Extend | Decision::Watch | Decision::Publish | Decision::Nothing => {
                return Ok(Some(own));
            }
        }
        let rows = rows::rows_of(&row.object, self.ledger).await?;
        let runs = |other: &&Row| match &other.state {
            State::Planned | State::Restoring { joined: false, .. } => other.decision == Decision::Restore,
            State::Restoring { joined: true, .. }
            | State::Available
            | State::Restored { .. }
            | State::Published { .. }
            | State::Failed { .. }
            | State::Cancelled { .. } => false,
        };
        let others = rows.iter().filter(runs).filter(|other| other.restore != row.restore);
        // If several asked, the last one's request is running now: the earlier ones have ended.
        let Some(other) = others.max_by_key(|other| other.planned_at) else { return Ok(Some(own)) };
        let record = self.ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&other.restore)).await?;
        Ok(Some(record.map_or(own, |record| record.request.copy_days())))
    }

    /// Whether S3 was asked for an object already, by an earlier attempt that could not record the answer or by
    /// somebody else: `None` if it was not, `Some(None)` while S3 fetches it, and an event if it can be read. A
    /// repeated request is free while S3 fetches the object, but no longer once there is a copy.
    async fn asked_already(&self, row: &Row) -> Result<Option<Option<Event>>, StepError> {
        let readable = |expires| Some(Some(Event::Readable { at: self.now, expires }));
        Ok(match self.archive.head(&row.object).await? {
            Facts::Found(head) => match head.readability(self.now) {
                Ok(Readability::Restoring(_)) => Some(None),
                Ok(Readability::Copy { expires, .. }) => readable(Some(expires)),
                Ok(Readability::Readable) => readable(None),
                Ok(Readability::Archived(_)) | Err(_) => None,
            },
            // The request that follows gets the reason from S3.
            Facts::Missing(_) => None,
        })
    }
}

/// The meaning of S3's answer for an object that it is fetching already: it goes on fetching after any refusal, unless
/// the object is gone.
fn while_it_is_fetched(answer: RestoreAnswer) -> RestoreAnswer {
    match answer {
        RestoreAnswer::Refused { ref code, .. }
            if !matches!(code.as_str(), "NoSuchKey" | "NoSuchVersion" | "MethodNotAllowed") =>
        {
            RestoreAnswer::InProgress
        }
        RestoreAnswer::Refused { .. }
        | RestoreAnswer::Accepted
        | RestoreAnswer::AlreadyLive
        | RestoreAnswer::InProgress
        | RestoreAnswer::NoExpeditedCapacity
        | RestoreAnswer::NotArchived => answer,
    }
}

/// Where the answer for an object is recorded.
enum AnswerNoted {
    /// With its range, as for most objects.
    Alike,
    /// In its own row, or nowhere because nothing has to be recorded.
    Noted,
    /// When its job has ended: it was not asked for yet.
    ByJob,
}

/// The event that records an accepted request in the object's own row.
fn accepted_event(row: &Row, record: &RestoreRecord, now: Timestamp) -> Event {
    let (tier, joined) = accepted_as(row, record.request.tier);
    if joined { Event::Joined { at: now, tier } } else { Event::Requested { at: now, tier } }
}

#[cfg(test)]
mod tests {
    use thaw_core::State;

    use super::*;
    use crate::testing::stack::{Stack, now};

    #[tokio::test]
    async fn adjacent_ranges_that_were_accepted_together_become_one_and_gaps_stay_open() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", State::Planned)], 1).await;
        let fresh = chunks::record(&stack.ledger, &stack.record(&id).await, 0).await.unwrap();
        let later = now() + std::time::Duration::from_secs(1);
        let all = |ranges: &[(u32, u32, Timestamp)]| {
            let accepting =
                |chunk: ChunkRecord, (from, to, at): &(u32, u32, Timestamp)| chunk.accepting(*from, *to, *at);
            let chunk = ranges.iter().fold(fresh.clone(), accepting);
            chunk.accepted.iter().map(|one| (one.from, one.to, one.at)).collect::<Vec<_>>()
        };
        assert_eq!(all(&[(0, 10, now()), (10, 20, now())]), [(0, 20, now())]);
        for apart in [[(0, 10, now()), (20, 30, now())], [(0, 10, now()), (10, 20, later)]] {
            assert_eq!(all(&apart), apart);
        }
        assert_eq!(all(&[(0, 10, now()), (0, 10, later)]), [(0, 10, now())], "what was accepted before was so then");
    }
}
