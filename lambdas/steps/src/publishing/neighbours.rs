//! Whether an archived object that is in the way of another one's invalidation is on its way: S3 fetches it, or will be asked
//! for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use thaw_core::{Look, RestoreId, Row, State, Status, look};

use crate::StepError;
use crate::ledger::chunks::{self, as_accepted};
use crate::ledger::restores::RestoreRecord;
use crate::ledger::rows::rows_of_key;
use crate::ports::{Ledger, ReadArchive};
use crate::publishing::path_safety::{Neighbour, NeighbourState, neighbour};

/// Seconds until the next look at a neighbour of which no row says when S3 was asked for it.
const UNKNOWN: u64 = 3_600;

/// Seconds until a neighbour may be readable; `None` if it is not on its way.
///
/// It is on its way if a restore that runs has planned it or waits for it, or if S3 says so: somebody else may have asked.
pub async fn seconds_until_it_may_come(
    found: &Neighbour,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Option<u64>, StepError> {
    let is_awaited =
        |row: &Row| matches!(row.state, State::Planned | State::Restoring { .. }) && found.is_of(&row.object);
    let rows = rows_of_key(&found.bucket, &found.key, ledger).await?;
    let rows: Vec<Row> = rows.into_iter().filter(is_awaited).collect();
    let keys: Vec<_> = rows.iter().map(|row| RestoreRecord::key_of(&row.restore)).collect();
    let records: Vec<RestoreRecord> = if keys.is_empty() { Vec::new() } else { ledger.get_many(&keys).await? };
    let running: BTreeMap<&RestoreId, &RestoreRecord> =
        records.iter().filter(|record| record.status == Status::Running).map(|record| (&record.id, record)).collect();
    let mut first = None;
    for row in rows {
        let Some(record) = running.get(&row.restore) else { continue };
        let seconds = seconds_until_look(row, record, ledger, now).await?;
        first = Some(first.map_or(seconds, |first: u64| first.min(seconds)));
    }
    if first.is_some() {
        return Ok(first);
    }
    if found.state == NeighbourState::Restoring {
        return Ok(Some(UNKNOWN));
    }
    // S3 may have begun, or be done, since it was asked, and then its row no longer waits.
    Ok(match neighbour(&found.bucket, &found.key, archive, now).await? {
        None => Some(0),
        Some(Neighbour { state: NeighbourState::Restoring, .. }) => Some(UNKNOWN),
        Some(Neighbour { state: NeighbourState::Archived, .. }) => None,
    })
}

/// Seconds until the next look at an object that a restore waits for.
async fn seconds_until_look(
    row: Row,
    record: &RestoreRecord,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<u64, StepError> {
    let row = match (&row.state, row.place) {
        // When S3 accepted it, its chunk says.
        (State::Planned, Some(place)) => match chunks::record(ledger, record, place.chunk).await {
            Ok(chunk) => as_accepted(row, chunk.accepted_at(place.entry), record),
            Err(StepError::Unexpected(_)) => row,
            Err(error) => return Err(error),
        },
        _ => row,
    };
    let (tier, since) = match &row.state {
        State::Restoring { tier, since, .. } => (*tier, *since),
        State::Planned
        | State::Available
        | State::Restored { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => (record.request.tier, now),
    };
    Ok(match row.kind.map(|kind| look(kind, tier, since, now)) {
        Some(Look::NotYet { seconds }) => seconds,
        Some(Look::Due { again, .. }) => again,
        Some(Look::Last) | None => UNKNOWN,
    })
}
