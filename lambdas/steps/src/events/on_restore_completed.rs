//! OnRestoreCompleted: S3 reports that objects can be read, and they are published now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    Batch, Confirmation, Event, ObjectId, PublishWhen, Readiness, RestoreId, Row, S3Event, S3EventKind, State, Status,
    Tier,
};
use tracing::{info, warn};

use crate::archive::FACTS_VALID_FOR;
use crate::archive::current_versions::CurrentVersions;
use crate::archive::restore_status::meaning;
use crate::archive::restore_time::{RestoreTime, log_restored};
use crate::events::queue::{QueueBatch, QueueMessage, QueueResponse};
use crate::ledger::chunks::accepted_as;
use crate::ledger::readiness;
use crate::ledger::restores::{RestoreRecord, records, sizes};
use crate::ledger::rows::{self, apply, batch_key, row_key, rows_of_eventually};
use crate::metrics::seconds;
use crate::ports::{
    CreateInvalidations, DeadLetters, IN_FLIGHT, Ledger, ReadArchive, ReadDistributions, ReceiveMessages,
    ReceivedMessage, SendConfirmations,
};
use crate::publishing::publish::{PublishRequest, Published, Readable, RowWithReadiness, Trigger, publish_into};
use crate::{Settings, StepError};

/// For the objects of large restores, more messages are collected after so long a time each.
const COLLECT_AFTER: Duration = Duration::from_secs(1);

/// How often they are collected.
const COLLECTIONS: usize = 10;

/// Messages of one invocation: a few calls to CloudFront.
const MOST_MESSAGES: usize = 500;

/// Publishes the objects of a batch of messages. Messages whose objects failed come again, and go to the dead-letter
/// queue in the end; the others are done. `newest` is a cache that the function keeps from call to call.
///
/// Lambda hands over ten messages at most, and at once. The others that are on the queue are received here. If they are
/// about large restores only, more are collected for ten seconds, because each batch costs something. As soon as one is
/// about a small restore, all are published.
///
/// ConfirmInvalidations gets a message about the batches that CloudFront is not done with. If a restore ended before its
/// object came (S3 took longer than thaw waited), nobody else polls for it.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is known")]
pub async fn run(
    batch: QueueBatch,
    newest: &mut CurrentVersions,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    queue: &impl ReceiveMessages,
    confirmations: &impl SendConfirmations,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: impl Fn() -> Timestamp,
) -> Result<QueueResponse, StepError> {
    let mut collected = Collected::default();
    collected.read(batch, archive, ledger, dead_letters, settings, now()).await;
    let mut received: Vec<ReceivedMessage> = Vec::new();
    for nth in 0..=COLLECTIONS {
        let wait = if nth == 0 { Duration::ZERO } else { COLLECT_AFTER };
        let most = MOST_MESSAGES.saturating_sub(collected.messages);
        if most == 0 || nth > 0 && !collected.may_wait(ledger, settings).await {
            break;
        }
        match queue.receive(wait, most).await {
            Ok(more) => {
                let batch = QueueBatch { records: more.iter().map(QueueMessage::from).collect() };
                received.extend(more);
                collected.read(batch, archive, ledger, dead_letters, settings, now()).await;
            }
            Err(error) => {
                warn!("no more messages can be received: {error}");
                break;
            }
        }
    }
    let Collected { mut reported, mut failing, .. } = collected;
    match show(&mut reported, newest, cdn, archive, ledger, confirmations, settings, now()).await {
        Ok(unclaimed) => failing.extend(unclaimed),
        Err(error) => {
            // The messages come again, and so do the looks of their restores. Until then a status shows what is known.
            warn!("{error}");
            let readable = || reported.iter().filter(|(_, one)| !one.readable.is_empty());
            failing.extend(readable().map(|(message, _)| message.clone()));
            note(readable().map(|(_, one)| one), ledger).await.unwrap_or_else(|error| warn!("{error}"));
        }
    }
    // Those that failed become visible again.
    let done = received.iter().filter(|message| !failing.contains(&message.id));
    let receipts: Vec<String> = done.map(|message| message.receipt.clone()).collect();
    if !receipts.is_empty() {
        queue.delete(&receipts).await.unwrap_or_else(|error| warn!("messages that are done come again: {error}"));
    }
    let handed_over = |id: &&String| !received.iter().any(|message| message.id == **id);
    Ok(QueueResponse::failing(failing.iter().filter(handed_over).map(String::as_str)))
}

