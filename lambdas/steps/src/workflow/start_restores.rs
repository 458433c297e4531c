//! StartRestores: ask S3 for the objects of one chunk, or note that a job will. One bad object never stops the others.

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

/// Entries that are noted as accepted at once. A function that dies loses the answers of so many, and of those that are on
/// their way; the next try looks at those before it asks.
const RANGE: usize = 250;

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk's number.
    pub chunk: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Where the chunk's objects stand.
    pub counts: Counts,
    /// Seconds until it makes sense to look at this chunk.
    pub wait_seconds: u64,
    /// Whether some of the objects are left to a job of S3 Batch Operations.
    pub for_a_job: bool,
}

/// Asks S3 for what is still planned in a chunk.
///
/// What S3 Batch Operations is to ask for gets its row and nothing else; unless its job has ended without doing so.
///
/// Each object's row is written before S3 is asked for it. What S3 accepts is noted range by range, so a second run
/// goes on where the first one died; S3 is looked at before it is asked again for what may have been asked for. One bad
/// object stops no other; where S3 or the ledger wants to be asked more slowly than the ports can bear, nothing new is
/// begun. Fails with `Throttled` or `Unavailable` if some objects are still planned at the end.
pub async fn run(
    input: Input,
    archive: &(impl RequestRestores + ReadArchive),
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let mut known = chunks::record(ledger, &record, input.chunk).await?;
    let entries = chunks::entries(files, &record, &known).await?;
    let is_first_try = known.accepted.is_empty() && known.revision == 0;
    let mut objects = Vec::with_capacity(entries.len());
    let mut trouble = None;
    let by_jobs = jobs::ask_for(ledger, &record, input.chunk).await?;
    let asking = Asking { record: &record, chunk: input.chunk, made_at: known.made_at, by_jobs, archive, ledger, now };
    let to_ask = ranges(&known, &entries);
    let mut open: BTreeMap<u32, EntryRange> =
        to_ask.iter().map(|(from, entries)| (*from, EntryRange::new(entries.len()))).collect();
    let slow_down = Cell::new(false);
    // Not range by range: nobody waits for the slowest of 250.
    let to_ask = to_ask.into_iter().flat_map(|(from, entries)| (from..).zip(entries).map(move |one| (from, one)));
    let mut answers = stream::iter(to_ask)
        .take_while(|_| future::ready(!slow_down.get()))
        .map(async |(from, (number, entry))| (from, asking.ask(number, entry).await))
        .buffer_unordered(IN_FLIGHT);
    while let Some((from, answer)) = answers.next().await {
        let Some(range) = open.get_mut(&from) else { continue };
        match answer {
            Ok((known, AnswerNoted::Alike)) => range.accepted.push(known),
            Ok((known, AnswerNoted::Noted)) => range.settled.push(known),
            Ok((known, AnswerNoted::ByJob)) => range.by_job.push(known),
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
                known = chunks::change(ledger, known, |known| known.accepting(from, to, now)).await?;
            }
            let tier = record.request.tier;
            let accepted = range.accepted.into_iter();
            objects.extend(accepted.map(|known| {
                let state = accepted_state(&known.row, tier, now);
                ChunkObject { row: Row { state, ..known.row }, written: RowPresence::AsAccepted, ..known }
            }));
            objects.extend(range.settled);
        }
    }
    drop(answers);
    // A range that cannot be noted as a whole: what S3 accepted of it is noted one by one.
    let left = open.values().map(EntryRange::left).sum::<u32>();
    let mut for_a_job = false;
    for range in open.into_values() {
        for known in range.accepted {
            let row = apply(ledger, &known.row, &accepted_event(&known.row, &record, now)).await?;
            objects.push(ChunkObject { row, ..known });
        }
        for_a_job |= !range.by_job.is_empty();
        objects.extend(range.settled.into_iter().chain(range.by_job));
    }
    if let Some(trouble) = trouble {
        let of = entries.len();
        warn!(restore = %record.id, chunk = input.chunk, left, "{left} of {of} objects are still to be asked for: {trouble}");
        return Err(trouble);
    }
    // Read again: it may have been cancelled meanwhile.
    let record = restores::record(ledger, &record.id).await?;
    if !is_first_try || record.status == Status::Cancelled {
        // What an earlier try did is only in the ledger.
        objects = settled(&record, &known, ledger, files, now).await?;
    }
    let (known, wait_seconds) = counted(known, objects, ledger, now).await?;
    let says = format!("Chunk {}: {}", input.chunk, thaw_core::sentence(known.counts, &[]));
    info!(restore = %record.id, chunk = input.chunk, "{says}");
    Ok(Output { says, counts: known.counts, wait_seconds, for_a_job })
}

/// The ranges of a chunk that S3 has not accepted as a whole yet, each with the number of its first entry.
fn ranges<'a>(known: &ChunkRecord, entries: &'a [ChunkEntry]) -> Vec<(u32, &'a [ChunkEntry])> {
    let numbered = (0..).step_by(RANGE).zip(entries.chunks(RANGE));
    numbered.filter(|(from, _)| known.accepted_at(*from).is_none()).collect()
}

impl ChunkRecord {
    /// The same after S3 has accepted all entries. What it had accepted before, it had then.
    pub(crate) fn accepting_all(mut self, at: Timestamp) -> Self {
        let to = u32::try_from(self.counts.total).unwrap_or(u32::MAX);
        // A second try changes nothing.
        if !self.accepted.iter().any(|one| (one.from, one.to) == (0, to)) {
            self.accepted.push(Accepted { from: 0, to, at });
        }
        self
    }

