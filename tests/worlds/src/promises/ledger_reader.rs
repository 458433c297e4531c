//! Reads the ledger and the work files as they are now.

use jiff::Timestamp;
use thaw_core::{Batch, Call, ChunkPosition, RestoreId, Row, Status};
use thaw_steps::ledger::chunks::{ChunkEntry, chunk_name};
use thaw_steps::ledger::restores::RestoreRecord;
use thaw_steps::ports::{Ledger, WorkFiles};

use crate::environment::Environment;
use crate::runtime::block_on;

/// The record of a restore.
pub(super) fn restore_record(env: &Environment, id: &str) -> Option<RestoreRecord> {
    let id = RestoreId::try_from(id.to_owned()).ok()?;
    block_on(env.ledger.get(&RestoreRecord::key_of(&id))).ok()?
}

/// Whether the ledger says that a restore runs.
pub(crate) fn is_recorded_as_running(env: &Environment, id: &str) -> bool {
    restore_record(env, id).is_some_and(|record| record.status == Status::Running)
}

/// The records of all restores.
pub(super) fn restore_records(env: &Environment) -> Vec<RestoreRecord> {
    let items = env.ledger.items().into_iter().filter(|(key, _)| key.sk == "restore");
    items.filter_map(|(_, item)| serde_json::from_value(item).ok()).collect()
}

/// The rows of a chunk as they were planned.
pub(super) fn planned_rows(env: &Environment, record: &RestoreRecord, written_at: Timestamp, chunk: u32) -> Vec<Row> {
    let file = block_on(env.work_files.get(&chunk_name(&record.id, written_at, chunk)));
    let file = file.ok().flatten().unwrap_or_default();
    let entries: Vec<ChunkEntry> = serde_json::from_slice(&file).unwrap_or_default();
    let row = |(entry, planned): (u32, &ChunkEntry)| planned.row(record, written_at, ChunkPosition { chunk, entry });
    (0..).zip(&entries).map(row).collect()
}

/// The batches that send an invalidation path of a distribution to CloudFront and have no answer yet.
pub(super) fn batches_awaiting(env: &Environment, distribution: &str, invalidation_path: &str) -> Vec<Batch> {
    let batches = env.ledger.items().into_iter().filter(|(key, _)| key.sk == "batch");
    let batches = batches.filter_map(|(_, batch)| serde_json::from_value::<Batch>(batch).ok());
    let awaits = |call: &Call| {
        let is_without_answer = call.distribution == distribution && call.invalidation.is_none();
        is_without_answer && call.items.iter().any(|item| item == invalidation_path)
    };
    batches.filter(|batch| batch.calls.iter().flatten().any(awaits)).collect()
}

/// Whether an invalidation path, perhaps with a wildcard, covers a path.
pub(super) fn covers(invalidation_path: &str, path: &str) -> bool {
    match invalidation_path.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => invalidation_path == path,
    }
}
