//! Batches of objects that are published together: claiming their rows, calling CloudFront, and recording its answers.
//!
//! A batch is written to the ledger, then claims its rows, then is sealed, and only then is CloudFront called. A
//! function that finds a claim on a row finishes that batch instead of making another. So a crash, a retry, or an event
//! and the execution at the same time end in the same call with the same caller reference. When CloudFront is done with
//! the whole batch, only the batch records it, and no row is written (`ledger/rows.rs` merges them).
//!
//! Two restores that learn at the same time that an object can be read may make two batches of it, and one batch may
//! not know the other's row. So a batch claims the rows of an object in the order of their restores, and stops at the
//! first row that another batch holds. That other batch has the object then, and the claims made so far are released.
//! Of competing batches, the one that is furthest in this order meets no other, so one of them always gets the object.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    Batch, BatchId, Call, CallError, Candidate, Covered, Event, ObjectId, PublishedReason, Readiness, Row, State,
    Wildcard, quantity,
};
use tracing::{info, warn};

use crate::archive::FACTS_VALID_FOR;
use crate::ledger::rows::{apply, row_key, rows_of};
use crate::ledger::update::update;
use crate::metrics::{seconds, values};
use crate::ports::{
    CreateInvalidations, IN_FLIGHT, Invalidation, InvalidationStatus, Ledger, PortError, Put, ReadArchive,
    ReadInvalidations,
};
use crate::publishing::path_safety::{
    as_covered_too, cannot_be_invalidated, cover_of_prefix, neighbour, why_not_shown, wildcard_cover,
};
use crate::{Settings, StepError};

/// The rows of objects that wait, as the ledger had them a moment ago.
pub type Rows = BTreeMap<ObjectId, Vec<Row>>;

