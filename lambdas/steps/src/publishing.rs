//! Publishing: the one piece of code behind both ways, the event's and the execution's.
//!
//! A batch is written to the ledger, then claims its rows, then is sealed, and only then is CloudFront called. Whoever
//! finds a claim on a row finishes that batch instead of making another; so a crash, a retry, or the two ways meeting end
//! in the same call with the same reference.
//!
//! Two restores that learn at once that an object can be read may make two batches of it, and one of them may not have
//! seen the other's row. So a batch claims the rows of an object in the order of their restores, and stops at the first
//! that another batch has: the object is that one's, and the claims it made are given back. Of batches that meet, the one
//! that gets furthest meets nobody, so one of them always has the object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    Batch, BatchId, Call, Candidate, Distribution, Event, Facts, FailureCode, How, Missing, News, ObjectId, Reach,
    RestoreId, Row, Staleness, State, folded, of_the_same_copy, staleness,
};
use tracing::info;

use crate::folding;
use crate::ledger::{apply, apply_all, batch_key, row_key};
use crate::ports::{
    CreateInvalidations, Invalidation, Ledger, ListedRestore, Put, ReadArchive, ReadDistributions, ReadInvalidations,
};
use crate::{IN_FLIGHT, Settings, StepError};

/// An error that CloudFront forgets this soon is waited out rather than paid for, when `only_if_stale` is asked.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// What S3 said of an object is believed for so long when its paths are invalidated. Somebody may archive it in between,
/// so it is little; a look, and the call that follows from it, are seconds apart.
pub const NEWS: Duration = Duration::from_secs(10 * 60);

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

/// Batches that hold claims, and the objects on whose rows they were found.
type Begun = BTreeMap<BatchId, BTreeSet<ObjectId>>;

/// What is to be published.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// Objects that can be read.
    pub objects: Readable,
    /// What batches have claimed already.
    pub begun: Begun,
    /// The restore that looks, if one does.
    pub looks: Option<&'a RestoreId>,
    /// How many objects that can be read and are not among these wildcards may cover, if no restore allows for fewer.
    pub max_over: u32,
}

/// A row, and what S3 said of its object that the ledger does not know yet. It is written down with what comes of it, so
/// that an object that is published at once costs one write less.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The row as the ledger had it a moment ago: who writes over it finds out if it changed.
    pub row: Row,
    /// That it can be read, if the row does not say so.
    pub news: Option<News>,
}

impl Heard {
    /// The row with the news.
    pub fn now(&self) -> Result<Row, StepError> {
        let Some(news) = self.news else { return Ok(self.row.clone()) };
        Ok(self.row.after(&news.into())?.unwrap_or_else(|| self.row.clone()))
    }

    /// Writes the news down, if there are any, and what came of them.
    pub async fn note(&self, ledger: &impl Ledger, event: Option<&Event>) -> Result<Row, StepError> {
        let events: Vec<Event> = self.news.map(Event::from).into_iter().chain(event.cloned()).collect();
        apply_all(ledger, &self.row, &events).await
    }
}

/// Objects that can be read, with all their rows if the caller has read them, and has heard of a row that it can be read;
/// else with none.
pub type Readable = BTreeMap<ObjectId, Vec<Heard>>;