/// What the messages of an invocation report.
#[derive(Default)]
struct Collected {
    /// Events with the ids of their messages.
    reported: Vec<(String, ObjectEvent)>,
    /// The ids of messages that must come again.
    failing: BTreeSet<String>,
    /// How many messages there were.
    messages: usize,
    /// The sizes of the restores that wait for the objects.
    sizes: BTreeMap<RestoreId, u64>,
}

impl Collected {
    /// Adds messages.
    async fn read(
        &mut self,
        batch: QueueBatch,
        archive: &impl ReadArchive,
        ledger: &impl Ledger,
        dead_letters: &impl DeadLetters,
        settings: &Settings,
        now: Timestamp,
    ) {
        self.messages += batch.records.len();
        let (events, failing) = batch.read(S3EventKind::Completed, dead_letters, settings).await;
        self.failing.extend(failing.into_iter().map(str::to_owned));
        let results: Vec<(&str, Result<ObjectEvent, StepError>)> = stream::iter(events)
            .map(|(message, event)| async move { (message, interpret(event, archive, ledger, now).await) })
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        for (message, result) in results {
            match result {
                Ok(one) => self.reported.push((message.to_owned(), one)),
                Err(error) => {
                    warn!(message_id = message, "{error}");
                    self.failing.insert(message.to_owned());
                }
            }
        }
    }

    /// Whether all objects that can be read are of large restores.
    async fn may_wait(&mut self, ledger: &impl Ledger, settings: &Settings) -> bool {
        let rows = || self.reported.iter().flat_map(|(_, one)| &one.readable);
        let unknown = rows().map(|row| &row.restore).filter(|restore| !self.sizes.contains_key(*restore));
        match sizes(unknown, ledger).await {
            Ok(sizes) => self.sizes.extend(sizes),
            Err(error) => {
                warn!("objects are published without waiting for others: {error}");
                return false;
            }
        }
        let is_large = |row: &Row| self.sizes.get(&row.restore).is_some_and(|size| *size > settings.collect_over);
        let mut rows = self.reported.iter().flat_map(|(_, one)| &one.readable).peekable();
        rows.peek().is_some() && rows.all(is_large)
    }
}

/// What an event means for its object.
struct ObjectEvent {
    object: ObjectId,
    /// All rows of the object.
    rows: Vec<RowWithReadiness>,
    /// The rows that are to be published, in the state that follows from the event.
    readable: Vec<Row>,
}

impl ObjectEvent {
    /// Drops the rows of cancelled restores. CancelRestore does not cancel the rows of very many objects; that is done
    /// here.
    async fn leave_what_is_cancelled(
        &mut self,
        ended: &BTreeMap<RestoreId, Status>,
        ledger: &impl Ledger,
        now: Timestamp,
    ) -> Result<(), StepError> {
        // A row that was given up before the cancel stays: it is published if S3 delivers the object after all.
        let is_left = |row: &Row| ended.get(&row.restore) == Some(&Status::Cancelled) && row.ends_with_a_cancel();
        for entry in self.rows.iter_mut().filter(|entry| is_left(&entry.row)) {
            let row = apply(ledger, &entry.row, &Event::Cancelled { at: now }).await?;
            self.readable.retain(|one| one.restore != row.restore);
            *entry = RowWithReadiness { row, readiness: None };
        }
        Ok(())
    }
}

/// Records that these objects can be read.
async fn note(reported: impl Iterator<Item = &ObjectEvent>, ledger: &impl Ledger) -> Result<(), StepError> {
    let entry = reported.flat_map(|one| &one.rows).filter_map(|entry| Some((entry, entry.readiness?)));
    let (groupable, others): (Vec<_>, Vec<_>) =
        entry.partition(|(entry, _)| entry.row.state == State::Planned && readiness::is_recorded_for(&entry.row));
    let groupable: Vec<(&Row, Readiness)> =
        groupable.into_iter().map(|(entry, readiness)| (&entry.row, readiness)).collect();
    readiness::record(&groupable, ledger).await?;
    for (entry, _) in others {
        entry.note(ledger, None).await?;
    }
    Ok(())
}

