//! Counts a chunk's objects after StartRestores or a job has asked S3 for them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use thaw_core::{Counts, Event, Row, Status};

use crate::StepError;
use crate::archive::restore_status::{after, seconds_until_next_look};
use crate::ledger::chunks::{self, ChunkObject, ChunkRecord, RowPresence};
use crate::ledger::restores::RestoreRecord;
use crate::ledger::rows::{self, apply};
use crate::ports::{Ledger, WorkFiles};

/// A chunk's objects as the ledger has them. CancelRestore has cancelled the rows that it read. Rows that came after
/// that are cancelled here.
pub async fn settled(
    record: &RestoreRecord,
    chunk: &ChunkRecord,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Vec<ChunkObject>, StepError> {
    let mut objects = chunks::objects(ledger, files, record, chunk).await?;
    let is_left = |object: &&mut ChunkObject| object.written != RowPresence::Nothing && object.row.ends_with_a_cancel();
    for object in objects.iter_mut().filter(|object| record.status == Status::Cancelled && is_left(object)) {
        object.row = apply(ledger, &object.row, &Event::Cancelled { at: now }).await?;
    }
    Ok(objects)
}

/// Records the counts of a chunk after S3 was asked for its objects, and when to look at them. Answers the seconds
/// until then, too.
pub async fn counted(
    chunk: ChunkRecord,
    mut objects: Vec<ChunkObject>,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<(ChunkRecord, u64), StepError> {
    let rows: Vec<Row> = objects.iter().map(|object| object.row.clone()).collect();
    // A batch may have published objects that an earlier attempt asked for.
    let rows = rows::with_batches(rows, ledger).await?;
    for (object, row) in objects.iter_mut().zip(&rows) {
        object.row.clone_from(row);
    }
    let wait_seconds = seconds_until_next_look(rows.iter(), Counts::of(&rows).on_their_way() > 0, now);
    let look_at = after(now, wait_seconds);
    let counted = |chunk: ChunkRecord| chunk.counted(&objects, &BTreeSet::new(), Some(look_at), now);
    Ok((chunks::change(ledger, chunk, counted).await?, wait_seconds))
}
