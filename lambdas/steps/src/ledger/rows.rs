//! The items of the ledger and how they change.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use thaw_core::{Batch, BatchId, Event, ObjectId, RestoreId, Row};

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

/// Where the row of an object in a restore is kept. Bucket names hold no `/` and no upper case, so no object's key can
/// be mistaken for a restore's, a batch's or an idempotency key's.
pub fn row_key(object: &ObjectId, restore: &RestoreId) -> ItemKey {
    let ItemKey { pk, sk } = rows_key(object);
    ItemKey { pk, sk: format!("{sk}{restore}") }
}

/// What the keys of the rows of an object (this very version) begin with. S3 calls the version of an object from before
/// versioning `null`, and its events leave it out.
pub fn rows_key(object: &ObjectId) -> ItemKey {
    let version = object.named_version().unwrap_or_default();
    ItemKey { pk: format!("{}/{}", object.bucket, object.key), sk: format!("{version}#") }
}

/// Whether one of these restores has a row of a key, in whichever version. A peek: it may miss those of the last moment.
pub async fn is_restored_by(
    bucket: &str,
    key: &str,
    restores: &BTreeSet<RestoreId>,
    ledger: &impl Ledger,
) -> Result<bool, StepError> {
    let rows = ledger.query_eventually::<Row>(&ItemKey { pk: format!("{bucket}/{key}"), sk: String::new() }).await?;
    Ok(rows.iter().any(|row| restores.contains(&row.restore)))
}

/// Where a batch is kept.
pub fn batch_key(id: &BatchId) -> ItemKey {
    ItemKey { pk: format!("I#{}", id.as_str()), sk: "batch".to_owned() }
}

/// Batches that are in memory at once: the rows of a large restore were claimed by thousands, each with a hundred objects.
pub const BATCHES_AT_ONCE: usize = 50;

/// And so many are looked at in CloudFront at once: it is far away, and one after the other would take half a second each.
const LOOKS_AT_ONCE: usize = 8;

/// These batches, oldest first, with no more of their objects than are among the rows: they may have a hundred each.
pub async fn batches_of(
    claims: BTreeSet<BatchId>,
    rows: &[Row],
    ledger: &impl Ledger,
) -> Result<Vec<Batch>, StepError> {
    let objects: BTreeSet<&ObjectId> = rows.iter().map(|row| &row.object).collect();
    let keys: Vec<_> = claims.iter().map(batch_key).collect();
    let mut batches: Vec<Batch> = Vec::new();
    for some in keys.chunks(BATCHES_AT_ONCE) {
        for mut batch in ledger.get_many::<Batch>(some).await? {
            batch.candidates.retain(|candidate| objects.contains(&candidate.object));
            batches.push(batch);
        }
    }
    batches.sort_by(|one, other| (one.created_at, one.id.as_str()).cmp(&(other.created_at, other.id.as_str())));
    Ok(batches)
}

/// Rows as they stand. What a batch has claimed is not written again when CloudFront is done: the batch says so, once for
/// all of its objects. A row and its batch together say where an object stands, and only this puts them together.
///
/// Each batch is read once. The ledger keeps it for longer than the rows that it speaks for.
pub async fn with_batches(rows: Vec<Row>, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    Ok(told(rows, ledger, async |batch| Ok(batch)).await?.0)
}

/// The same, and those of their objects whose batches are with CloudFront. What `look` makes of a batch is what it says.
async fn told(
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
    for some in ids.chunks(BATCHES_AT_ONCE) {
        let keys: Vec<ItemKey> = some.iter().copied().map(batch_key).collect();
        let batches = stream::iter(ledger.get_many::<Batch>(&keys).await?);
        let mut looked = std::pin::pin!(batches.map(|batch| look(batch)).buffer_unordered(LOOKS_AT_ONCE));
        while let Some(batch) = looked.try_next().await? {
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

/// The rows of an object in all restores, as they stand.
pub async fn rows_of(object: &ObjectId, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    with_batches(ledger.query::<Row>(&rows_key(object)).await?, ledger).await
}

/// The same from a peek: enough for whoever only wants to know what to do next, since what is done about a row is written
/// over that very row, or not at all. None found is looked for once more: rows are written before S3 is asked, and S3 may
/// be quick.
pub async fn rows_of_eventually(object: &ObjectId, ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    let rows = ledger.query_eventually::<Row>(&rows_key(object)).await?;
    if rows.is_empty() { rows_of(object, ledger).await } else { with_batches(rows, ledger).await }
}

/// The same of many objects, in their order, which all have rows: a batch that has claimed many of them is read once.
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

/// The rows with these keys from a peek, as they stand, and those of their objects whose batches are with CloudFront. Those
/// that a peek does not show are read. What `look` makes of a batch is what it says.
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
    told(rows, ledger, look).await
}

/// The rows with these keys, as they stand; those that do not exist are left out.
pub async fn with_keys(keys: &[ItemKey], ledger: &impl Ledger) -> Result<Vec<Row>, StepError> {
    with_batches(ledger.get_many(keys).await?, ledger).await
}

/// Folds an event into a row and writes it. Whoever loses the race folds into what the winner wrote, and tries again.
///
/// Answers the row as it stands now. An event that is illegal in the state it meets is an error of the caller.
pub async fn apply(ledger: &impl Ledger, row: &Row, event: &Event) -> Result<Row, StepError> {
    apply_all(ledger, row, std::slice::from_ref(event)).await
}

/// The same for events that are written down at once: one write.
pub async fn apply_all(ledger: &impl Ledger, row: &Row, events: &[Event]) -> Result<Row, StepError> {
    let mut current = row.clone();
    // Each loss means that somebody else moved the row on, and a life has few steps.
    for _ in 0..16 {
        let Some(next) = current.after_all(events)? else { return Ok(current) };
        current = match ledger.replace(&next).await? {
            Put::Done => return Ok(next),
            // A batch may have published it since.
            Put::Lost(other) => with_batches(vec![other], ledger).await?.remove(0),
        };
    }
    Err(StepError::Unavailable(format!("{}: lost sixteen races for its row", row.object)))
}

#[cfg(test)]
mod tests;