/// Publishes objects that can be read, for every restore that waits for them, and finishes batches that were begun.
///
/// Doing it twice is fine. Fails with the first trouble that time can mend, after the ledger has kept what was done; what
/// was only heard may not be in it then.
pub async fn publish(
    wanted: Wanted<'_>,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Published, StepError> {
    let Wanted { objects, mut begun, looks, max_over } = wanted;
    let distributions = distributions(&objects, cdn, settings).await?;
    let prepared: Vec<Prepared> = stream::iter(objects)
        .map(|(object, rows)| prepare(object, rows, &distributions, archive, ledger, settings, now))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let (mut candidates, mut rows) = (Vec::new(), Rows::new());
    for prepared in prepared {
        for (batch, objects) in prepared.begun {
            begun.entry(batch).or_default().extend(objects);
        }
        if let Some((candidate, known)) = prepared.candidate {
            rows.insert(candidate.object.clone(), known);
            candidates.push(candidate);
        }
    }
    let mut published = Published::default();
    for (id, objects) in begun {
        // Claims are written after their batch, so the batch is there.
        let Some(batch) = ledger.get::<Batch>(&batch_key(&id)).await? else { continue };
        let batch = carry_out(batch, &Rows::new(), looks, cdn, archive, ledger, now).await?;
        // Who sealed it without them died before it gave their claims back. The next look finds them free.
        release(&batch, &objects, ledger).await?;
        // Who made it died before it had claimed all of its rows: now it has.
        candidates.retain(|candidate| !batch.candidates.iter().any(|begun| begun.shares_a_row_with(candidate)));
        published.add(&batch);
    }
    let max_over = rows.values().flatten().map(|row| row.publish.max_over).fold(max_over, u32::min);
    // Events come in handfuls, while most of what lies beside is still archived: listing it would cost more than a wildcard
    // could save. Looks come when much is readable.
    let wildcards = match looks {
        Some(_) => folding::wildcards(&candidates, &distributions, max_over, archive, now).await?,
        None => Vec::new(),
    };
    for batch in folded(candidates, wildcards, now) {
        let batch = match ledger.insert(&batch).await? {
            Put::Done => batch,
            Put::Lost(existing) => existing,
        };
        published.add(&carry_out(batch, &rows, looks, cdn, archive, ledger, now).await?);
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
    objects: &Readable,
    cdn: &impl ReadDistributions,
    settings: &Settings,
) -> Result<BTreeMap<String, Vec<Distribution>>, StepError> {
    let buckets: BTreeSet<&str> = objects.keys().map(|object| object.bucket.as_str()).collect();
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
    begun: Begun,
    /// Its place in a new batch, and its rows that wait.
    candidate: Option<(Candidate, Vec<Row>)>,
}

/// The rows of objects that wait, as the ledger had them a moment ago.
type Rows = BTreeMap<ObjectId, Vec<Row>>;

/// Settles what needs no invalidation, and prepares the rest.
async fn prepare(
    object: ObjectId,
    mut heard: Vec<Heard>,
    distributions: &BTreeMap<String, Vec<Distribution>>,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Prepared, StepError> {
    if heard.is_empty() {
        heard = ledger.rows_of(&object).await?.into_iter().map(|row| Heard { row, news: None }).collect();
    }
    let rows = heard.iter().map(Heard::now).collect::<Result<Vec<Row>, _>>()?;
    let empty = Vec::new();
    let distributions = distributions.get(&object.bucket).unwrap_or(&empty);
    let mut prepared = Prepared::default();
    let mut waiting: Vec<(&Row, &Heard)> = Vec::new();
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
            heard.note(ledger, published(How::AlreadyPublished).as_ref()).await?;
        } else if let Some(batch) = others().find_map(|other| other.state.claim()) {
            // Another restore's batch has this copy already: this row rides along. If yet another was faster, the next look
            // finds out which.
            claim(&heard.row, heard.news, batch, ledger).await?;
            begin(batch);
        } else if !row.current {
            heard.note(ledger, published(How::NotCurrent).as_ref()).await?;
        } else if row.publish.only_if_stale {
            match stale(&object, *at, distributions, settings, now) {
                Staleness::Impossible => {
                    heard.note(ledger, published(How::NothingStale).as_ref()).await?;
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
    let event = match no_longer_shown(&object, &waiting, archive, now).await? {
        Some(event) => event,
        None => match paths(&object, distributions, archive, settings, now).await? {
            Shown::Nowhere => Event::Published { at: now, how: How::NoPath },
            Shown::OverArchived(neighbour) => {
                let message = format!(
                    "it is readable, but CloudFront cannot invalidate a path with ~, and the wildcard that would cover it also covers archived objects such as {neighbour}, which would then answer 403"
                );
                Event::Failed { at: now, code: FailureCode::PathCannotBeInvalidated, message }
            }
            Shown::At(paths) => {
                let rows: Vec<Row> = waiting.iter().map(|(_, heard)| heard.row.clone()).collect();
                let candidate = Candidate {
                    object,
                    restores: rows.iter().map(|row| row.restore.clone()).collect(),
                    revisions: rows.iter().map(|row| row.revision).sum(),
                    news: waiting.iter().find_map(|(_, heard)| heard.news),
                    paths,
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

/// Whether a row's object is visible because its paths were invalidated. Another restore may have been content without.
fn was_invalidated(row: &Row) -> bool {
    match &row.state {
        State::Published { how, .. } => match how {
            How::Invalidated { .. } | How::AlreadyPublished => true,
            How::NothingStale | How::NoPath | How::NotCurrent => false,
        },
        State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Restored { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => false,
    }
}

/// Why the paths of a readable object must be left alone, if they must.
///
/// It may have waited longer than its copy lives, or others changed it meanwhile. Archived again, it must not be
/// invalidated: what an edge still has of it is all that viewers get. S3 is asked unless it said so just now; of a version,
/// it only ever said that it was the newest when the restore was planned.
async fn no_longer_shown(
    object: &ObjectId,
    waiting: &[(&Row, &Heard)],
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Event>, StepError> {
    let is_fresh = |(row, _): &(&Row, &Heard)| match &row.state {
        State::Restored { at, expires, .. } => {
            let since = if object.version.is_some() { row.planned_at } else { *at };
            now < since + NEWS && expires.is_none_or(|expires| now < expires)
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

/// Why what S3 now has under the key of an object that was readable must not be invalidated on its behalf.
fn why_not_shown(object: &ObjectId, newest: &Facts, now: Timestamp) -> Option<Event> {
    let fail = |code, message: &str| Some(Event::Failed { at: now, code, message: message.to_owned() });
    let hidden = Some(Event::Published { at: now, how: How::NotCurrent });
    match newest {
        Facts::Found(head) if object.version.is_some() && head.version != object.version => hidden,
        Facts::Found(head) => match head.reach(now) {
            Ok(Reach::Readable | Reach::Copy { .. }) => None,
            Ok(Reach::Archived(_) | Reach::Restoring(_)) => fail(
                FailureCode::NotBeingRestored,
                "its copy expired before it was published, or it was archived again",
            ),
            Err(unreadable) => fail(FailureCode::Unreadable, &unreadable.to_string()),
        },
        Facts::Missing(_) if object.version.is_some() => hidden,
        Facts::Missing(Missing::Denied) => {
            fail(FailureCode::AccessDenied, "S3 answers 403: thaw may no longer read it, or it is gone")
        }
        Facts::Missing(_) => fail(FailureCode::NoSuchKey, "it was deleted before it was published"),
    }
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
pub async fn can_be_read(
    object: &ObjectId,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<bool>, StepError> {
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
///
/// `rows` are those that are known to wait; others are read.
async fn carry_out(
    batch: Batch,
    rows: &Rows,
    looks: Option<&RestoreId>,
    cdn: &impl CreateInvalidations,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Batch, StepError> {
    let batch = if batch.calls.is_some() { batch } else { seal(batch, rows, ledger).await? };
    let mut batch = if batch.is_open() && batch.created_at + NEWS <= now {
        without_what_is_gone(batch, archive, ledger, now).await?
    } else {
        batch
    };
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
            Invalidation::Refused { .. } if may_be_split(&batch, &call) => batch.with_call_split(index),
            Invalidation::Refused { says } => batch.with_call(index, |call| call.refused = Some(says)),
        };
        batch = match ledger.replace(&next).await? {
            Put::Done => next,
            Put::Lost(other) => other,
        };
    }
    if batch.is_completed() {
        settle_batch(&batch, looks, ledger, now).await?;
    }
    Ok(batch)
}

/// Whether a refused call has more than one path in it, or stands for more.
fn may_be_split(batch: &Batch, call: &Call) -> bool {
    match call.items.as_slice() {
        [one] => batch.is_folded(&call.distribution, one),
        _ => true,
    }
}

/// CloudFront would not take the batch for a while: what can no longer be shown leaves it, and wildcards that would touch
/// something archived by now are not asked for.
///
/// A call whose answer got lost may have been accepted, and then its other paths are paid again under their new reference.
/// That is rare and costs cents; an archived object that nobody can see any more costs a visitor.
async fn without_what_is_gone(
    batch: Batch,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Batch, StepError> {
    let gone: BTreeMap<ObjectId, Event> = stream::iter(&batch.candidates)
        .map(|candidate| async {
            let newest = archive.head(&ObjectId { version: None, ..candidate.object.clone() }).await?;
            Ok::<_, StepError>((candidate.object.clone(), why_not_shown(&candidate.object, &newest, now)))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_filter_map(|(object, why)| async move { Ok(why.map(|why| (object, why))) })
        .try_collect()
        .await?;
    let mut unfolded = BTreeSet::new();
    for wildcard in &batch.wildcards {
        if archived_under(&wildcard.bucket, &wildcard.prefix, archive, now).await?.is_some() {
            unfolded.insert(wildcard.clone());
        }
    }
    if gone.is_empty() && unfolded.is_empty() {
        return Ok(batch);
    }
    for (object, why) in &gone {
        for row in ledger.rows_of(object).await?.iter().filter(|row| row.state.claim() == Some(&batch.id)) {
            apply(ledger, row, why).await?;
        }
    }
    let next = batch.without(&gone.into_keys().collect(), &unfolded);
    Ok(match ledger.replace(&next).await? {
        Put::Done => next,
        Put::Lost(other) => other,
    })
}

/// Claims the batch's objects, and settles which it got. What it claimed of the others it gives back.
async fn seal(batch: Batch, rows: &Rows, ledger: &impl Ledger) -> Result<Batch, StepError> {
    let claims: Vec<(ObjectId, Got)> = stream::iter(&batch.candidates)
        .map(|candidate| async {
            let (mut got, mut is_gone) = (false, false);
            for restore in &candidate.restores {
                let known =
                    rows.get(&candidate.object).and_then(|rows| rows.iter().find(|row| row.restore == *restore));
                let row = match known {
                    Some(row) => row.clone(),
                    None => match ledger.get::<Row>(&row_key(&candidate.object, restore)).await? {
                        Some(row) => row,
                        None => continue,
                    },
                };
                match claim(&row, candidate.news, &batch.id, ledger).await? {
                    Claim::Held => got = true,
                    Claim::Settled => {}
                    Claim::Failed => is_gone = true,
                    Claim::Taken => return Ok((candidate.object.clone(), Got::Nothing)),
                }
            }
            let got = match (got, is_gone) {
                (true, _) => Got::It,
                (false, true) => Got::Gone,
                (false, false) => Got::Nothing,
            };
            Ok::<_, StepError>((candidate.object.clone(), got))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let those = |what: Got| claims.iter().filter(move |(_, got)| *got == what).map(|(object, _)| object.clone());
    let next = batch.not_over(&those(Got::Gone).collect()).sealed(&those(Got::It).collect());
    let sealed = match ledger.replace(&next).await? {
        Put::Done => next,
        Put::Lost(other) => other,
    };
    let wanted = batch.candidates.into_iter().map(|candidate| candidate.object).collect();
    release(&sealed, &wanted, ledger).await?;
    Ok(sealed)
}

/// Gives back the batch's claims on those of the objects that it was sealed without.
async fn release(batch: &Batch, objects: &BTreeSet<ObjectId>, ledger: &impl Ledger) -> Result<(), StepError> {
    for object in objects.iter().filter(|object| !batch.has(object)) {
        for row in ledger.rows_of(object).await?.iter().filter(|row| row.state.claim() == Some(&batch.id)) {
            apply(ledger, row, &Event::Released { batch: batch.id.clone() }).await?;
        }
    }
    Ok(())
}

/// What a batch got of an object.
#[derive(PartialEq, Eq)]
enum Got {
    /// The object.
    It,
    /// Nothing: it is another's, or nobody wants it any more. It can be read all the same.
    Nothing,
    /// Nothing: it failed, and may be archived.
    Gone,
}

/// What came of a claim on a row.
enum Claim {
    /// The batch holds it.
    Held,
    /// Another batch holds it, or has published it.
    Taken,
    /// Nothing is left to publish for it.
    Settled,
    /// It failed.
    Failed,
}

/// Claims a row for a batch, if it waits: that it can be read is written down in the same change.
async fn claim(row: &Row, news: Option<News>, batch: &BatchId, ledger: &impl Ledger) -> Result<Claim, StepError> {
    let mut row = row.clone();
    let claimed = Event::Claimed { batch: batch.clone() };
    // Each loss means that somebody else moved the row on, and a life has few steps.
    for _ in 0..16 {
        let next = match (&row.state, news) {
            (State::Restored { claim: Some(held), .. }, _) if held == batch => return Ok(Claim::Held),
            (State::Restored { claim: Some(_), .. }, _) => return Ok(Claim::Taken),
            (State::Restored { claim: None, .. }, _) => row.after(&claimed)?,
            (State::Planned | State::Restoring { .. } | State::Failed { .. }, Some(news)) => {
                row.after_all(&[news.into(), claimed.clone()])?
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

/// The batch after CloudFront was asked which of its invalidations took effect.
pub async fn confirmed(
    mut batch: Batch,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
) -> Result<Batch, StepError> {
    for index in 0..batch.calls.as_ref().map_or(0, Vec::len) {
        let Some(call) = batch.calls.as_ref().and_then(|calls| calls.get(index)) else { break };
        let Some(invalidation) = call.invalidation.clone().filter(|_| !call.completed) else { continue };
        if !cdn.completed(&call.distribution, &invalidation).await? {
            continue;
        }
        let next = batch.with_call(index, |call| call.completed = true);
        batch = match ledger.replace(&next).await? {
            Put::Done => next,
            Put::Lost(other) => other,
        };
    }
    Ok(batch)
}

/// Moves every row that waits for the batch on, in whichever restore: its paths are clean, or CloudFront refused them.
/// Answers those rows as they are now.
///
/// The rows of the restore that looks come last. Whoever dies in between finds the batch again by them.
pub async fn settle_batch(
    batch: &Batch,
    looks: Option<&RestoreId>,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Vec<Row>, StepError> {
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
            let mut rows = ledger.rows_of(&candidate.object).await?;
            rows.retain(|row| row.state.claim() == Some(&batch.id));
            rows.sort_by_key(|row| looks == Some(&row.restore));
            for row in rows {
                moved.push(apply(ledger, &row, &event).await?);
            }
            Ok::<_, StepError>(moved)
        })
        .buffer_unordered(IN_FLIGHT)
        .try_concat()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{Stack, now, restored, row};
    use crate::ports::{Listed, Page, Piece, PortError};
    use std::cell::RefCell;
    use thaw_core::S3Uri;
    use thaw_core::{Behaviour, ErrorRule, Head, Origin, batches};

    const SECOND: Duration = Duration::from_secs(1);

    /// A distribution that shows the keys under a prefix, and keeps errors for so many seconds.
    fn showing(prefix: &str, error_ttl: u64) -> Distribution {
        let domain = "archive.s3.amazonaws.com".to_owned();
        let behaviour = Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), has_origin_function: false };
        Distribution {
            origins: vec![Origin { id: "s3".to_owned(), domain, path: prefix.to_owned() }],
            behaviours: vec![behaviour],
            errors: vec![ErrorRule { code: 403, min_ttl: error_ttl }],
            ..Distribution::default()
        }
    }

    #[test]
    fn the_distribution_that_keeps_an_error_longest_decides_what_can_be_stale() {
        let object = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", State::Planned).object;
        let stale = |distributions: &[Distribution]| {
            stale(&object, now(), distributions, &Settings::default(), now() + 60 * SECOND)
        };
        let until = |seconds: u32| Staleness::Until(now() + seconds * SECOND);
        let mut holding_page = showing("", 10);
        holding_page.behaviours[0].has_origin_function = true;
        assert_eq!(stale(&[]), Staleness::Impossible);
        assert_eq!(stale(&[showing("", 60), showing("/elsewhere", 90)]), Staleness::Impossible);
        assert_eq!(stale(&[showing("", 60), showing("", 90), showing("", 10)]), until(90));
        assert_eq!(stale(&[showing("", 120), showing("", 90)]), until(120));
        assert_eq!(stale(&[showing("", 90), holding_page.clone(), showing("", 90)]), Staleness::Possible);
    }

    #[test]
    fn only_what_can_be_read_under_the_key_is_invalidated() {
        let object = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", State::Planned).object;
        let version = ObjectId { version: Some("v1".to_owned()), ..object.clone() };
        let newest = |version: &str, restore: Option<&str>| {
            Facts::Found(Head {
                storage_class: Some("GLACIER".to_owned()),
                restore: restore.map(str::to_owned),
                version: Some(version.to_owned()),
                ..Head::default()
            })
        };
        let copy = Some(r#"ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT""#);
        let says = |object: &ObjectId, newest: &Facts| match why_not_shown(object, newest, now()) {
            None => "shown".to_owned(),
            Some(Event::Published { how, .. }) => format!("{how:?}"),
            Some(Event::Failed { code, .. }) => format!("{code:?}"),
            Some(other) => panic!("{other:?}"),
        };
        for (facts, unversioned, versioned) in [
            (newest("v1", copy), "shown", "shown"),
            (newest("v1", None), "NotBeingRestored", "NotBeingRestored"),
            (newest("v1", Some(r#"ongoing-request="true""#)), "NotBeingRestored", "NotBeingRestored"),
            (newest("v1", Some("?")), "Unreadable", "Unreadable"),
            (newest("v2", copy), "shown", "NotCurrent"),
            (Facts::Missing(Missing::Key), "NoSuchKey", "NotCurrent"),
            (Facts::Missing(Missing::DeleteMarker), "NoSuchKey", "NotCurrent"),
            (Facts::Missing(Missing::Denied), "AccessDenied", "NotCurrent"),
        ] {
            assert_eq!(says(&object, &facts), unversioned, "{facts:?}");
            assert_eq!(says(&version, &facts), versioned, "{facts:?}");
        }
    }

    /// A batch of one object that two restores wait for, after it was sealed over these rows of theirs: whether it kept the
    /// object, and the claims on the rows.
    async fn sealed(one: State, two: State) -> (bool, Vec<Option<String>>) {
        let ids = ["one", "two"].map(|id| RestoreId::try_from(id.to_owned()).unwrap());
        let stack = Stack::default();
        stack.insert(&row(&ids[0], "a", one)).await;
        stack.insert(&row(&ids[1], "a", two)).await;
        let object = row(&ids[0], "a", State::Planned).object;
        let candidate = Candidate {
            object: object.clone(),
            restores: ids.to_vec(),
            revisions: 0,
            news: None,
            paths: BTreeMap::new(),
        };
        let batch = Batch { id: BatchId::from("ours".to_owned()), ..batches(vec![candidate], now()).remove(0) };
        stack.insert(&batch).await;
        let sealed = seal(batch, &Rows::new(), &stack.ledger).await.unwrap();
        let rows = stack.ledger.rows_of(&object).await.unwrap();
        let claims = rows.iter().map(|row| row.state.claim().map(|id| id.as_str().to_owned()));
        (!sealed.candidates.is_empty(), claims.collect())
    }

    #[tokio::test]
    async fn a_batch_has_an_object_if_no_other_has_any_of_its_rows() {
        let claims = |claims: [Option<&str>; 2]| claims.map(|claim| claim.map(str::to_owned)).to_vec();
        let theirs = || restored(Some("theirs"));
        let ours = || restored(Some("ours"));
        assert_eq!(sealed(restored(None), restored(None)).await, (true, claims([Some("ours"), Some("ours")])));
        // A try of the same batch that died took the first row already.
        assert_eq!(sealed(ours(), restored(None)).await, (true, claims([Some("ours"), Some("ours")])));
        assert_eq!(sealed(theirs(), restored(None)).await, (false, claims([Some("theirs"), None])));
        // What it claimed before it found out is given back.
        assert_eq!(sealed(restored(None), theirs()).await, (false, claims([None, Some("theirs")])));
        assert_eq!(sealed(ours(), theirs()).await, (false, claims([None, Some("theirs")])));
        let published = |how| State::Published { at: now(), readable: now(), expires: None, how };
        let by_them = published(How::Invalidated { batch: BatchId::from("theirs".to_owned()) });
        assert_eq!(sealed(restored(None), by_them).await, (false, claims([None, None])));
        // Nobody pays for these.
        let cancelled = || State::Cancelled { at: now() };
        for settled in [cancelled(), published(How::NothingStale)] {
            assert_eq!(sealed(settled.clone(), restored(None)).await, (true, claims([None, Some("ours")])));
            assert_eq!(sealed(restored(None), settled).await, (true, claims([Some("ours"), None])));
        }
        assert_eq!(sealed(cancelled(), cancelled()).await, (false, claims([None, None])));
    }

    #[tokio::test]
    async fn who_finishes_a_batch_that_others_began_knows_what_they_had_heard() {
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        let stack = Stack::default();
        let row = row(&id, "a", State::Planned);
        stack.insert(&row).await;
        let candidate = |news| Candidate {
            object: row.object.clone(),
            restores: vec![id.clone()],
            revisions: 0,
            news,
            paths: BTreeMap::new(),
        };
        let batch = |news| batches(vec![candidate(news)], now()).remove(0);
        let later = now() + SECOND;
        let sealed = async |news| {
            let batch = batch(news);
            stack.ledger.insert(&batch).await.unwrap();
            seal(batch, &Rows::new(), &stack.ledger).await.unwrap().candidates.len()
        };
        assert_eq!(sealed(Some(News { at: now(), expires: Some(later) })).await, 1);
        let claimed = stack.ledger.rows_of(&row.object).await.unwrap().remove(0);
        let claim = Some(batch(None).id);
        assert_eq!(
            claimed,
            Row { state: State::Restored { at: now(), expires: Some(later), claim }, revision: 1, ..row }
        );
    }

    /// A claim that is worth nothing would keep its object from ever being published.
    #[tokio::test]
    async fn a_claim_that_a_dead_function_left_is_given_back_by_the_next() {
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        let stack = Stack::default();
        let row = row(&id, "a", restored(Some("ours")));
        stack.insert(&row).await;
        let of = |calls| Batch {
            id: BatchId::from("ours".to_owned()),
            candidates: Vec::new(),
            calls,
            wildcards: Vec::new(),
            created_at: now(),
            revision: 0,
        };
        let objects = BTreeSet::from([row.object.clone()]);
        release(&of(None), &objects, &stack.ledger).await.unwrap();
        assert_eq!(
            stack.ledger.rows_of(&row.object).await.unwrap()[0].state,
            restored(Some("ours")),
            "it may be sealed yet"
        );
        release(&of(Some(Vec::new())), &objects, &stack.ledger).await.unwrap();
        assert_eq!(stack.ledger.rows_of(&row.object).await.unwrap()[0].state, restored(None));
    }

    /// What else lies under a prefix, listed two a page. A HEAD says that it is archived where the key says so, and that it
    /// is not there; a version always is.
    struct Neighbours {
        listed: Vec<Listed>,
        asked: RefCell<Vec<String>>,
    }

    impl ReadArchive for Neighbours {
        async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
            self.asked.borrow_mut().push(object.key.clone());
            if object.key.contains("gone") && object.version.is_none() {
                return Ok(Facts::Missing(Missing::Key));
            }
            let class = if object.key.contains("cold") { "GLACIER" } else { "STANDARD" };
            let version = object.version.clone();
            Ok(Facts::Found(Head { storage_class: Some(class.to_owned()), version, ..Head::default() }))
        }

        async fn list(&self, _: &str, _: &str, start_after: &str) -> Result<Page, PortError> {
            let rest: Vec<_> = self.listed.iter().filter(|listed| listed.key.as_str() > start_after).cloned().collect();
            Ok(Page { more: rest.len() > 2, objects: rest.into_iter().take(2).collect() })
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(false)
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }
    }

    /// The archived neighbour that is found, and which neighbours S3 was asked about.
    async fn found(listed: &[(&str, &str, Option<ListedRestore>)]) -> (Option<String>, Vec<String>) {
        let listed = listed.iter().map(|(key, class, restore)| Listed {
            key: (*key).to_owned(),
            storage_class: (*class).to_owned(),
            size: 1,
            modified: now(),
            restore: *restore,
        });
        let neighbours = Neighbours { listed: listed.collect(), asked: RefCell::default() };
        let found = archived_under("archive", "", &neighbours, now()).await.unwrap();
        (found, neighbours.asked.into_inner())
    }

    #[tokio::test]
    async fn a_neighbour_that_might_be_archived_is_asked_about_and_no_other() {
        let until = |at| Some(ListedRestore::Copy(at));
        for (class, restore, asked) in [
            ("STANDARD", None, false),
            ("GLACIER_IR", None, false),
            ("GLACIER", None, true),
            ("GLACIER", Some(ListedRestore::Ongoing), true),
            ("DEEP_ARCHIVE", until(now() + SECOND), false),
            ("DEEP_ARCHIVE", until(now()), true),
            ("INTELLIGENT_TIERING", None, true),
        ] {
            let answer = found(&[("cold", class, restore)]).await;
            let expected = if asked { vec!["cold".to_owned()] } else { vec![] };
            assert_eq!(answer, (asked.then(|| "cold".to_owned()), expected), "{class} {restore:?}");
        }
        // A listing knows less than a HEAD.
        assert_eq!(found(&[("warm", "GLACIER", None)]).await, (None, vec!["warm".to_owned()]));
    }

    #[tokio::test]
    async fn neighbours_are_looked_through_page_by_page_and_not_for_ever() {
        let warm = |count: usize| (0..count).map(|n| format!("{n:02}")).collect::<Vec<_>>();
        let of = async |keys: Vec<String>| {
            let listed: Vec<_> = keys.iter().map(|key| (key.as_str(), "GLACIER", None)).collect();
            found(&listed).await.0
        };
        assert_eq!(of(vec![]).await, None);
        assert_eq!(of([warm(5), vec!["cold".to_owned()]].concat()).await, Some("cold".to_owned()));
        assert_eq!(of(warm(20)).await, None);
        assert!(of(warm(21)).await.unwrap().contains("too many"));
    }

    fn nobody_near() -> Neighbours {
        Neighbours { listed: Vec::new(), asked: RefCell::default() }
    }

    /// A distribution that shows every key, and takes every path but those that say `bad`.
    #[derive(Default)]
    struct Edge {
        shows: Vec<Distribution>,
        asked: RefCell<Vec<Vec<String>>>,
    }

    impl ReadDistributions for Edge {
        async fn distributions(&self, _: &str, _: &[String]) -> Result<Vec<Distribution>, PortError> {
            Ok(self.shows.clone())
        }
    }

    impl CreateInvalidations for Edge {
        async fn invalidate(&self, _: &str, items: &[String], _: &str) -> Result<Invalidation, PortError> {
            self.asked.borrow_mut().push(items.to_vec());
            assert!(self.asked.borrow().len() < 10, "CloudFront is asked for ever: {items:?}");
            if items.iter().any(|item| item.contains("bad")) {
                return Ok(Invalidation::Refused { says: "bad path".to_owned() });
            }
            Ok(Invalidation::Accepted { id: items.join(" "), completed: false })
        }
    }

    fn id(restore: &str) -> RestoreId {
        RestoreId::try_from(restore.to_owned()).unwrap()
    }

    /// A sealed batch of one path for each key, and its rows in the ledger.
    async fn batch_of(keys: &[&str], stack: &Stack) -> Batch {
        let object = |key: &str| row(&id("r"), key, State::Planned).object;
        let candidate = |key: &&str| Candidate {
            object: object(key),
            restores: vec![id("r")],
            revisions: 0,
            news: None,
            paths: [("E1".to_owned(), [format!("/{key}")].into())].into(),
        };
        let batch = batches(keys.iter().map(candidate).collect(), now()).remove(0);
        let sealed = batch.sealed(&keys.iter().map(|key| object(key)).collect());
        stack.insert(&batch).await;
        assert_eq!(stack.ledger.replace(&sealed).await.unwrap(), Put::Done);
        for key in keys {
            stack.insert(&row(&id("r"), key, restored(Some(batch.id.as_str())))).await;
        }
        sealed
    }

    #[tokio::test]
    async fn a_refused_path_is_found_by_asking_for_each_alone_and_nothing_is_asked_twice() {
        let (stack, edge) = (Stack::default(), Edge::default());
        let batch = batch_of(&["a", "bad", "c"], &stack).await;
        let done = carry_out(batch, &Rows::new(), None, &edge, &nobody_near(), &stack.ledger, now()).await.unwrap();
        let asked = [vec!["/a", "/bad", "/c"], vec!["/a"], vec!["/bad"], vec!["/c"]];
        assert_eq!(*edge.asked.borrow(), asked);
        let refused: Vec<_> = done.calls.iter().flatten().map(|call| call.refused.as_deref()).collect();
        assert_eq!(refused, [None, Some("bad path"), None]);
        assert_eq!(stack.ledger.get::<Batch>(&batch_key(&done.id)).await.unwrap().as_ref(), Some(&done));
        carry_out(done, &Rows::new(), None, &edge, &nobody_near(), &stack.ledger, now()).await.unwrap();
        assert_eq!(edge.asked.borrow().len(), 4);
    }

    #[tokio::test]
    async fn what_cloudfront_did_not_take_for_ten_minutes_is_looked_at_again() {
        for (seconds, asked) in [(599, vec![vec!["/a", "/gone"]]), (600, vec![vec!["/a"]])] {
            let (stack, edge) = (Stack::default(), Edge::default());
            let batch = batch_of(&["a", "gone"], &stack).await;
            let theirs = row(&id("another"), "gone", restored(Some("theirs")));
            stack.insert(&theirs).await;
            carry_out(batch, &Rows::new(), None, &edge, &nobody_near(), &stack.ledger, now() + seconds * SECOND)
                .await
                .unwrap();
            assert_eq!(*edge.asked.borrow(), asked);
            let rows = stack.ledger.rows_of(&theirs.object).await.unwrap();
            let failed: Vec<_> = rows.iter().map(|row| matches!(row.state, State::Failed { .. })).collect();
            assert_eq!(failed, [false, seconds == 600], "in the ledger, and not another batch's");
        }
    }

    #[tokio::test]
    async fn what_a_version_hides_from_is_asked_about_under_its_key() {
        let stack = Stack::default();
        let mut batch = batch_of(&["gone"], &stack).await;
        batch.candidates[0].object.version = Some("v1".to_owned());
        let left = without_what_is_gone(batch, &nobody_near(), &stack.ledger, now()).await.unwrap();
        assert!(left.candidates.is_empty());
    }

    #[tokio::test]
    async fn what_s3_said_is_believed_for_ten_minutes_and_of_a_copy_until_it_expires() {
        let is_asked = async |row: &Row, seconds: u32| {
            let at = now() + seconds * SECOND;
            let archive = nobody_near();
            let heard = Heard { row: row.clone(), news: None };
            let event = no_longer_shown(&row.object, &[(row, &heard)], &archive, at).await.unwrap();
            // Whenever S3 is asked, it has nothing under this key.
            assert_eq!(event.is_some(), !archive.asked.borrow().is_empty());
            event.is_some()
        };
        let of = |at: u32, expires: Option<u32>| {
            let after = |seconds: u32| now() + seconds * SECOND;
            row(&id("r"), "gone", State::Restored { at: after(at), expires: expires.map(after), claim: None })
        };
        for (row, believed_until) in [
            (of(0, None), 600),
            (of(300, None), 900),
            (of(300, Some(400)), 400),
            // Whether a version is the newest, S3 said when it was planned.
            (Row { object: ObjectId { version: Some("v1".to_owned()), ..of(0, None).object }, ..of(300, None) }, 600),
        ] {
            let asked = [is_asked(&row, believed_until - 1).await, is_asked(&row, believed_until).await];
            assert_eq!(asked, [false, true], "{row:?}");
        }
    }

    #[tokio::test]
    async fn what_is_with_cloudfront_is_counted_whoever_asked() {
        let (stack, edge) = (Stack::default(), Edge { shows: vec![showing("", 10)], ..Edge::default() });
        let begun = batch_of(&["a", "b", "c"], &stack).await;
        let fresh = row(&id("r"), "d", State::Restored { at: now(), expires: None, claim: None });
        stack.insert(&fresh).await;
        let objects = begun.candidates.iter().map(|candidate| candidate.object.clone()).chain([fresh.object.clone()]);
        let objects: Readable = objects.map(|object| (object, Vec::new())).collect();
        let again = async || {
            let (archive, ledger) = (nobody_near(), &stack.ledger);
            let begun = Default::default();
            publish(
                Wanted { objects: objects.clone(), begun, ..Wanted::default() },
                &edge,
                &archive,
                ledger,
                &Settings::default(),
                now(),
            )
            .await
            .unwrap()
        };
        for _ in 0..2 {
            assert_eq!(again().await, Published { invalidations: 2, paths: 4 });
        }
        assert_eq!(*edge.asked.borrow(), [vec!["/a", "/b", "/c"], vec!["/d"]]);
    }

    #[tokio::test]
    async fn an_error_that_is_gone_within_a_minute_is_waited_out_where_only_what_is_stale_is_paid_for() {
        for (error_ttl, seconds, is_asked, is_published) in
            [(60, 0, false, false), (61, 0, true, false), (61, 1, false, false), (61, 61, false, true)]
        {
            let (stack, edge) = (Stack::default(), Edge { shows: vec![showing("", error_ttl)], ..Edge::default() });
            let mut row = row(&id("r"), "a", State::Restored { at: now(), expires: None, claim: None });
            row.publish.only_if_stale = true;
            stack.insert(&row).await;
            let wanted = Wanted { objects: [(row.object.clone(), Vec::new())].into(), ..Wanted::default() };
            let at = now() + seconds * SECOND;
            publish(wanted, &edge, &nobody_near(), &stack.ledger, &Settings::default(), at).await.unwrap();
            let published =
                matches!(stack.ledger.rows_of(&row.object).await.unwrap()[0].state, State::Published { .. });
            let answer = (!edge.asked.borrow().is_empty(), published);
            assert_eq!(answer, (is_asked, is_published), "{error_ttl} s, {seconds} s later");
        }
    }
}
