//! A second implementation of how the ledger's items together say in which state an object is. It is independent of thaw's
//! code on purpose.

use std::collections::BTreeMap;

use jiff::Timestamp;
use thaw_core::{Batch, Call, FailureCode, PublishedReason, Readiness, Row, State, Status};
use thaw_steps::ledger::restores::RestoreRecord;

use super::ledger_reader::{covers, planned_rows};
use crate::environment::Environment;

/// A restore, a key and a version.
pub(super) type RowId = (String, String, Option<String>);

pub(super) fn row_id(row: &Row) -> RowId {
    (row.restore.to_string(), row.object.key.clone(), row.object.version.clone())
}

/// What was written into the ledger.
#[derive(Default)]
pub(super) struct LedgerModel {
    pub rows: BTreeMap<RowId, Row>,
    /// The rows that their chunk records as accepted by S3.
    pub accepted: BTreeMap<RowId, State>,
    /// What a readiness record says of rows. It holds while the row says no more than `planned`.
    pub readiness: BTreeMap<RowId, Readiness>,
    /// The batches, and when each was completed. A completed batch decides the state of the rows that it claimed.
    pub batches: BTreeMap<String, (Batch, Option<Timestamp>)>,
}

impl LedgerModel {
    /// The rows of a restore in their present states. They come from the restore's files and from what was written of the
    /// rows, their chunks and their batches.
    pub(super) fn rows_of(&self, env: &Environment, record: &RestoreRecord) -> Vec<Row> {
        let Some(plan) = &record.plan else { return Vec::new() };
        let planned = (0..plan.chunks).flat_map(|chunk| planned_rows(env, record, plan.written_at(chunk), chunk));
        let present = |planned: Row| {
            let id = row_id(&planned);
            let row = match self.rows.get(&id) {
                Some(row) => row.clone(),
                None => unwritten_row(record, planned),
            };
            match (&row.state, self.accepted.get(&id)) {
                (State::Planned, _) if self.readiness.contains_key(&id) => self.with_readiness(row),
                (State::Planned, Some(accepted)) => Row { state: accepted.clone(), ..row },
                _ => self.with_batch(row),
            }
        };
        planned.map(present).collect()
    }

    /// A row in the state that its batch says, if the batch is completed.
    pub(super) fn with_batch(&self, row: Row) -> Row {
        let State::Restored { at: readable, expires, claim: Some(claim) } = &row.state else { return row };
        let Some((batch, Some(at))) = self.batches.get(claim.as_str()) else { return row };
        let Some(candidate) = batch.candidates.iter().find(|candidate| candidate.object == row.object) else {
            return row;
        };
        let has_path_of_candidate = |call: &Call| {
            let mut paths = candidate.paths.get(&call.distribution).into_iter().flatten();
            paths.any(|path| call.items.iter().any(|item| covers(item, path)))
        };
        let is_refused = |call: &Call| call.refused.is_some() && has_path_of_candidate(call);
        let state = if batch.calls.iter().flatten().any(is_refused) {
            let code = FailureCode::RefusedByCloudFront;
            State::Failed { at: *at, code, message: "CloudFront refused it".to_owned() }
        } else {
            let how = PublishedReason::Invalidated { batch: claim.clone() };
            State::Published { at: *at, readable: *readable, expires: *expires, how }
        };
        Row { state, ..row }
    }

    /// A row in the state that its readiness record says, if there is one.
    pub(super) fn with_readiness(&self, row: Row) -> Row {
        match (&row.state, self.readiness.get(&row_id(&row))) {
            (State::Planned, Some(Readiness { at, expires })) => {
                Row { state: State::Restored { at: *at, expires: *expires, claim: None }, ..row }
            }
            _ => row,
        }
    }

    /// The rows that a batch has claimed.
    pub(super) fn claimed_by(&self, batch: &str) -> Vec<Row> {
        let is_claimed = |row: &&Row| row.state.claim().is_some_and(|claim| claim.as_str() == batch);
        self.rows.values().filter(is_claimed).cloned().collect()
    }
}

/// The state of a row that was planned and never written.
fn unwritten_row(record: &RestoreRecord, planned: Row) -> Row {
    let is_restored = matches!(planned.state, State::Restored { .. });
    match record.status {
        // A restore that was cancelled before it did anything does not publish what was readable already.
        Status::Cancelled if is_restored => Row { state: State::Cancelled { at: record.requested_at }, ..planned },
        // A restore that could not go on did not publish it either.
        Status::Failed if is_restored && !planned.publish.never() => Row { state: State::Planned, ..planned },
        _ => planned,
    }
}
