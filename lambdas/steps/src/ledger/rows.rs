//! Rows: one object of one restore each. Reads merge a row with the batch that claimed it; writes apply events with
//! optimistic concurrency.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Batch, BatchId, Event, ObjectId, Readiness, RestoreId, Row, State};

use crate::StepError;
use crate::ports::{IN_FLIGHT, Item, ItemKey, Ledger, Put};

impl Item for Row {
    fn key(&self) -> ItemKey {
        row_key(&self.object, &self.restore)
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

impl Item for Batch {
    fn key(&self) -> ItemKey {
        batch_key(&self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The key of an object's row in a restore. Bucket names have no `/` and no upper case, so the key of a row can never
/// be that of a restore, a batch or an idempotency key.
pub fn row_key(object: &ObjectId, restore: &RestoreId) -> ItemKey {
    let ItemKey { pk, sk } = rows_key(object);
    ItemKey { pk, sk: format!("{sk}{restore}") }
}

/// The beginning of the keys of an object's rows, of this version only. S3 calls a version from before versioning
/// `null`, and leaves it out of its events.
pub fn rows_key(object: &ObjectId) -> ItemKey {
    let version = object.named_version().unwrap_or_default();
    ItemKey { pk: format!("{}/{}", object.bucket, object.key), sk: format!("{version}#") }
}

/// Whether one of these restores has a row of a key, of any version, or any restore has brought it since then. An eventually
/// consistent read: it may miss rows of the last moment.
pub async fn is_restored_by(
    bucket: &str,
    key: &str,
    restores: &BTreeSet<RestoreId>,
    since: Timestamp,
    ledger: &impl Ledger,
) -> Result<bool, StepError> {
    let is_new = |row: &Row| match &row.state {
        // It is readable, and the row does not say so yet.
        State::Planned | State::Restoring { .. } => true,
        State::Restored { at, .. } | State::Published { readable: at, .. } => *at >= since,
        State::Available | State::Failed { .. } | State::Cancelled { .. } => false,
    };
    let rows = ledger.query_eventually::<Row>(&ItemKey { pk: format!("{bucket}/{key}"), sk: String::new() }).await?;
    Ok(rows.iter().any(|row| restores.contains(&row.restore) || is_new(row)))
}

/// The rows of a key, of any version.
pub async fn rows_of_key(bucket: &str, key: &str, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    Ok(ledger.query::<Row>(&ItemKey { pk: format!("{bucket}/{key}"), sk: String::new() }).await?)
}

/// The key of a batch.
pub fn batch_key(id: &BatchId) -> ItemKey {
    ItemKey { pk: format!("I#{}", id.as_str()), sk: "batch".to_owned() }
}

/// Batches that are in memory at once. Thousands may have claimed the rows of a large restore, with a hundred objects
/// each.
pub const BATCHES_AT_ONCE: usize = 50;

/// Batches that are polled in CloudFront at once. A call takes about half a second, so one after the other would be too
/// slow.
const LOOKS_AT_ONCE: usize = 8;

/// These batches, oldest first. Candidates that are not among the rows are dropped: a batch may have a hundred.
pub async fn batches_of(
    claims: BTreeSet<BatchId>,
    rows: &[Row],
    ledger: &impl Ledger,
) -> Result<Vec<Batch>, StepError> {
    let objects: BTreeSet<&ObjectId> = rows.iter().map(|row| &row.object).collect();
    let keys: Vec<_> = claims.iter().map(batch_key).collect();
    let mut batches: Vec<Batch> = Vec::new();
    for page in keys.chunks(BATCHES_AT_ONCE) {
        for mut batch in ledger.get_many::<Batch>(page).await? {
            batch.candidates.retain(|candidate| objects.contains(&candidate.object));
            batches.push(batch);
        }
    }
    batches.sort_by(|one, other| (one.created_at, one.id.as_str()).cmp(&(other.created_at, other.id.as_str())));
    Ok(batches)
}

/// Merges rows with their batches. A claimed row is not written again when CloudFront is done: the batch records that
/// once for all of its objects. So only row and batch together say in which state an object is, and this is the only
/// place that merges them.
///
/// Each batch is read once. The ledger keeps a batch for longer than the rows that it claimed.
pub async fn with_batches(rows: Vec<Row>, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    Ok(merged(rows, ledger, async |batch| Ok(batch)).await?.0)
}

/// Merges rows with their batches, and answers the objects whose batches are with CloudFront too. `look` gets each
/// batch and answers the batch to go by; it may ask CloudFront.
async fn merged(
    mut rows: Vec<Row>,
    ledger: &impl Ledger,
    look: impl AsyncFn(Batch) -> Result<Batch, StepError>,
) -> Result<(Vec<Row>, BTreeSet<ObjectId>), StepError> {
    let mut claimed: BTreeMap<BatchId, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        if let Some(claim) = row.state.claim() {
            claimed.entry(claim.clone()).or_default().push(place);
        }
    }
    let mut with_cloudfront = BTreeSet::new();
    let ids: Vec<&BatchId> = claimed.keys().collect();
    for page in ids.chunks(BATCHES_AT_ONCE) {
        let keys: Vec<ItemKey> = page.iter().copied().map(batch_key).collect();
        let batches = stream::iter(ledger.get_many::<Batch>(&keys).await?);
        let mut polled = std::pin::pin!(batches.map(|batch| look(batch)).buffer_unordered(LOOKS_AT_ONCE));
        while let Some(batch) = polled.try_next().await? {
            for place in claimed.get(&batch.id).into_iter().flatten() {
                let row = rows[*place].clone().with_batch(&batch);
                if batch.is_with_cloudfront(&row.object) {
                    with_cloudfront.insert(row.object.clone());
                }
                rows[*place] = row;
            }
        }
    }
    Ok((rows, with_cloudfront))
}

/// The rows of an object in all restores, merged with their batches.
pub async fn rows_of(object: &ObjectId, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    with_batches(ledger.query::<Row>(&rows_key(object)).await?, ledger).await
}

/// The same by an eventually consistent read. That is enough to decide what to do next: the write that follows is
/// conditional on the row that was read. If the read finds no row, it is repeated as a strongly consistent one: rows
/// are written before S3 is asked, and S3 may answer fast.
pub async fn rows_of_eventually(object: &ObjectId, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    let rows = ledger.query_eventually::<Row>(&rows_key(object)).await?;
    if rows.is_empty() { rows_of(object, ledger).await } else { with_batches(rows, ledger).await }
}

/// The same for many objects that all have rows, in their order. A batch that claimed many of them is read once.
pub async fn rows_of_each_eventually(objects: &[ObjectId], ledger: &impl Ledger) -> Result<Vec<Vec<Row>>, StepError> {
    let rows: Vec<Vec<Row>> = stream::iter(objects)
        .map(async |object| ledger.query_eventually::<Row>(&rows_key(object)).await)
        .buffered(IN_FLIGHT)
        .try_collect()
        .await?;
    let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
    let mut all = with_batches(rows.into_iter().flatten().collect(), ledger).await?.into_iter();
    Ok(counts.into_iter().map(|count| all.by_ref().take(count).collect()).collect())
}

/// The rows with these keys, by an eventually consistent read, merged with their batches; and their objects whose
/// batches are with CloudFront. Rows that the read misses are read again consistently. `look` gets each batch and
/// answers the batch to go by; it may ask CloudFront.
pub async fn with_keys_eventually(
    keys: &[ItemKey],
    ledger: &impl Ledger,
    look: impl AsyncFn(Batch) -> Result<Batch, StepError>,
) -> Result<(Vec<Row>, BTreeSet<ObjectId>), StepError> {
    let mut rows: Vec<Row> = ledger.get_many_eventually(keys).await?;
    if rows.len() < keys.len() {
        let seen: BTreeSet<ItemKey> = rows.iter().map(Item::key).collect();
        let missing: Vec<ItemKey> = keys.iter().filter(|key| !seen.contains(key)).cloned().collect();
        rows.extend(ledger.get_many::<Row>(&missing).await?);
    }
    merged(rows, ledger, look).await
}

/// The rows with these keys, merged with their batches. Rows that do not exist are left out.
pub async fn with_keys(keys: &[ItemKey], ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    with_batches(ledger.get_many(keys).await?, ledger).await
}

/// Applies an event to a row and writes it. A writer that loses the race applies the event to what the winner wrote,
/// and tries again.
///
/// Answers the row as it is now. Fails if the event is illegal in the row's state: that is a bug of the caller.
pub async fn apply(ledger: &impl Ledger, row: &Row, event: &Event) -> Result<Row, StepError> {
    apply_all(ledger, row, std::slice::from_ref(event)).await
}

/// The same for several events in one write.
pub async fn apply_all(ledger: &impl Ledger, row: &Row, events: &[Event]) -> Result<Row, StepError> {
    let mut current = row.clone();
    // Each lost race means that another writer moved the row on, and a row has few states to go through.
    for _ in 0..16 {
        let Some(next) = current.after_all(events)? else { return Ok(current) };
        current = match ledger.replace(&next).await? {
            Put::Done => return Ok(next),
            // A batch may have published the row since.
            Put::Lost(other) => with_batches(vec![other], ledger).await?.remove(0),
        };
    }
    Err(StepError::Unavailable(format!("{}: lost sixteen races for its row", row.object)))
}

/// Writes down that an object can be read, and that it waits for a neighbour whose next look is in so many seconds.
/// Answers whether it waits, or no longer has to be published; `false` if it can wait no longer.
pub async fn hold(
    ledger: &impl Ledger,
    row: &Row,
    readiness: Option<Readiness>,
    seconds: u64,
    now: Timestamp,
) -> Result<bool, StepError> {
    let mut current = row.clone();
    for _ in 0..16 {
        let known = readiness.map_or_else(|| current.clone(), |readiness| current.clone().with_readiness(readiness));
        let Some(next) = known.waiting_for_neighbour(seconds, now) else {
            return Ok(!matches!(known.state, State::Restored { claim: None, .. }));
        };
        current = match ledger.replace(&next).await? {
            Put::Done => return Ok(true),
            Put::Lost(other) => with_batches(vec![other], ledger).await?.remove(0),
        };
    }
    Err(StepError::Unavailable(format!("{}: lost sixteen races for its row", row.object)))
}

#[cfg(test)]
mod tests;
