//! Publishing: the one piece of code behind both ways, the event's and the execution's.
//!
//! What batches do from then on, and why nobody pays twice: `batches.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    Batch, BatchId, Candidate, Covered, Distribution, Event, Facts, FailureCode, ObjectId, PublishedReason,
    Readability, Readiness, RestoreId, Row, Staleness, State, Status, folded, of_the_same_copy, only_tenants,
    shown_to_tenants, staleness,
};

use crate::archive::FACTS_VALID_FOR;
use crate::archive::current_versions::CurrentVersions;
use crate::ledger::restores::statuses;
use crate::ledger::rows::{apply_all, batch_key, hold, is_restored_by};
use crate::ports::{CreateInvalidations, IN_FLIGHT, Ledger, Put, ReadArchive, ReadDistributions};
use crate::publishing::batches::{Rows, carry_out, claim, release, was_invalidated};
use crate::publishing::folding;
use crate::publishing::neighbours::seconds_until_it_may_come;
use crate::publishing::path_safety::{
    Neighbour, Obstacle, SafePaths, cannot_be_invalidated, over_too_many, safe_paths, shown, why_not_shown,
};
use crate::{Settings, StepError};

/// An error that CloudFront forgets this soon is waited out rather than paid for, when `only_if_stale` is asked.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// What publishing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Invalidations that CloudFront has accepted, by this call or an earlier one.
    pub invalidations: u64,
    /// Paths in them.
    pub paths: u64,
    /// The batches that CloudFront was not done with.
    pub in_progress: BTreeSet<BatchId>,
}

/// Batches that hold claims, and the objects on whose rows they were found.
type Begun = BTreeMap<BatchId, BTreeSet<ObjectId>>;

/// What is to be published.
#[derive(Debug, Default)]
pub struct PublishRequest<'a> {
    /// Objects that can be read.
    pub objects: Readable,
    /// What batches have claimed already.
    pub begun: Begun,
    /// Who found out.
    pub trigger: Trigger<'a>,
}

/// The two ways to find out that objects can be read.
#[derive(Debug, Default)]
pub enum Trigger<'a> {
    /// An execution looked.
    #[default]
    Look,
    /// S3's events told, and the function that hears them remembers this.
    Events(&'a mut CurrentVersions),
}

/// A row, and what S3 said of its object that the ledger does not know yet. It is written down with what comes of it, so
/// that an object that is published at once costs one write less.
#[derive(Debug, Clone)]
pub struct RowWithReadiness {
    /// The row as the ledger had it a moment ago: who writes over it finds out if it changed.
    pub row: Row,
    /// That it can be read, if the row does not say so.
    pub readiness: Option<Readiness>,
}

impl RowWithReadiness {
    /// The row with the news.
    pub fn now(&self) -> Result<Row, StepError> {
        let Some(readiness) = self.readiness else { return Ok(self.row.clone()) };
        Ok(self.row.after(&readiness.into())?.unwrap_or_else(|| self.row.clone()))
    }

    /// Writes the news down, if there are any, and what came of them.
    pub async fn note(&self, ledger: &impl Ledger, event: Option<&Event>) -> Result<Row, StepError> {
        let events: Vec<Event> = self.readiness.map(Event::from).into_iter().chain(event.cloned()).collect();
        apply_all(ledger, &self.row, &events).await
    }
}

/// Objects that can be read, with all their rows in whichever restores.
pub type Readable = BTreeMap<ObjectId, Vec<RowWithReadiness>>;

/// Publishes objects that can be read, for every restore that waits for them, and finishes batches that were begun.
///
/// Doing it twice is fine. Fails with the first trouble that time can mend, after the ledger has kept what was done; what
/// was only heard may not be in it then.
pub async fn publish(
    wanted: PublishRequest<'_>,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Published, StepError> {
    let mut published = Published::default();
    publish_into(&mut published, wanted, cdn, archive, ledger, settings, now).await?;
    Ok(published)
}

