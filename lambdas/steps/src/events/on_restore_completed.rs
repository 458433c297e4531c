//! OnRestoreCompleted: S3 says that objects can be read. Publish them now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Batch, Event, ObjectId, PublishWhen, Readiness, RestoreId, Row, S3Event, S3EventKind, State, Status};
use tracing::{info, warn};

use crate::archive::FACTS_VALID_FOR;
use crate::archive::current_versions::CurrentVersions;
use crate::archive::restore_status::meaning;
use crate::events::queue::{QueueBatch, QueueResponse};
use crate::ledger::readiness;
use crate::ledger::restores::statuses;
use crate::ledger::rows::{self, apply, batch_key, row_key, rows_of_eventually};
use crate::ports::{
    CreateInvalidations, DeadLetters, IN_FLIGHT, Ledger, ReadArchive, ReadDistributions, ReadInvalidations,
};
use crate::publishing::batches::confirmed;
use crate::publishing::publish::{PublishRequest, Readable, RowWithReadiness, Trigger, publish};
use crate::{Settings, StepError};

/// Publishes the objects of a batch of messages. Messages whose objects met trouble come again, and at last go to the
/// dead-letter queue; the others are done. `newest` is what the function remembers from call to call.
///
/// Restores that run confirm with CloudFront by themselves. Where one has ended before its object came (S3 took longer
/// than thaw waited), the message stays until CloudFront is done: nobody else would look.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is known")]
pub async fn run(
    batch: QueueBatch,
    newest: &mut CurrentVersions,
    cdn: &(impl ReadDistributions + CreateInvalidations + ReadInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (events, mut failing) = batch.read(S3EventKind::Completed, dead_letters, settings).await;
    let heard: Vec<(&str, Result<Told, StepError>)> = stream::iter(events)
        .map(|(message, event)| async move { (message, hear(event, archive, ledger, now).await) })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let mut told: Vec<(&str, Told)> = Vec::new();
    for (message, heard) in heard {
        match heard {
            Ok(one) => told.push((message, one)),
            Err(error) => {
                warn!(message_id = message, "{error}");
                failing.insert(message);
            }
        }
    }
    match show(&mut told, newest, cdn, archive, ledger, settings, now).await {
        Ok(unconfirmed) => failing.extend(unconfirmed),
        Err(error) => {
            // The messages come again, and their restores' own looks come too. Until then a status says what is known.
            warn!("{error}");
            let readable = || told.iter().filter(|(_, one)| !one.readable.is_empty());
            failing.extend(readable().map(|(message, _)| *message));
            note(readable().map(|(_, one)| one), ledger).await.unwrap_or_else(|error| warn!("{error}"));
        }
    }
    Ok(QueueResponse::failing(failing))
}

/// What an event means for its object.
struct Told {
    object: ObjectId,
    /// All its rows.
    rows: Vec<RowWithReadiness>,
    /// Those of them that are to be published, as they are now that the object can be read.
    readable: Vec<Row>,
}

impl Told {
    /// Leaves out the rows of restores that were cancelled: of very many objects, their door cancels the rows only here.
    async fn leave_what_is_cancelled(
        &mut self,
        ended: &BTreeMap<RestoreId, Status>,
        ledger: &impl Ledger,
        now: Timestamp,
    ) -> Result<(), StepError> {
        // What was given up before is no longer its restore's: it is shown if S3 delivers after all.
        let is_left = |row: &Row| ended.get(&row.restore) == Some(&Status::Cancelled) && row.ends_with_a_cancel();
        for heard in self.rows.iter_mut().filter(|heard| is_left(&heard.row)) {
            let row = apply(ledger, &heard.row, &Event::Cancelled { at: now }).await?;
            self.readable.retain(|one| one.restore != row.restore);
            *heard = RowWithReadiness { row, readiness: None };
        }
        Ok(())
    }
}

/// Writes down that these objects can be read.
async fn note(told: impl Iterator<Item = &Told>, ledger: &impl Ledger) -> Result<(), StepError> {
    let heard = told.flat_map(|one| &one.rows).filter_map(|heard| Some((heard, heard.readiness?)));
    let (together, alone): (Vec<_>, Vec<_>) =
        heard.partition(|(heard, _)| heard.row.state == State::Planned && readiness::is_recorded_for(&heard.row));
    let together: Vec<(&Row, Readiness)> =
        together.into_iter().map(|(heard, readiness)| (&heard.row, readiness)).collect();
    readiness::record(&together, ledger).await?;
    for (heard, _) in alone {
        heard.note(ledger, None).await?;
    }
    Ok(())
}

/// Publishes what is to be published now, and notes of the rest that it can be read. Answers the messages that must come
/// again, because a restore that has ended waits for CloudFront.
async fn show<'a>(
    told: &mut [(&'a str, Told)],
    newest: &mut CurrentVersions,
    cdn: &(impl ReadDistributions + CreateInvalidations + ReadInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<BTreeSet<&'a str>, StepError> {
    let restores = told.iter().flat_map(|(_, one)| &one.readable).map(|row| &row.restore);
    let mut ended = statuses(restores, ledger).await?;
    ended.retain(|_, status| *status != Status::Running);
    for (_, one) in told.iter_mut() {
        one.leave_what_is_cancelled(&ended, ledger, now).await?;
    }
    let is_late = |row: &&Row| ended.contains_key(&row.restore);
    // One that waits for others does not wait longer than its copy lives.
    let is_short = |row: &Row| row.waits_until().is_some_and(|until| until <= now);
    let is_wanted = |row: &Row| row.publish.when == PublishWhen::Each || is_late(&row) || is_short(row);
    let is_wanted = |one: &Told| one.readable.iter().any(is_wanted);
    note(told.iter().map(|(_, one)| one).filter(|one| !is_wanted(one)), ledger).await?;
    let wanted = told.iter().map(|(_, one)| one).filter(|one| is_wanted(one));
    let objects: Readable = wanted.map(|one| (one.object.clone(), one.rows.clone())).collect();
    let count = objects.len();
    let published = publish(
        PublishRequest { objects, trigger: Trigger::Events(newest), ..PublishRequest::default() },
        cdn,
        archive,
        ledger,
        settings,
        now,
    )
    .await?;
    info!(
        objects = count,
        paths = published.paths,
        "{count} objects can be read; {} paths are with CloudFront",
        published.paths
    );
    let mut unconfirmed = BTreeSet::new();
    for (message, one) in told.iter() {
        for row in one.readable.iter().filter(is_late) {
            if !is_confirmed(row, cdn, ledger, now).await? {
                unconfirmed.insert(*message);
            }
        }
    }
    Ok(unconfirmed)
}

/// Whether nothing is left to do for a row, once CloudFront was asked.
async fn is_confirmed(
    row: &Row,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<bool, StepError> {
    // One that was given up still is if another batch was faster with the object: only this event brings it back.
    let row = rows::with_keys(&[row_key(&row.object, &row.restore)], ledger).await?.pop();
    let Some(row) = row.filter(|row| !row.is_final()) else { return Ok(true) };
    let Some(claim) = row.state.claim() else { return Ok(false) };
    let Some(batch) = ledger.get::<Batch>(&batch_key(claim)).await? else { return Ok(false) };
    let batch = confirmed(batch, cdn, ledger, now).await?;
    Ok(batch.is_completed() && batch.has(&row.object))
}

/// What an event says of its object, for every restore that waits for it.
async fn hear(
    event: S3Event,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Told, StepError> {
    let (mut rows, mut readable_rows) = (Vec::new(), Vec::new());
    for row in rows_of_eventually(&event.object, ledger).await? {
        let mut heard = RowWithReadiness { row, readiness: None };
        if heard.row.is_concerned_by(event.at) {
            heard.readiness = match &heard.row.state {
                State::Planned | State::Restoring { .. } | State::Failed { .. } => {
                    readable(&event, &heard.row, archive, now).await?
                }
                State::Available | State::Restored { .. } | State::Published { .. } | State::Cancelled { .. } => None,
            };
            let row = heard.now()?;
            if matches!(row.state, State::Restored { .. }) {
                if row.publish.never() {
                    // Nothing more will come of it.
                    heard = RowWithReadiness { row: heard.note(ledger, None).await?, readiness: None };
                } else {
                    readable_rows.push(row);
                }
            }
        }
        rows.push(heard);
    }
    // An event does not name the null version; a row that does is about the same object, and knows that there are others.
    let named = rows.iter().map(|heard| &heard.row.object).find(|object| object.version.is_some());
    let object = named.cloned().unwrap_or(event.object);
    Ok(Told { object, rows, readable: readable_rows })
}

/// What the event means for a row. S3 is asked where the event does not say enough: of a copy, how long it lives; and
/// nothing at all that is still sure, when it comes late.
async fn readable(
    event: &S3Event,
    row: &Row,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Readiness>, StepError> {
    let has_copy = row.kind.is_some_and(thaw_core::ArchiveKind::has_copy);
    let is_news = now < event.at + FACTS_VALID_FOR;
    match event.expires {
        // The copy that this late event is about is gone.
        Some(expires) if expires <= now => Ok(None),
        Some(expires) if is_news => Ok(Some(Readiness { at: now, expires: Some(expires) })),
        None if is_news && !has_copy => Ok(Some(Readiness { at: now, expires: None })),
        Some(_) | None => {
            let event = meaning(row, &archive.head(&row.object).await?, now);
            let Some(Event::Readable { at, expires }) = event else { return Ok(None) };
            Ok(Some(Readiness { at, expires }))
        }
    }
}

#[cfg(test)]
mod tests {
    use thaw_core::FailureCode;

    use super::*;
    use crate::testing::cdn::Edge;
    use crate::testing::stack::{Stack, done, now, restored, row};

    #[tokio::test]
    async fn a_message_comes_again_until_its_row_is_what_nothing_can_change() {
        let stack = Stack::default();
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        let failed = |code| State::Failed { at: now(), code, message: String::new() };
        stack.insert(&done("b", &["published"])).await;
        for (key, state, is_done) in [
            ("published", restored(Some("b")), true),
            ("unclaimed", restored(None), false),
            ("refused", failed(FailureCode::RefusedByCloudFront), true),
            // Another batch was faster with the object, and did not know of this row.
            ("given up", failed(FailureCode::RetrievalTimedOut), false),
        ] {
            let row = row(&id, key, state);
            stack.insert(&row).await;
            assert_eq!(is_confirmed(&row, &Edge::default(), &stack.ledger, now()).await.unwrap(), is_done, "{key}");
        }
        let gone = row(&id, "gone", restored(None));
        assert!(is_confirmed(&gone, &Edge::default(), &stack.ledger, now()).await.unwrap());
    }
}