/// Publishes the objects that are due, and records for the others that they can be read. Answers the messages that must
/// come again, because no batch has their objects yet and no look will find them: their restore has ended.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is known")]
async fn show(
    reported: &mut [(String, ObjectEvent)],
    newest: &mut CurrentVersions,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    confirmations: &impl SendConfirmations,
    settings: &Settings,
    now: Timestamp,
) -> Result<BTreeSet<String>, StepError> {
    let restores = reported.iter().flat_map(|(_, one)| &one.readable).map(|row| &row.restore);
    let records = records(restores, ledger).await?;
    let tiers: BTreeMap<RestoreId, Tier> = records.iter().map(|one| (one.id.clone(), one.request.tier)).collect();
    let is_ended =
        |record: &RestoreRecord| (record.status != Status::Running).then_some((record.id.clone(), record.status));
    let ended: BTreeMap<RestoreId, Status> = records.iter().filter_map(is_ended).collect();
    for (_, one) in reported.iter_mut() {
        one.leave_what_is_cancelled(&ended, ledger, now).await?;
    }
    let is_late = |row: &&Row| ended.contains_key(&row.restore);
    // A restore that publishes its objects together waits no longer than their copies live.
    let is_short = |row: &Row| row.waits_until().is_some_and(|until| until <= now);
    let is_due = |row: &Row| row.publish.when == PublishWhen::Each || is_late(&row) || is_short(row);
    let is_any_due = |one: &ObjectEvent| one.readable.iter().any(is_due);
    note(reported.iter().map(|(_, one)| one).filter(|one| !is_any_due(one)), ledger).await?;
    let due = reported.iter().map(|(_, one)| one).filter(|one| is_any_due(one));
    let objects: Readable = due.map(|one| (one.object.clone(), one.rows.clone())).collect();
    let count = objects.len();
    let wanted = PublishRequest { objects, trigger: Trigger::Events(newest), ..PublishRequest::default() };
    let mut published = Published::default();
    let done = publish_into(&mut published, wanted, cdn, archive, ledger, settings, now).await;
    // Also what CloudFront took before something failed.
    if !published.in_progress.is_empty() {
        let message = Confirmation::first(std::mem::take(&mut published.in_progress));
        confirmations.send_confirmation(&message, Confirmation::FIRST_DELAY).await?;
    }
    done?;
    info!(
        objects = count,
        paths = published.paths,
        "{count} objects can be read; {} paths are with CloudFront",
        published.paths
    );
    let rows = reported.iter().flat_map(|(_, one)| &one.rows);
    log_restored(rows.filter_map(|entry| took(entry, *tiers.get(&entry.row.restore)?)));
    let mut unclaimed = BTreeSet::new();
    for (message, one) in reported.iter() {
        for row in one.readable.iter().filter(is_late) {
            if !is_with_a_batch(row, ledger).await? {
                unclaimed.insert(message.clone());
            }
        }
    }
    Ok(unclaimed)
}

