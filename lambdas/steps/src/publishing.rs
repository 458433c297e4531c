//! Publishing: the one piece of code behind both ways, the event's and the execution's.
//!
//! A batch is written to the ledger, then claims its rows, then is sealed, and only then is CloudFront called. Whoever
//! finds a claim on a row finishes that batch instead of making another; so a crash, a retry, or the two ways meeting end
//! in the same call with the same reference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    Batch, BatchId, Candidate, Distribution, Event, Facts, FailureCode, How, ObjectId, Reach, RestoreId, Row,
    Staleness, State, batches, same_copy, staleness,
};
use tracing::info;

use crate::ledger::{apply, batch_key, row_key};
use crate::ports::{CreateInvalidations, Invalidation, Ledger, ListedRestore, Put, ReadArchive, ReadDistributions};
use crate::{IN_FLIGHT, Settings, StepError};

/// An error that CloudFront forgets this soon is waited out rather than paid for, when `only_if_stale` is asked.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// Pages of neighbours that are read before a wildcard for a `~` is dared. Past them nobody knows what it would cover.
const PAGES_OF_NEIGHBOURS: usize = 10;

/// What publishing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Invalidations that CloudFront has accepted, by this call or an earlier one.
    pub invalidations: u64,
    /// Paths in them.
    pub paths: u64,
}

