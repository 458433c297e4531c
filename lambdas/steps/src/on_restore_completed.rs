//! OnRestoreCompleted: S3 says that objects can be read. Publish them now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Event, ObjectId, PublishWhen, Row, S3Event, S3EventKind, State};
use tracing::{info, warn};

use crate::ledger::apply;
use crate::looking::meaning;
use crate::ports::{CreateInvalidations, DeadLetters, Ledger, ReadArchive, ReadDistributions};
use crate::publishing::publish;
use crate::{IN_FLIGHT, QueueBatch, QueueResponse, Settings, StepError};

/// Publishes the objects of a batch of messages. Messages whose objects met trouble come again and at last go to the
/// dead-letter queue, those that cannot be read go there at once; the others are done.
pub async fn run(
    batch: QueueBatch,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (events, mut failing) = batch.read(S3EventKind::Completed, dead_letters, settings).await;
    let noted: Vec<(&str, Result<Option<ObjectId>, StepError>)> = stream::iter(events)
        .map(|(message, event)| async move { (message, note(event, archive, ledger, now).await) })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let mut messages_of: BTreeMap<ObjectId, Vec<&str>> = BTreeMap::new();
    for (message, noted) in noted {
        match noted {
            Ok(Some(object)) => messages_of.entry(object).or_default().push(message),
            Ok(None) => {}
            Err(error) => {
                warn!(message_id = message, "{error}");
                failing.insert(message);
            }
        }
    }
    let objects: BTreeSet<ObjectId> = messages_of.keys().cloned().collect();
    let count = objects.len();
    match publish(objects, BTreeSet::new(), cdn, archive, ledger, settings, now).await {
        Ok(published) => info!(
            objects = count,
            paths = published.paths,
            "{count} objects can be read; {} paths are with CloudFront",
            published.paths
        ),
        Err(error) => {
            // The ledger keeps what was done. The messages come again, and their restores' own looks come too.
            warn!("{error}");
            failing.extend(messages_of.into_values().flatten());
        }
    }
    Ok(QueueResponse::failing(failing))
}

/// Notes that an object can be read in every restore that waits for it. Answers the object if it is to be published now.
async fn note(
    event: S3Event,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Option<ObjectId>, StepError> {
    let mut publishes = None;
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
        if matches!(row.state, State::Restored { .. }) && row.publish.when == PublishWhen::Each {
            publishes = Some(row.object);
        }
    }
    Ok(publishes)
}

/// What the event means for a row. An event of a kind that has copies, but without a date, does not say enough to know
/// how long the copy lives: then S3 is asked.
async fn readable(
    event: &S3Event,
    row: &Row,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Event>, StepError> {
    let has_copy = row.kind.is_some_and(thaw_core::ArchiveKind::has_copy);
    match event.expires {
        Some(expires) if expires > now => Ok(Some(Event::Readable { at: now, expires: Some(expires) })),
        // The copy that this late event is about is gone.
        Some(_) => Ok(None),
        None if !has_copy => Ok(Some(Event::Readable { at: now, expires: None })),
        None => match meaning(row, &archive.head(&row.object).await?, now) {
            Some(happened @ Event::Readable { .. }) => Ok(Some(happened)),
            _ => Ok(None),
        },
    }
}
