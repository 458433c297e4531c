//! OnRestoreCompleted: S3 says that objects can be read. Publish them now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Batch, Event, ObjectId, PublishWhen, RestoreId, Row, S3Event, S3EventKind, State, Status};
use tracing::{info, warn};

use crate::ledger::{apply, batch_key, row_key};
use crate::looking::meaning;
use crate::ports::{
    CreateInvalidations, DeadLetters, ItemKey, Ledger, ReadArchive, ReadDistributions, ReadInvalidations,
};
use crate::publishing::{NEWS, Wanted, confirmed, publish, settle_batch};
use crate::{IN_FLIGHT, QueueBatch, QueueResponse, RestoreRecord, Settings, StepError};

/// Publishes the objects of a batch of messages. Messages whose objects met trouble come again, and at last go to the
/// dead-letter queue; the others are done.
///
/// Restores that run confirm with CloudFront by themselves. Where one has ended before its object came (S3 took longer
/// than thaw waited), the message stays until CloudFront is done: nobody else would look.
pub async fn run(
    batch: QueueBatch,
    cdn: &(impl ReadDistributions + CreateInvalidations + ReadInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (events, mut failing) = batch.read(S3EventKind::Completed, dead_letters, settings).await;
    let noted: Vec<(&str, Result<Vec<Row>, StepError>)> = stream::iter(events)
        .map(|(message, event)| async move { (message, note(event, archive, ledger, now).await) })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let mut rows_of: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for (message, noted) in noted {
        match noted {
            Ok(rows) => rows_of.entry(message).or_default().extend(rows),
            Err(error) => {
                warn!(message_id = message, "{error}");
                failing.insert(message);
            }
        }
    }
    match show(&rows_of, cdn, archive, ledger, settings, now).await {
        Ok(unconfirmed) => failing.extend(unconfirmed),
        Err(error) => {
            // The ledger keeps what was done. The messages come again, and their restores' own looks come too.
            warn!("{error}");
            failing.extend(rows_of.iter().filter(|(_, rows)| !rows.is_empty()).map(|(message, _)| *message));
        }
    }
    Ok(QueueResponse::failing(failing))
}

/// Publishes what is to be published now. Answers the messages that must come again, because a restore that has ended
/// waits for CloudFront.
async fn show<'a>(
    rows_of: &BTreeMap<&'a str, Vec<Row>>,
    cdn: &(impl ReadDistributions + CreateInvalidations + ReadInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<BTreeSet<&'a str>, StepError> {
    let ended = ended(rows_of.values().flatten(), ledger).await?;
    let is_late = |row: &&Row| ended.contains(&row.restore);
    // One that waits for others does not wait longer than its copy lives.
    let is_short = |row: &Row| row.waits_until().is_some_and(|until| until <= now);
    let is_wanted = |row: &&Row| row.publish.when == PublishWhen::Each || is_late(row) || is_short(row);
    let objects: BTreeSet<ObjectId> =
        rows_of.values().flatten().filter(is_wanted).map(|row| row.object.clone()).collect();
    let count = objects.len();
    let published = publish(Wanted { objects, ..Wanted::default() }, cdn, archive, ledger, settings, now).await?;
    info!(
        objects = count,
        paths = published.paths,
        "{count} objects can be read; {} paths are with CloudFront",
        published.paths
    );
    let mut unconfirmed = BTreeSet::new();
    for (message, rows) in rows_of {
        for row in rows.iter().filter(is_late) {
            if !is_confirmed(row, cdn, ledger, now).await? {
                unconfirmed.insert(*message);
            }
        }
    }
    Ok(unconfirmed)
}

/// Those of the rows' restores that have ended.
async fn ended(rows: impl Iterator<Item = &Row>, ledger: &impl Ledger) -> Result<BTreeSet<RestoreId>, StepError> {
    let keys: BTreeSet<ItemKey> = rows.map(|row| RestoreRecord::key_of(&row.restore)).collect();
    let records: Vec<RestoreRecord> = ledger.get_many(&keys.into_iter().collect::<Vec<_>>()).await?;
    Ok(records.into_iter().filter(|record| record.status != Status::Running).map(|record| record.id).collect())
}

/// Whether nothing is left to do for a row, once CloudFront was asked.
async fn is_confirmed(
    row: &Row,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<bool, StepError> {
    let Some(row) = ledger.get::<Row>(&row_key(&row.object, &row.restore)).await? else { return Ok(true) };
    if row.is_settled() {
        return Ok(true);
    }
    let Some(claim) = row.state.claim() else { return Ok(false) };
    let Some(batch) = ledger.get::<Batch>(&batch_key(claim)).await? else { return Ok(false) };
    let batch = confirmed(batch, cdn, ledger).await?;
    if batch.is_completed() {
        settle_batch(&batch, Some(&row.restore), ledger, now).await?;
    }
    Ok(batch.is_completed() && batch.has(&row.object))
}

/// Notes that an object can be read in every restore that waits for it. Answers those of its rows that are to be
/// published.
async fn note(
    event: S3Event,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Vec<Row>, StepError> {
    let mut readable_rows = Vec::new();
    for row in ledger.rows_of(&event.object).await? {
        // An event from before the row was planned is about an earlier copy.
        if event.at < row.planned_at {
            continue;
        }
        let row = match &row.state {
            State::Planned | State::Restoring { .. } | State::Failed { .. } => {
                match readable(&event, &row, archive, now).await? {
                    Some(happened) => apply(ledger, &row, &happened).await?,
                    None => continue,
                }
            }
            State::Available | State::Restored { .. } | State::Published { .. } | State::Cancelled { .. } => row,
        };
        if matches!(row.state, State::Restored { .. }) && !row.publish.never() {
            readable_rows.push(row);
        }
    }
    Ok(readable_rows)
}

/// What the event means for a row. S3 is asked where the event does not say enough: of a copy, how long it lives; and
/// nothing at all that is still sure, when it comes late.
async fn readable(
    event: &S3Event,
    row: &Row,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Event>, StepError> {
    let has_copy = row.kind.is_some_and(thaw_core::ArchiveKind::has_copy);
    let is_news = now < event.at + NEWS;
    match event.expires {
        // The copy that this late event is about is gone.
        Some(expires) if expires <= now => Ok(None),
        Some(expires) if is_news => Ok(Some(Event::Readable { at: now, expires: Some(expires) })),
        None if is_news && !has_copy => Ok(Some(Event::Readable { at: now, expires: None })),
        Some(_) | None => match meaning(row, &archive.head(&row.object).await?, now) {
            Some(happened @ Event::Readable { .. }) => Ok(Some(happened)),
            _ => Ok(None),
        },
    }
}
