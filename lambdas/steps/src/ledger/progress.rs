//! How far a restore is: the counts of its objects, and its failures.

use std::collections::BTreeSet;

use jiff::Timestamp;
use thaw_core::{BatchId, Counts, Failure, PublishedReason, Row, State, Status};

use crate::StepError;
use crate::ledger::chunks::{self, ChunkObject, ChunkRecord};
use crate::ledger::restores::RestoreRecord;
use crate::ports::{Ledger, WorkFiles};

/// How far a restore is.
#[derive(Debug, Clone, Default)]
pub struct RestoreProgress {
    /// How many objects are in which state.
    pub counts: Counts,
    /// The first failures.
    pub failures: Vec<Failure>,
    /// The batches that publish its objects, if they were counted now.
    pub claims: BTreeSet<BatchId>,
    /// How many claimed objects are not known to be visible, if they were counted now.
    pub claimed: u64,
    /// When the first and the last copy of its readable objects expire, if they were counted now and have copies.
    pub copies_expire: Option<[Timestamp; 2]>,
    /// When the last look counted them; `None` if they were counted now.
    pub counted_at: Option<Timestamp>,
}

impl RestoreProgress {
    /// Counts a restore's objects now if they are few enough. Otherwise answers the counts of the last look.
    pub async fn of(record: &RestoreRecord, ledger: &impl Ledger, files: &impl WorkFiles) -> Result<Self, StepError> {
        let chunks = chunks::records(ledger, record).await?;
        Ok(match chunks::all_objects(ledger, files, record, &chunks).await? {
            Some(objects) => Self::now(record, objects),
            None => Self::as_counted(record, chunks),
        })
    }

    fn now(record: &RestoreRecord, objects: Vec<ChunkObject>) -> Self {
        let mut rows: Vec<Row> = objects.into_iter().map(|object| shown(record, object.row)).collect();
        rows.sort_by(|one, other| one.object.cmp(&other.object));
        let expires = || rows.iter().filter_map(|row| row.state.expires());
        Self {
            counts: Counts::of(&rows),
            failures: rows.iter().filter_map(Failure::of).collect(),
            claims: claims(&rows),
            claimed: rows.iter().filter(|row| !row.is_settled() && claim(row).is_some()).count() as u64,
            copies_expire: expires().min().zip(expires().max()).map(|(first, last)| [first, last]),
            counted_at: None,
        }
    }

    fn as_counted(record: &RestoreRecord, chunks: Vec<ChunkRecord>) -> Self {
        let mut progress =
            Self { counted_at: chunks.iter().filter_map(|chunk| chunk.counted_at).min(), ..Self::default() };
        for chunk in chunks {
            progress.counts += chunk.counts;
            progress.failures.extend(chunk.failures);
        }
        if record.status == Status::Cancelled {
            let counts = &mut progress.counts;
            counts.cancelled += counts.planned + counts.restoring;
            (counts.planned, counts.restoring) = (0, 0);
        }
        progress
    }
}

/// The row as a reader of the restore sees it: all that a cancelled restore left undone is cancelled, also in the
/// moment before the row itself says so.
pub fn shown(record: &RestoreRecord, row: Row) -> Row {
    if record.status != Status::Cancelled || row.is_settled() {
        return row;
    }
    Row { state: State::Cancelled { at: record.completed_at.unwrap_or(record.requested_at) }, ..row }
}

/// The batches that claimed these rows.
pub fn claims(rows: &[Row]) -> BTreeSet<BatchId> {
    rows.iter().filter_map(claim).cloned().collect()
}

/// The batch that publishes a row's object, or has published it.
pub fn claim(row: &Row) -> Option<&BatchId> {
    match &row.state {
        State::Restored { claim, .. } => claim.as_ref(),
        State::Published { how: PublishedReason::Invalidated { batch }, .. } => Some(batch),
        State::Published {
            how:
                PublishedReason::NothingStale
                | PublishedReason::NoPath
                | PublishedReason::NotCurrent
                | PublishedReason::AlreadyPublished,
            ..
        }
        | State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    }
}