/// Takes a batch from any state to CloudFront: claim, seal, call. Idempotent.
///
/// `rows` are rows that are known to wait. Others are read from the ledger.
pub async fn carry_out(
    batch: Batch,
    rows: &Rows,
    cdn: &impl CreateInvalidations,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Batch, StepError> {
    let batch = if batch.calls.is_some() { batch } else { seal(batch, rows, ledger, now).await? };
    let mut batch = if batch.is_open() && batch.created_at + FACTS_VALID_FOR <= now {
        without_what_is_gone(batch, archive, ledger, now).await?
    } else {
        batch
    };
    // A refused call may be split, so there may be more calls at the end than at the start.
    let mut index = 0;
    while let Some(call) = batch.calls.as_ref().and_then(|calls| calls.get(index)).cloned() {
        if !call.is_open() {
            index += 1;
            continue;
        }
        let answer = match cdn.invalidate(&call.distribution, &call.items, &call.caller_reference).await {
            // thaw found this staging distribution by its primary one. What the stack names must be allowed.
            Err(PortError { trouble: Some(CallError::Denied), says, .. }) if !settings.names(&call.distribution) => {
                warn!(distribution = %call.distribution, "may not invalidate {}, which gets viewers from a continuous deployment policy: {says}", call.distribution);
                batch = write(batch.with_call(index, |call| call.denied = Some(says)), ledger, now).await?;
                continue;
            }
            answer => answer?,
        };
        let next = match answer {
            Invalidation::Accepted { id, completed } => {
                info!(distribution = %call.distribution, invalidation = %id, PathsInvalidated = call.items.len(), "invalidating {} of {}", quantity(call.items.len() as u64, "path", "paths"), call.distribution);
                batch.with_call(index, |call| {
                    call.invalidation = Some(id);
                    call.completed = completed;
                })
            }
            Invalidation::Refused { .. } if may_be_split(&batch, &call) => batch.with_call_split(index),
            Invalidation::Refused { says } | Invalidation::Gone { says } => {
                batch.with_call(index, |call| call.refused = Some(says))
            }
        };
        batch = write(next, ledger, now).await?;
    }
    Ok(batch)
}

/// Writes a changed batch. Answers it as it is now: after a lost race, what the winner wrote.
async fn write(next: Batch, ledger: &impl Ledger, now: Timestamp) -> Result<Batch, StepError> {
    let was_completed = next.completed_at.is_some();
    let next = next.noted(now);
    Ok(match ledger.replace(&next).await? {
        Put::Done => {
            if let Some(completed) = next.completed_at.filter(|_| !was_completed) {
                log_completed(&next, completed);
            }
            next
        }
        Put::Lost(other) => other,
    })
}

/// Logs how long it took from S3's event to CloudFront's completion, for the objects of which an event told.
fn log_completed(batch: &Batch, completed: Timestamp) {
    let readable = batch.candidates.iter().filter_map(|candidate| candidate.readiness);
    let took: Vec<f64> = readable.map(|readiness| seconds(readiness.at, completed)).collect();
    info!(
        batch = batch.id.as_str(),
        SecondsToPublish = (!took.is_empty()).then(|| values(took)),
        "CloudFront has completed a batch of {}",
        quantity(batch.candidates.len() as u64, "object", "objects")
    );
}

/// Whether a refused call has more than one path, or one that stands for several objects.
fn may_be_split(batch: &Batch, call: &Call) -> bool {
    match call.items.as_slice() {
        [one] => batch.is_folded(&call.distribution, one),
        _ => true,
    }
}

/// Checks a batch again that CloudFront did not take for a while. Objects that can no longer be shown leave it, and
/// wildcards that would cover something archived by now are split up.
///
/// A call whose answer got lost may have been accepted. Then its other paths are paid again under their new reference.
/// That is rare and costs cents, while an invalidated archived object is lost to visitors.
async fn without_what_is_gone(
    batch: Batch,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Batch, StepError> {
    let gone: BTreeMap<ObjectId, Event> = stream::iter(&batch.candidates)
        .map(|candidate| async {
            let newest = archive.head(&ObjectId { version: None, ..candidate.object.clone() }).await?;
            let why = match why_not_shown(&candidate.object, &newest, now) {
                None => why_not_covered(candidate, archive, now).await?,
                why => why,
            };
            Ok::<_, StepError>((candidate.object.clone(), why))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_filter_map(|(object, why)| async move { Ok(why.map(|why| (object, why))) })
        .try_collect()
        .await?;
    let mut unfolded = BTreeSet::new();
    for wildcard in &batch.wildcards {
        let Wildcard { bucket, prefix, covers, .. } = wildcard;
        let covered = match covers.is_empty() {
            true => cover_of_prefix(bucket, prefix, archive, now).await?,
            false => wildcard_cover(covers, bucket, |_| true, archive, now).await?,
        };
        if covered.archived().is_some() {
            unfolded.insert(wildcard.clone());
        }
    }
    let id = batch.id.clone();
    // Another function may be faster. Objects that CloudFront has accepted since then stay in the batch.
    let next = |batch: &Batch| {
        let waiting = gone.keys().filter(|object| batch.waits(object)).cloned().collect();
        let left = batch.without(&waiting, &unfolded);
        (left.candidates != batch.candidates || left.wildcards != batch.wildcards).then(|| left.noted(now))
    };
    let left = update(ledger, batch, next).await?;
    for (object, why) in gone.iter().filter(|(object, _)| !left.has(object)) {
        for row in rows_of(object, ledger).await?.iter().filter(|row| row.state.claim() == Some(&id)) {
            apply(ledger, row, why).await?;
        }
    }
    Ok(left)
}

/// The event of an object that shares a path with one that is archived by now, or whose path has a `~` and whose wildcard
/// covers one; else `None`.
///
/// The object is in a batch, so thaw was allowed to read all of these others.
async fn why_not_covered(
    candidate: &Candidate,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Event>, StepError> {
    for (bucket, key) in &candidate.namesakes {
        if let Some(archived) = neighbour(bucket, key, archive, now).await? {
            return Ok(Some(cannot_be_invalidated(&archived.as_namesake_of(&candidate.object), now)));
        }
    }
    let ObjectId { bucket, key, .. } = &candidate.object;
    let is_wildcard = candidate.paths.values().flatten().any(|path| path.ends_with('*'));
    let covers = match key.split_once('~') {
        // Batches of earlier versions do not say what they cover. At least this, which the same origin shows.
        Some((before, _)) if is_wildcard && candidate.covers.is_empty() => {
            [Covered { domain: format!("{bucket}.s3.amazonaws.com"), prefix: before.to_owned() }].into()
        }
        Some(_) | None => candidate.covers.clone(),
    };
    let covered = wildcard_cover(&covers, bucket, |_| true, archive, now).await?;
    Ok(covered.archived().map(|what| cannot_be_invalidated(&as_covered_too(&what), now)))
}

/// Claims the batch's objects, records in the batch which ones it got, and releases its claims on the others.
async fn seal(batch: Batch, rows: &Rows, ledger: &impl Ledger, now: Timestamp) -> Result<Batch, StepError> {
    let claims: Vec<(ObjectId, ClaimOutcome)> = stream::iter(&batch.candidates)
        .map(|candidate| async {
            let (mut held, mut is_gone) = (false, false);
            for restore in &candidate.restores {
                let waiting =
                    rows.get(&candidate.object).and_then(|rows| rows.iter().find(|row| row.restore == *restore));
                let row = match waiting {
                    Some(row) => row.clone(),
                    // Read without its batch: if another batch has claimed the row it has the object, whether
                    // CloudFront is done or not.
                    None => match ledger.get::<Row>(&row_key(&candidate.object, restore)).await? {
                        Some(row) => row,
                        None => continue,
                    },
                };
                match claim(&row, candidate.readiness, &batch.id, ledger).await? {
                    Claim::Held => held = true,
                    Claim::Settled => {}
                    Claim::Failed => is_gone = true,
                    Claim::Taken => return Ok((candidate.object.clone(), ClaimOutcome::Nothing)),
                }
            }
            let held = match (held, is_gone) {
                (true, _) => ClaimOutcome::Won,
                (false, true) => ClaimOutcome::Gone,
                (false, false) => ClaimOutcome::Nothing,
            };
            Ok::<_, StepError>((candidate.object.clone(), held))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let objects_with =
        |what: ClaimOutcome| claims.iter().filter(move |(_, got)| *got == what).map(|(object, _)| object.clone());
    let next =
        batch.not_over(&objects_with(ClaimOutcome::Gone).collect()).sealed(&objects_with(ClaimOutcome::Won).collect());
    let sealed = write(next, ledger, now).await?;
    let objects = batch.candidates.into_iter().map(|candidate| candidate.object).collect();
    release(&sealed, &objects, ledger).await?;
    Ok(sealed)
}

/// Releases the batch's claims on those of the objects that it was sealed without.
pub async fn release(batch: &Batch, objects: &BTreeSet<ObjectId>, ledger: &impl Ledger) -> Result<(), StepError> {
    for object in objects.iter().filter(|object| !batch.has(object)) {
        for row in rows_of(object, ledger).await?.iter().filter(|row| row.state.claim() == Some(&batch.id)) {
            apply(ledger, row, &Event::Released { batch: batch.id.clone() }).await?;
        }
    }
    Ok(())
}

/// What a batch got of an object.
#[derive(PartialEq, Eq)]
enum ClaimOutcome {
    /// The object.
    Won,
    /// Not the object: another batch has it, or no row waits for it any more. It is still readable.
    Nothing,
    /// Not the object: it failed, and may be archived.
    Gone,
}

/// The result of a claim on a row.
pub enum Claim {
    /// The batch holds it.
    Held,
    /// Another batch holds it, or has published it.
    Taken,
    /// Nothing is left to publish for it.
    Settled,
    /// It failed.
    Failed,
}

/// Claims a row for a batch if it waits. The same write records that the object can be read.
pub async fn claim(
    row: &Row,
    readiness: Option<Readiness>,
    batch: &BatchId,
    ledger: &impl Ledger,
) -> Result<Claim, StepError> {
    let mut row = row.clone();
    let claimed = Event::Claimed { batch: batch.clone() };
    // Each lost race means that another writer moved the row on, and a row has few states to go through.
    for _ in 0..16 {
        let next = match (&row.state, readiness) {
            (State::Restored { claim: Some(held), .. }, _) if held == batch => return Ok(Claim::Held),
            (State::Restored { claim: Some(_), .. }, _) => return Ok(Claim::Taken),
            (State::Restored { claim: None, .. }, _) => row.after(&claimed)?,
            (State::Planned | State::Restoring { .. } | State::Failed { .. }, Some(readiness)) => {
                row.after_all(&[readiness.into(), claimed.clone()])?
            }
            (State::Published { .. }, _) if was_invalidated(&row) => return Ok(Claim::Taken),
            (State::Planned | State::Restoring { .. } | State::Failed { .. }, None)
            | (State::Published { .. } | State::Available | State::Cancelled { .. }, _) => None,
        };
        let Some(next) = next else {
            return Ok(if matches!(row.state, State::Failed { .. }) { Claim::Failed } else { Claim::Settled });
        };
        match ledger.replace(&next).await? {
            Put::Done => return Ok(Claim::Held),
            Put::Lost(other) => row = other,
        }
    }
    Err(StepError::Unavailable(format!("{}: lost sixteen races for its row", row.object)))
}

/// Polls CloudFront for the batch's invalidations that are not complete, and records the answers in the batch.
pub async fn confirmed(
    mut batch: Batch,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Batch, StepError> {
    for index in 0..batch.calls.as_ref().map_or(0, Vec::len) {
        let Some(call) = batch.calls.as_ref().and_then(|calls| calls.get(index)) else { break };
        let Some(invalidation) = call.invalidation.clone().filter(|_| !call.completed) else { continue };
        let next = match cdn.invalidation(&call.distribution, &invalidation).await? {
            InvalidationStatus::InProgress => continue,
            InvalidationStatus::Completed => batch.with_call(index, |call| call.completed = true),
            // The invalidation is paid for, and whether it took effect stays unknown. The restore goes on.
            InvalidationStatus::Gone { says } => {
                let says = format!(
                    "whether invalidation {invalidation} of {} took effect is not known: {says}",
                    call.distribution
                );
                batch.with_call(index, |call| call.refused = Some(says))
            }
        };
        batch = write(next, ledger, now).await?;
    }
    Ok(batch)
}

/// Whether a row's object is visible because its paths were invalidated. Other rows may be published without an
/// invalidation.
pub fn was_invalidated(row: &Row) -> bool {
    match &row.state {
        State::Published { how, .. } => match how {
            PublishedReason::Invalidated { .. } | PublishedReason::AlreadyPublished => true,
            PublishedReason::NothingStale | PublishedReason::NoPath | PublishedReason::NotCurrent => false,
        },
        State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Restored { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => false,
    }
}

#[cfg(test)]
mod tests;