/// How long S3 took for an object of which an event tells. A row that has no more than the plan counts from the plan, a minute or so
/// before S3 was asked.
fn took(entry: &RowWithReadiness, requested: Tier) -> Option<RestoreTime> {
    let (row, readiness) = (&entry.row, entry.readiness?);
    let (since, tier) = match &row.state {
        State::Planned => (row.planned_at, accepted_as(row, requested).0),
        State::Restoring { since, tier, .. } => (*since, *tier),
        State::Available
        | State::Restored { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => return None,
    };
    Some(RestoreTime { kind: row.kind?, tier, seconds: seconds(since, readiness.at) })
}

/// Whether a row needs no more events: it is final, or a batch has its object.
async fn is_with_a_batch(row: &Row, ledger: &impl Ledger) -> Result<bool, StepError> {
    // A row that was given up is not final if another batch published the object first: only this event brings the row
    // back.
    let row = rows::with_keys(&[row_key(&row.object, &row.restore)], ledger).await?.pop();
    let Some(row) = row.filter(|row| !row.is_final()) else { return Ok(true) };
    let Some(claim) = row.state.claim() else { return Ok(false) };
    let batch = ledger.get::<Batch>(&batch_key(claim)).await?;
    Ok(batch.is_some_and(|batch| batch.is_with_cloudfront(&row.object)))
}

/// What an event means for its object, in all restores that wait for it.
async fn interpret(
    event: S3Event,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<ObjectEvent, StepError> {
    let (mut rows, mut readable_rows) = (Vec::new(), Vec::new());
    for row in rows_of_eventually(&event.object, ledger).await? {
        let mut entry = RowWithReadiness { row, readiness: None };
        if entry.row.is_concerned_by(event.at) {
            entry.readiness = match &entry.row.state {
                State::Planned | State::Restoring { .. } | State::Failed { .. } => {
                    readable(&event, &entry.row, archive, now).await?
                }
                State::Available | State::Restored { .. } | State::Published { .. } | State::Cancelled { .. } => None,
            };
            let row = entry.now()?;
            if matches!(row.state, State::Restored { .. }) {
                if row.publish.never() {
                    // Such a row is never published, so it has its last state.
                    entry = RowWithReadiness { row: entry.note(ledger, None).await?, readiness: None };
                } else {
                    readable_rows.push(row);
                }
            }
        }
        rows.push(entry);
    }
    // An event does not name the null version. A row that names a version is about the same object, and shows that the
    // bucket has versions.
    let named = rows.iter().map(|entry| &entry.row.object).find(|object| object.version.is_some());
    let object = named.cloned().unwrap_or(event.object);
    Ok(ObjectEvent { object, rows, readable: readable_rows })
}

/// The readiness of a row by an event. If the event does not have all that is needed, S3 is asked: when the event has
/// no expiry of a copy, or comes so late that its content may be outdated.
async fn readable(
    event: &S3Event,
    row: &Row,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Readiness>, StepError> {
    let has_copy = row.kind.is_some_and(thaw_core::ArchiveKind::has_copy);
    let is_fresh = now < event.at + FACTS_VALID_FOR;
    match event.expires {
        // The event comes so late that its copy has expired.
        Some(expires) if expires <= now => Ok(None),
        Some(expires) if is_fresh => Ok(Some(Readiness { at: now, expires: Some(expires) })),
        None if is_fresh && !has_copy => Ok(Some(Readiness { at: now, expires: None })),
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
    use crate::testing::stack::{Stack, batch_of, done, now, restored, row};

    #[tokio::test]
    async fn a_message_comes_again_until_its_row_is_final_or_with_cloudfront() {
        let stack = Stack::default();
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        let failed = |code| State::Failed { at: now(), code, message: String::new() };
        stack.insert(&done("b", &["published"])).await;
        let accepted = Batch { id: "c".to_owned().into(), ..done("c", &["accepted"]) }.with_call(0, |call| {
            call.completed = false;
        });
        stack.insert(&accepted).await;
        let open = batch_of(&["open"], &stack).await;
        for (key, state, is_done) in [
            ("published", restored(Some("b")), true),
            ("accepted", restored(Some("c")), true),
            ("unclaimed", restored(None), false),
            // The batch lost it to another batch.
            ("lost", restored(Some("b")), false),
            ("without batch", restored(Some("gone")), false),
            ("refused", failed(FailureCode::RefusedByCloudFront), true),
            // Another batch published the object first, and did not know this row.
            ("given up", failed(FailureCode::RetrievalTimedOut), false),
        ] {
            let row = row(&id, key, state);
            stack.insert(&row).await;
            assert_eq!(is_with_a_batch(&row, &stack.ledger).await.unwrap(), is_done, "{key}");
        }
        let unanswered = row(&id, "open", restored(Some(open.id.as_str())));
        assert!(!is_with_a_batch(&unanswered, &stack.ledger).await.unwrap());
        let gone = row(&id, "gone", restored(None));
        assert!(is_with_a_batch(&gone, &stack.ledger).await.unwrap());
    }
}