/// Publishes as [`publish`] does. `published` has what was done also if it fails.
pub async fn publish_into(
    published: &mut Published,
    wanted: PublishRequest<'_>,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<(), StepError> {
    let PublishRequest { objects, mut begun, trigger } = wanted;
    let (distributions, of_tenants) = distributions(&objects, cdn, settings).await?;
    let (is_look, said) = match trigger {
        // A look may publish thousands that became readable hours ago; what lies close together costs little to look at again.
        Trigger::Look => {
            let shown = shown(objects.keys(), archive, now).await?;
            (true, RecentFacts { is_look: true, shown, ..RecentFacts::default() })
        }
        Trigger::Events(newest) => {
            let versions = objects.iter().filter(|(object, rows)| may_have_a_newer_version(object, rows, now));
            let newest = newest.of(versions.map(|(object, _)| object), archive, now).await?;
            (false, RecentFacts { newest, ..RecentFacts::default() })
        }
    };
    let prepared: Vec<Prepared> = stream::iter(objects)
        .map(|(object, rows)| prepare(object, rows, &said, &distributions, &of_tenants, archive, ledger, settings, now))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let (mut candidates, mut rows) = (BTreeMap::new(), Rows::new());
    for prepared in prepared {
        for (batch, objects) in prepared.begun {
            begun.entry(batch).or_default().extend(objects);
        }
        if let Some((candidate, known)) = prepared.candidate {
            rows.insert(candidate.object.clone(), known);
            candidates.insert(candidate.object.clone(), candidate);
        }
    }
    for (id, objects) in begun {
        // Claims are written after their batch, so the batch is there.
        let Some(batch) = ledger.get::<Batch>(&batch_key(&id)).await? else { continue };
        let batch = carry_out(batch, &Rows::new(), cdn, archive, ledger, settings, now).await?;
        // Who sealed it without them died before it gave their claims back. The next look finds them free.
        release(&batch, &objects, ledger).await?;
        // Who made it died before it had claimed all of its rows: now it has.
        for begun in &batch.candidates {
            if candidates.get(&begun.object).is_some_and(|candidate: &Candidate| begun.shares_a_row_with(candidate)) {
                candidates.remove(&begun.object);
            }
        }
        published.add(&batch);
    }
    let candidates: Vec<Candidate> = candidates.into_values().collect();
    // Who allows least decides for all.
    let max_over = rows.values().flatten().map(|row| row.publish.max_over).fold(u32::MAX, u32::min);
    // Events come in handfuls, while most of what lies beside is still archived: listing it would cost more than a wildcard
    // could save. Looks come when much is readable.
    let wildcards = match is_look {
        true => folding::wildcards(&candidates, &distributions, max_over, archive, now).await?,
        false => Vec::new(),
    };
    for batch in folded(candidates, wildcards, now) {
        let batch = match ledger.insert(&batch).await? {
            Put::Done => batch,
            Put::Lost(existing) => existing,
        };
        published.add(&carry_out(batch, &rows, cdn, archive, ledger, settings, now).await?);
    }
    Ok(())
}

impl Published {
    fn add(&mut self, batch: &Batch) {
        for call in batch.calls.iter().flatten().filter(|call| call.invalidation.is_some()) {
            self.invalidations += 1;
            self.paths += call.items.len() as u64;
        }
        if !batch.is_completed() {
            self.in_progress.insert(batch.id.clone());
        }
    }
}

/// Distributions by the bucket that they show.
type ByBucket = BTreeMap<String, Vec<Distribution>>;

/// The distributions that are invalidated, and the multi-tenant ones.
async fn distributions(
    objects: &Readable,
    cdn: &impl ReadDistributions,
    settings: &Settings,
) -> Result<(ByBucket, ByBucket), StepError> {
    let buckets: BTreeSet<&str> = objects.keys().map(|object| object.bucket.as_str()).collect();
    let (mut shown, mut of_tenants) = (BTreeMap::new(), BTreeMap::new());
    for bucket in buckets {
        let read = crate::publishing::distributions::read(bucket, cdn, settings).await?;
        shown.insert(bucket.to_owned(), read.shown);
        of_tenants.insert(bucket.to_owned(), read.of_tenants);
    }
    Ok((shown, of_tenants))
}

