//! Where a chunk's objects stand once S3 was asked for them, by StartRestores or by a job.

use std::collections::BTreeSet;

use jiff::Timestamp;
use thaw_core::{Counts, Event, Row, Status};

use crate::StepError;
use crate::archive::restore_status::{after, seconds_until_next_look};
use crate::ledger::chunks::{self, ChunkObject, ChunkRecord, RowPresence};
use crate::ledger::restores::RestoreRecord;
use crate::ledger::rows::{self, apply};
use crate::ports::{Ledger, WorkFiles};

/// A chunk's objects as the ledger has them. The door of a cancel has cancelled the rows that it saw; these may have come
/// after.
pub async fn settled(
    record: &RestoreRecord,
    known: &ChunkRecord,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Vec<ChunkObject>, StepError> {
    let mut objects = chunks::objects(ledger, files, record, known).await?;
    let is_left = |known: &&mut ChunkObject| known.written != RowPresence::Nothing && known.row.ends_with_a_cancel();
    for known in objects.iter_mut().filter(|known| record.status == Status::Cancelled && is_left(known)) {
        known.row = apply(ledger, &known.row, &Event::Cancelled { at: now }).await?;
    }
    Ok(objects)
}

/// Notes where a chunk's objects stand now that S3 was asked for them, and when to look; in seconds, too.
pub async fn counted(
    known: ChunkRecord,
    mut objects: Vec<ChunkObject>,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<(ChunkRecord, u64), StepError> {
    let rows: Vec<Row> = objects.iter().map(|known| known.row.clone()).collect();
    // A batch may have published what an earlier try asked for.
    let rows = rows::with_batches(rows, ledger).await?;
    for (known, row) in objects.iter_mut().zip(&rows) {
        known.row.clone_from(row);
    }
    let wait_seconds = seconds_until_next_look(rows.iter(), Counts::of(&rows).on_their_way() > 0, now);
    let look_at = after(now, wait_seconds);
    let counted = |known: ChunkRecord| known.counted(&objects, &BTreeSet::new(), Some(look_at), now);
    Ok((chunks::change(ledger, known, counted).await?, wait_seconds))
}