/// Publishes objects that can be read, for every restore that waits for them, and finishes batches that were begun.
///
/// Doing it twice is fine. Fails with the first trouble that time can mend, after the ledger has kept what was done.
pub async fn publish(
    objects: BTreeSet<ObjectId>,
    mut begun: BTreeSet<BatchId>,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Published, StepError> {
    let distributions = distributions(&objects, cdn, settings).await?;
    let prepared: Vec<Prepared> = stream::iter(objects)
        .map(|object| prepare(object, &distributions, archive, ledger, settings, now))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let mut candidates = Vec::new();
    for prepared in prepared {
        begun.extend(prepared.begun);
        candidates.extend(prepared.candidate);
    }
    let mut published = Published::default();
    for id in begun {
        // Claims are written after their batch, so the batch is there.
        let Some(batch) = ledger.get::<Batch>(&batch_key(&id)).await? else { continue };
        published.add(&carry_out(batch, cdn, ledger, now).await?);
    }
    for batch in batches(candidates, now) {
        let batch = match ledger.insert(&batch).await? {
            Put::Done => batch,
            Put::Lost(existing) => existing,
        };
        published.add(&carry_out(batch, cdn, ledger, now).await?);
    }
    Ok(published)
}

impl Published {
    fn add(&mut self, batch: &Batch) {
        for call in batch.calls.iter().flatten().filter(|call| call.invalidation.is_some()) {
            self.invalidations += 1;
            self.paths += call.items.len() as u64;
        }
    }
}

async fn distributions(
    objects: &BTreeSet<ObjectId>,
    cdn: &impl ReadDistributions,
    settings: &Settings,
) -> Result<BTreeMap<String, Vec<Distribution>>, StepError> {
    let buckets: BTreeSet<&str> = objects.iter().map(|object| object.bucket.as_str()).collect();
    let mut by_bucket = BTreeMap::new();
    for bucket in buckets {
        by_bucket.insert(bucket.to_owned(), cdn.distributions(bucket, &settings.distribution_ids).await?);
    }
    Ok(by_bucket)
}

/// What is to be done for one object.
#[derive(Default)]
struct Prepared {
    /// Batches that hold a claim on it already.
    begun: BTreeSet<BatchId>,
    /// Its place in a new batch.
    candidate: Option<Candidate>,
}

/// Settles what needs no invalidation, and prepares the rest.
async fn prepare(
    object: ObjectId,
    distributions: &BTreeMap<String, Vec<Distribution>>,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Prepared, StepError> {
    let rows = ledger.rows_of(&object).await?;
    let empty = Vec::new();
    let distributions = distributions.get(&object.bucket).unwrap_or(&empty);
    let mut prepared = Prepared::default();
    let mut waiting: Vec<&Row> = Vec::new();
    for row in rows.iter().filter(|row| !row.publish.never()) {
        let State::Restored { at, claim, .. } = &row.state else { continue };
        if let Some(batch) = claim {
            prepared.begun.insert(batch.clone());
            continue;
        }
        let others = || rows.iter().filter(|other| other.restore != row.restore && same_copy(row, other));
        if others().any(|other| matches!(other.state, State::Published { .. })) {
            apply(ledger, row, &Event::Published { at: now, how: How::AlreadyPublished }).await?;
        } else if let Some(batch) = others().find_map(|other| other.state.claim()) {
            // Another restore's batch has this copy already: this row rides along.
            apply(ledger, row, &Event::Claimed { batch: batch.clone() }).await?;
            prepared.begun.insert(batch.clone());
        } else if !row.current {
            apply(ledger, row, &Event::Published { at: now, how: How::NotCurrent }).await?;
        } else if row.publish.only_if_stale {
            match stale(&object, *at, distributions, settings, now) {
                Staleness::Impossible => {
                    apply(ledger, row, &Event::Published { at: now, how: How::NothingStale }).await?;
                }
                Staleness::Until(gone) if gone <= now + WORTH_WAITING => {}
                Staleness::Until(_) | Staleness::Possible => waiting.push(row),
            }
        } else {
            waiting.push(row);
        }
    }
    if waiting.is_empty() {
        return Ok(prepared);
    }
    // It may have waited longer than its copy lives. Archived again, it must not be invalidated: what an edge still has of
    // it is all that viewers get. S3 is asked, because somebody may have extended the copy.
    if waiting.iter().any(|row| has_expired(row, now)) && can_be_read(&object, archive, now).await? != Some(true) {
        let message = "its copy expired before it was published".to_owned();
        settle(ledger, &waiting, &Event::Failed { at: now, code: FailureCode::NotBeingRestored, message }).await?;
        return Ok(prepared);
    }
    match paths(&object, distributions, archive, settings, now).await? {
        Shown::Nowhere => settle(ledger, &waiting, &Event::Published { at: now, how: How::NoPath }).await?,
        Shown::OverArchived(neighbour) => {
            let message = format!(
                "it is readable, but CloudFront cannot invalidate a path with ~, and the wildcard that would cover it also covers archived objects such as {neighbour}, which would then answer 403"
            );
            let event = Event::Failed { at: now, code: FailureCode::PathCannotBeInvalidated, message };
            settle(ledger, &waiting, &event).await?;
        }
        Shown::At(paths) => {
            let restores = waiting.iter().map(|row| row.restore.clone()).collect();
            prepared.candidate = Some(Candidate { object, restores, paths });
        }
    }
    Ok(prepared)
}

fn has_expired(row: &Row, now: Timestamp) -> bool {
    matches!(&row.state, State::Restored { expires: Some(expires), .. } if *expires <= now)
}

async fn settle(ledger: &impl Ledger, rows: &[&Row], event: &Event) -> Result<(), StepError> {
    for row in rows {
        apply(ledger, row, event).await?;
    }
    Ok(())
}

fn stale(
    object: &ObjectId,
    readable: Timestamp,
    distributions: &[Distribution],
    settings: &Settings,
    now: Timestamp,
) -> Staleness {
    let mut worst = Staleness::Impossible;
    for distribution in distributions {
        let ObjectId { bucket, key, .. } = object;
        worst = match (worst, staleness(distribution, bucket, key, &settings.directory_index, readable, now)) {
            (Staleness::Possible, _) | (_, Staleness::Possible) => Staleness::Possible,
            (Staleness::Until(a), Staleness::Until(b)) => Staleness::Until(a.max(b)),
            (Staleness::Until(until), Staleness::Impossible) | (Staleness::Impossible, Staleness::Until(until)) => {
                Staleness::Until(until)
            }
            (Staleness::Impossible, Staleness::Impossible) => Staleness::Impossible,
        };
    }
    worst
}

enum Shown {
    Nowhere,
    At(BTreeMap<String, BTreeSet<String>>),
    /// Only a wildcard would do, and it would cover this archived object.
    OverArchived(String),
}

async fn paths(
    object: &ObjectId,
    distributions: &[Distribution],
    archive: &impl ReadArchive,
    settings: &Settings,
    now: Timestamp,
) -> Result<Shown, StepError> {
    let mut all = BTreeMap::new();
    let mut covers = BTreeSet::new();
    for distribution in distributions {
        let mut shown = distribution.paths_of(&object.bucket, &object.key, &settings.directory_index);
        for (path, key) in &shown.shared {
            // An archived object under the directory's own name is served from the cache at best: its path is left alone.
            if is_archived(&object.bucket, key, archive, now).await? {
                shown.paths.remove(path);
            }
        }
        if !shown.paths.is_empty() {
            all.insert(distribution.id.clone(), shown.paths);
            covers.extend(shown.covers);
        }
    }
    for prefix in covers {
        if let Some(neighbour) = archived_under(&object.bucket, &prefix, archive, now).await? {
            return Ok(Shown::OverArchived(neighbour));
        }
    }
    Ok(if all.is_empty() { Shown::Nowhere } else { Shown::At(all) })
}

/// An object under the prefix that is archived and not readable, or might be. Never invalidating those is a promise, so
/// what cannot be known counts as archived.
async fn archived_under(
    bucket: &str,
    prefix: &str,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<String>, StepError> {
    let mut after = String::new();
    for _ in 0..PAGES_OF_NEIGHBOURS {
        let page = archive.list(bucket, prefix, &after).await?;
        for listed in &page.objects {
            let doubtful = match (listed.storage_class.as_str(), listed.restore) {
                ("GLACIER" | "DEEP_ARCHIVE", Some(ListedRestore::Copy(expires))) => expires <= now,
                // A listing does not tell Intelligent-Tiering's access tiers, and may leave a restore's status out.
                ("GLACIER" | "DEEP_ARCHIVE" | "INTELLIGENT_TIERING", _) => true,
                _ => false,
            };
            if doubtful && is_archived(bucket, &listed.key, archive, now).await? {
                return Ok(Some(listed.key.clone()));
            }
        }
        match page.objects.last() {
            Some(last) if page.more => after = last.key.clone(),
            _ => return Ok(None),
        }
    }
    Ok(Some(format!("those under {prefix:?}, of which there are too many to look at")))
}

/// Whether an object can be read now; `None` if S3 shows none.
async fn can_be_read(object: &ObjectId, archive: &impl ReadArchive, now: Timestamp) -> Result<Option<bool>, StepError> {
    Ok(match archive.head(object).await? {
        Facts::Found(head) => Some(matches!(head.reach(now), Ok(Reach::Readable | Reach::Copy { .. }))),
        Facts::Missing(_) => None,
    })
}

/// Whether a neighbour is archived. Nothing is shown under a key that is not there, so nothing is lost by touching it.
async fn is_archived(bucket: &str, key: &str, archive: &impl ReadArchive, now: Timestamp) -> Result<bool, StepError> {
    let neighbour = ObjectId { bucket: bucket.to_owned(), key: key.to_owned(), version: None };
    Ok(can_be_read(&neighbour, archive, now).await? == Some(false))
}

/// Takes a batch from wherever it stands to its end: claim, seal, call, settle.
async fn carry_out(
    batch: Batch,
    cdn: &impl CreateInvalidations,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Batch, StepError> {
    let mut batch = if batch.calls.is_some() { batch } else { seal(batch, ledger).await? };
    // Calls may be taken apart on the way, so there may be more at the end than at the start.
    let mut index = 0;
    while let Some(call) = batch.calls.as_ref().and_then(|calls| calls.get(index)).cloned() {
        if call.invalidation.is_some() || call.refused.is_some() {
            index += 1;
            continue;
        }
        let next = match cdn.invalidate(&call.distribution, &call.items, &call.caller_reference).await? {
            Invalidation::Accepted { id, completed } => {
                info!(distribution = %call.distribution, invalidation = %id, paths = call.items.len(), "invalidating {} paths of {}", call.items.len(), call.distribution);
                batch.with_call(index, |call| {
                    call.invalidation = Some(id);
                    call.completed = completed;
                })
            }
            Invalidation::Refused { .. } if call.items.len() > 1 => batch.with_call_split(index),
            Invalidation::Refused { says } => batch.with_call(index, |call| call.refused = Some(says)),
        };
        batch = match ledger.replace(&next).await? {
            Put::Done => next,
            Put::Lost(other) => other,
        };
    }
    if batch.is_completed() {
        settle_batch(&batch, ledger, now).await?;
    }
    Ok(batch)
}

/// Claims the batch's objects, and settles which it got.
///
/// The row of the first restore is the lock of an object: whoever claims it claims the others. A candidate whose rows are
/// not all waiting any more was taken by another batch, or cancelled.
async fn seal(batch: Batch, ledger: &impl Ledger) -> Result<Batch, StepError> {
    let claimed: BTreeSet<ObjectId> = stream::iter(&batch.candidates)
        .map(|candidate| async {
            let mut got = false;
            for (place, restore) in candidate.restores.iter().enumerate() {
                if place > 0 && !got {
                    break;
                }
                let held = claim(&candidate.object, restore, &batch.id, ledger).await?;
                got = if place == 0 { held } else { got };
            }
            Ok::<_, StepError>(got.then(|| candidate.object.clone()))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_filter_map(|object| async { Ok(object) })
        .try_collect()
        .await?;
    let sealed = batch.sealed(&claimed);
    Ok(match ledger.replace(&sealed).await? {
        Put::Done => sealed,
        Put::Lost(other) => other,
    })
}

/// Whether the batch holds the row now.
async fn claim(
    object: &ObjectId,
    restore: &RestoreId,
    batch: &BatchId,
    ledger: &impl Ledger,
) -> Result<bool, StepError> {
    let Some(row) = ledger.get::<Row>(&row_key(object, restore)).await? else { return Ok(false) };
    match row.state.claim() {
        Some(held) => Ok(held == batch),
        None if !matches!(row.state, State::Restored { .. }) => Ok(false),
        None => match apply(ledger, &row, &Event::Claimed { batch: batch.clone() }).await {
            Ok(row) => Ok(row.state.claim() == Some(batch)),
            // Another batch was faster between the read and the write.
            Err(StepError::Unexpected(_)) => Ok(false),
            Err(other) => Err(other),
        },
    }
}

/// Moves every row that waits for the batch on, in whichever restore: its paths are clean, or CloudFront refused them.
/// Answers those rows as they are now.
pub async fn settle_batch(batch: &Batch, ledger: &impl Ledger, now: Timestamp) -> Result<Vec<Row>, StepError> {
    stream::iter(&batch.candidates)
        .map(|candidate| async {
            let event = match batch.refusal(candidate) {
                None => Event::Published { at: now, how: How::Invalidated { batch: batch.id.clone() } },
                Some(says) => {
                    let message = format!("CloudFront refused to invalidate its path: {says}");
                    Event::Failed { at: now, code: FailureCode::RefusedByCloudFront, message }
                }
            };
            let mut moved = Vec::new();
            for row in ledger.rows_of(&candidate.object).await? {
                if row.state.claim() == Some(&batch.id) {
                    moved.push(apply(ledger, &row, &event).await?);
                }
            }
            Ok::<_, StepError>(moved)
        })
        .buffer_unordered(IN_FLIGHT)
        .try_concat()
        .await
}