    /// The same after S3 has accepted these entries.
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

/// A range that is being asked for.
struct EntryRange {
    /// How many it has.
    entries: u32,
    /// What S3 accepted, or what others have S3 fetch: still `planned` in the ledger.
    accepted: Vec<ChunkObject>,
    /// What needs nothing of S3, or was answered in a way of its own, which the ledger has.
    settled: Vec<ChunkObject>,
    /// What a job is to ask for.
    by_job: Vec<ChunkObject>,
}

impl EntryRange {
    fn new(entries: usize) -> Self {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        Self { entries, accepted: Vec::new(), settled: Vec::new(), by_job: Vec::new() }
    }

    /// Those that were not asked for, or whose answer is missing.
    fn left(&self) -> u32 {
        let answered = self.accepted.len() + self.settled.len() + self.by_job.len();
        self.entries.saturating_sub(u32::try_from(answered).unwrap_or(u32::MAX))
    }

    fn is_answered(&self) -> bool {
        self.left() == 0
    }
}

/// What it takes to ask for objects.
struct Asking<'a, A, L> {
    record: &'a RestoreRecord,
    chunk: u32,
    /// When the chunk was planned.
    made_at: Timestamp,
    /// Whether jobs ask for what is archived.
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
            // An earlier try wrote it; and whatever has happened since, it has happened.
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
            // An earlier try wrote the row, and died.
            Decision::Restore => !is_new,
            // Others did. S3 may have finished since the plan, and told of it before there was a row to find.
            Decision::Watch => true,
            Decision::Extend | Decision::Join | Decision::Nothing => false,
        };
        if may_be_asked_for && let Some(event) = self.asked_already(&row).await? {
            return match event {
                None => Ok((row, AnswerNoted::Alike)),
                Some(event) => Ok((apply(self.ledger, &row, &event).await?, AnswerNoted::Noted)),
            };
        }
        let tier = self.record.request.tier;
        let event = match row.decision {
            Decision::Watch | Decision::Nothing => return Ok((row, AnswerNoted::Alike)),
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

    /// For how many days a copy is asked for; `None` for what makes none: S3 refuses days for Intelligent-Tiering.
    ///
    /// Who makes a running restore faster "must not change any other parameters, such as the Days request element" (User Guide,
    /// "Upgrading the speed of an in-progress restore"). So a join repeats the days of the restore that runs, where the ledger knows
    /// it. Those of others nobody tells: S3 refuses other days than theirs, and goes on fetching.
    async fn days(&self, row: &Row) -> Result<Option<u32>, StepError> {
        if !row.kind.is_none_or(ArchiveKind::has_copy) {
            return Ok(None);
        }
        let own = self.record.request.copy_days();
        match row.decision {
            Decision::Join => {}
            Decision::Restore | Decision::Extend | Decision::Watch | Decision::Nothing => return Ok(Some(own)),
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
        // Of several the last has asked for what runs now: those before have ended.
        let Some(other) = others.max_by_key(|other| other.planned_at) else { return Ok(Some(own)) };
        let record = self.ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&other.restore)).await?;
        Ok(Some(record.map_or(own, |record| record.request.copy_days())))
    }

    /// Whether S3 was asked for an object already, by an earlier try that could not note the answer or by others; and if so,
    /// that it can be read by now, if it can. To ask for it again would be free while S3 fetches it, and no longer once there
    /// is a copy.
    async fn asked_already(&self, row: &Row) -> Result<Option<Option<Event>>, StepError> {
        let readable = |expires| Some(Some(Event::Readable { at: self.now, expires }));
        Ok(match self.archive.head(&row.object).await? {
            Facts::Found(head) => match head.readability(self.now) {
                Ok(Readability::Restoring(_)) => Some(None),
                Ok(Readability::Copy { expires, .. }) => readable(Some(expires)),
                Ok(Readability::Readable) => readable(None),
                Ok(Readability::Archived(_)) | Err(_) => None,
            },
            // S3 will say what is the matter.
            Facts::Missing(_) => None,
        })
    }
}

/// What S3's answer means for an object that it is fetching: whatever it refuses, it goes on with that. Unless the object is gone.
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

/// Where the answer to an object is noted.
enum AnswerNoted {
    /// Like that of most: with its range.
    Alike,
    /// In its row, or it needs no note.
    Noted,
    /// When its job has ended: it was not asked for yet.
    ByJob,
}

/// The event by which an object is noted as accepted in its own row.
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
    async fn stretches_that_were_accepted_together_become_one_and_nothing_between_them_is_accepted() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", State::Planned)], 1).await;
        let fresh = chunks::record(&stack.ledger, &stack.record(&id).await, 0).await.unwrap();
        let later = now() + std::time::Duration::from_secs(1);
        let all = |ranges: &[(u32, u32, Timestamp)]| {
            let accepting =
                |known: ChunkRecord, (from, to, at): &(u32, u32, Timestamp)| known.accepting(*from, *to, *at);
            let known = ranges.iter().fold(fresh.clone(), accepting);
            known.accepted.iter().map(|one| (one.from, one.to, one.at)).collect::<Vec<_>>()
        };
        assert_eq!(all(&[(0, 10, now()), (10, 20, now())]), [(0, 20, now())]);
        for apart in [[(0, 10, now()), (20, 30, now())], [(0, 10, now()), (10, 20, later)]] {
            assert_eq!(all(&apart), apart);
        }
        assert_eq!(all(&[(0, 10, now()), (0, 10, later)]), [(0, 10, now())], "what was accepted before was so then");
    }
}