/// The event of an object that nobody but tenants of these multi-tenant distributions gets, or may get; else `None`.
///
/// Nothing is known of what their caches hold, so it is never said to be published.
pub fn for_tenants_only(
    object: &ObjectId,
    distributions: &[Distribution],
    of_tenants: &[Distribution],
    now: Timestamp,
) -> Option<Event> {
    let ObjectId { bucket, key, .. } = object;
    let tenants = shown_to_tenants(of_tenants, bucket, key);
    let is_shown = |one: &Distribution| !one.paths_of(bucket, key).paths.is_empty();
    if tenants.is_empty() || distributions.iter().any(is_shown) {
        return None;
    }
    Some(Event::Failed { at: now, code: FailureCode::ShownByTenantsOnly, message: only_tenants(&tenants) })
}

/// What S3 said just now of many objects at once.
#[derive(Default)]
struct RecentFacts {
    /// Whether an execution looks.
    is_look: bool,
    /// Those that viewers get.
    shown: BTreeSet<ObjectId>,
    /// Those that are the newest versions of their keys.
    newest: BTreeSet<ObjectId>,
}

/// Whether a version waits that S3 called the newest too long ago.
fn may_have_a_newer_version(object: &ObjectId, rows: &[RowWithReadiness], now: Timestamp) -> bool {
    let is_old = |row: &Row| {
        row.current && !row.is_final() && row.state.claim().is_none() && row.planned_at + FACTS_VALID_FOR <= now
    };
    object.version.is_some() && rows.iter().any(|heard| is_old(&heard.row))
}

/// What is to be done for one object.
#[derive(Default)]
struct Prepared {
    /// Batches that hold a claim on it already.
    begun: Begun,
    /// Its place in a new batch, and its rows that wait.
    candidate: Option<(Candidate, Vec<Row>)>,
}

/// Settles what needs no invalidation, and prepares the rest.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is known already")]
async fn prepare(
    object: ObjectId,
    heard: Vec<RowWithReadiness>,
    said: &RecentFacts,
    distributions: &ByBucket,
    of_tenants: &ByBucket,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Prepared, StepError> {
    let rows = heard.iter().map(RowWithReadiness::now).collect::<Result<Vec<Row>, _>>()?;
    let empty = Vec::new();
    let distributions = distributions.get(&object.bucket).unwrap_or(&empty);
    let of_tenants = of_tenants.get(&object.bucket).unwrap_or(&empty);
    let for_tenants_only = for_tenants_only(&object, distributions, of_tenants, now);
    let mut prepared = Prepared::default();
    let mut waiting: Vec<(&Row, &RowWithReadiness)> = Vec::new();
    let mut begin = |batch: &BatchId| prepared.begun.entry(batch.clone()).or_default().insert(object.clone());
    for (row, heard) in rows.iter().zip(&heard).filter(|(row, _)| !row.publish.never()) {
        let State::Restored { at, claim: held, .. } = &row.state else { continue };
        if let Some(batch) = held {
            begin(batch);
            continue;
        }
        let published = |how| Some(Event::Published { at: now, how });
        let others = || of_the_same_copy(row, &rows).into_iter();
        if others().any(was_invalidated) {
            heard.note(ledger, published(PublishedReason::AlreadyPublished).as_ref()).await?;
        } else if let Some(batch) = others().find_map(|other| other.state.claim()) {
            // Another restore's batch has this copy already: this row rides along. If yet another was faster, the next look
            // finds out which.
            claim(&heard.row, heard.readiness, batch, ledger).await?;
            begin(batch);
        } else if !row.current {
            heard.note(ledger, published(PublishedReason::NotCurrent).as_ref()).await?;
        } else if let Some(event) = &for_tenants_only {
            heard.note(ledger, Some(event)).await?;
        } else if row.publish.only_if_stale {
            match stale(&object, *at, distributions, now) {
                Staleness::Impossible => {
                    heard.note(ledger, published(PublishedReason::NothingStale).as_ref()).await?;
                }
                Staleness::Until(gone) if gone <= now + WORTH_WAITING => {
                    heard.note(ledger, None).await?;
                }
                Staleness::Until(_) | Staleness::Possible => waiting.push((row, heard)),
            }
        } else {
            waiting.push((row, heard));
        }
    }
    if waiting.is_empty() {
        return Ok(prepared);
    }
    let hidden = match said.shown.contains(&object) {
        true => None,
        false => no_longer_shown(&object, &waiting, said.newest.contains(&object), archive, now).await?,
    };
    let event = match hidden {
        Some(event) => event,
        None => match paths(&object, &waiting, distributions, archive, ledger, settings, now).await? {
            Shown::Nowhere => Event::Published { at: now, how: PublishedReason::NoPath },
            Shown::OverOthers(Obstacle { why, neighbour }) => {
                if let Some(neighbour) = neighbour {
                    waiting = who_cannot_wait(waiting, &neighbour, said.is_look, archive, ledger, now).await?;
                }
                cannot_be_invalidated(&why, now)
            }
            Shown::At { paths, covers, namesakes } => {
                let rows: Vec<Row> = waiting.iter().map(|(_, heard)| heard.row.clone()).collect();
                let candidate = Candidate {
                    object,
                    restores: rows.iter().map(|row| row.restore.clone()).collect(),
                    revisions: rows.iter().map(|row| row.revision).sum(),
                    readiness: waiting.iter().find_map(|(_, heard)| heard.readiness),
                    paths,
                    covers,
                    namesakes,
                };
                prepared.candidate = Some((candidate, rows));
                return Ok(prepared);
            }
        },
    };
    for (_, heard) in waiting {
        heard.note(ledger, Some(&event)).await?;
    }
    Ok(prepared)
}

/// Lets the rows of an object wait for an archived neighbour if it is on its way. Answers the others.
///
/// Only an execution makes an object wait, because only executions try again: whatever an event tells of is tried at the
/// next look. A restore that has ended looks no more; one that has failed still may.
async fn who_cannot_wait<'a>(
    waiting: Vec<(&'a Row, &'a RowWithReadiness)>,
    neighbour: &Neighbour,
    is_look: bool,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Vec<(&'a Row, &'a RowWithReadiness)>, StepError> {
    let seconds = match is_look {
        true => match seconds_until_it_may_come(neighbour, archive, ledger, now).await? {
            None => return Ok(waiting),
            seconds => seconds,
        },
        false => None,
    };
    let statuses = statuses(waiting.iter().map(|(row, _)| &row.restore), ledger).await?;
    let mut others = Vec::new();
    for (row, heard) in waiting {
        let is_tried_again = match statuses.get(&row.restore) {
            Some(Status::Running) => true,
            Some(Status::Failed) => is_look,
            Some(Status::Succeeded | Status::PartlyFailed | Status::Cancelled) | None => false,
        };
        let waits = match seconds {
            _ if !is_tried_again => false,
            Some(seconds) => match hold(ledger, &heard.row, heard.readiness, seconds, now).await? {
                true => true,
                // Another restore may have extended the copy, of which this row does not know.
                false => match copy(&heard.row.object, archive, now).await? {
                    Some(readiness) => hold(ledger, &heard.row, Some(readiness), seconds, now).await?,
                    None => false,
                },
            },
            None => {
                heard.note(ledger, None).await?;
                true
            }
        };
        if !waits {
            others.push((row, heard));
        }
    }
    Ok(others)
}

/// What S3 says now of an object's copy; `None` if it has none.
async fn copy(object: &ObjectId, archive: &impl ReadArchive, now: Timestamp) -> Result<Option<Readiness>, StepError> {
    let Facts::Found(head) = archive.head(object).await? else { return Ok(None) };
    Ok(match head.readability(now) {
        Ok(Readability::Copy { expires, .. }) => Some(Readiness { at: now, expires: Some(expires) }),
        Ok(Readability::Readable | Readability::Archived(_) | Readability::Restoring(_)) | Err(_) => None,
    })
}

/// Why the paths of a readable object must be left alone, if they must.
///
/// It may have waited longer than its copy lives, or others changed it meanwhile. Archived again, it must not be
/// invalidated: what an edge still has of it is all that viewers get. S3 is asked unless it said so just now; that a version
/// is the newest, it said when the restore was planned, and `is_newest` if it has said so since.
async fn no_longer_shown(
    object: &ObjectId,
    waiting: &[(&Row, &RowWithReadiness)],
    is_newest: bool,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Event>, StepError> {
    let is_fresh = |(row, _): &(&Row, &RowWithReadiness)| match &row.state {
        State::Restored { at, expires, .. } => {
            let since = if object.version.is_some() && !is_newest { row.planned_at } else { *at };
            now < since + FACTS_VALID_FOR && expires.is_none_or(|expires| now < expires)
        }
        State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => false,
    };
    if waiting.iter().all(is_fresh) {
        return Ok(None);
    }
    let newest = archive.head(&ObjectId { version: None, ..object.clone() }).await?;
    Ok(why_not_shown(object, &newest, now))
}

fn stale(object: &ObjectId, readable: Timestamp, distributions: &[Distribution], now: Timestamp) -> Staleness {
    let mut worst = Staleness::Impossible;
    for distribution in distributions {
        let ObjectId { bucket, key, .. } = object;
        worst = match (worst, staleness(distribution, bucket, key, readable, now)) {
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
    At {
        paths: BTreeMap<String, BTreeSet<String>>,
        covers: BTreeSet<Covered>,
        namesakes: BTreeSet<(String, String)>,
    },
    /// A path that viewers use may not be invalidated, because it would invalidate other objects, too.
    OverOthers(Obstacle),
}

/// Neighbours under a wildcard for a `~` of which the ledger is asked whether the restore brings them, too.
const NEIGHBOURS_ASKED: usize = 1_000;

async fn paths(
    object: &ObjectId,
    waiting: &[(&Row, &RowWithReadiness)],
    distributions: &[Distribution],
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Shown, StepError> {
    let SafePaths { paths, covers, namesakes, left_alone: _, obstacle, covered } =
        safe_paths(object, distributions, archive, settings, now).await?;
    if let Some(obstacle) = obstacle {
        return Ok(Shown::OverOthers(obstacle));
    }
    if paths.is_empty() {
        return Ok(Shown::Nowhere);
    }
    // Who allows least decides for all.
    let max_over = waiting.iter().map(|(row, _)| row.publish.max_over).min().unwrap_or_default();
    let over = others_among(covered, object, waiting, max_over, ledger).await?;
    if over > max_over as usize {
        return Ok(Shown::OverOthers(Obstacle { why: over_too_many(over, max_over), neighbour: None }));
    }
    Ok(Shown::At { paths, covers, namesakes })
}

/// How many of these neighbours are brought by none of the restores that wait for the object, and by no other restore since
/// the object can be read: it may have waited for them. Past a thousand of them nobody is asked: they count.
async fn others_among(
    neighbours: BTreeSet<(String, String)>,
    object: &ObjectId,
    waiting: &[(&Row, &RowWithReadiness)],
    max_over: u32,
    ledger: &impl Ledger,
) -> Result<usize, StepError> {
    let is_object = |(bucket, key): &(String, String)| *bucket == object.bucket && *key == object.key;
    let neighbours: Vec<(String, String)> = neighbours.into_iter().filter(|one| !is_object(one)).collect();
    if neighbours.len() <= max_over as usize || neighbours.len() > NEIGHBOURS_ASKED {
        return Ok(neighbours.len());
    }
    let restores: BTreeSet<RestoreId> = waiting.iter().map(|(row, _)| row.restore.clone()).collect();
    let readable = |(row, _): &(&Row, &RowWithReadiness)| match &row.state {
        State::Restored { at, .. } => Some(*at),
        State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    };
    let since = waiting.iter().filter_map(readable).min().unwrap_or(Timestamp::MAX);
    let brought: Vec<bool> = stream::iter(&neighbours)
        .map(|(bucket, key)| is_restored_by(bucket, key, &restores, since, ledger))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    Ok(brought.into_iter().filter(|brought| !brought).count())
}

#[cfg(test)]
mod tests;
