//! A survey: what a request would do and cost. It reads the state of every object, writes nothing and starts nothing.

mod close_rows;
mod estimate;
mod hints;
mod warnings;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    Alternative, ArchiveKind, Cost, Counts, Decision, Distribution, Event, Facts, Failure, FailureCode, KeyReading,
    KindTotal, LeftOut, ObjectId, PlannedAction, Problem, PublishWhen, Request, Source, Staleness, State, advance,
    decide, decide_readability, is_any_query_string, shown_to_tenants, staleness,
};

pub use warnings::says_of_functions;

use crate::archive::described::{Described, described};
use crate::archive::listing::Pages;
use crate::ledger::chunks::ChunkEntry;
use crate::ledger::rows::rows_key;
use crate::planning::sources::{FoundPage, Objects, SourceItem, SourcePlace};
use crate::ports::{Distributions, IN_FLIGHT, ItemKey, Ledger, Listed, ReadArchive, ReadDistributions, WorkFiles};
use crate::publishing::folding::{self, Forecast, ForecastState};
use crate::{Settings, StepError};

/// Failures that a plan shows in words. The list of a restore's objects shows them all.
const FAILURES_SHOWN: usize = 20;

/// The most objects of a restore. The history of its execution holds 25,000 events, and every 20,000 published objects
/// take fourteen of them (`tests/it/steps/history.rs` adds all up).
pub const MOST_OBJECTS: u64 = 12_000_000;

/// The most objects of a restore without a listing. The objects seen so far must be remembered then, because one may
/// come twice: 17 bytes each in a table of 2^23 slots, which takes a third of Plan's memory while it grows to that
/// size.
const MOST_REMEMBERED: u64 = 7_000_000;

/// Lines of a list of keys after which it is none, if not one of them is the key of an object.
const LINES_OF_NOTHING: u64 = 1_000;

/// The most objects whose folders are listed for the price of publishing them together.
const MOST_FORETOLD: usize = 1_000;

/// What a request would do and cost.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The states of the objects. Those that S3 would be asked for count as planned.
    pub counts: Counts,
    /// Objects and bytes by kind of archive.
    pub by_kind: Vec<KindTotal>,
    /// The price, line by line.
    pub cost: Cost,
    /// When the first and the last object are typically readable; `None` if none has to be waited for.
    pub ready_between: Option<[Timestamp; 2]>,
    /// Prices and times of other tiers, cheapest first.
    pub alternatives: Vec<Alternative>,
    /// Whether S3 Batch Operations asks for the archived objects.
    pub batch_operations: bool,
    /// Paths that would be invalidated.
    pub paths: u64,
    /// Paths that CloudFront would bill: fewer than `paths` where wildcards are expected to stand for several.
    pub billed_paths: u64,
    /// The bytes of the temporary copies in the price.
    pub copied_bytes: u64,
    /// Warnings for the requester.
    pub warnings: Vec<String>,
    /// The first 20 objects that cannot be restored, and why.
    pub failures: Vec<Failure>,
    /// The hash that names the plan. It changes if the plan would restore, cost or publish something else. A later
    /// request can confirm it.
    pub hash: String,
}

/// One object of a survey.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The object, with its version.
    pub object: ObjectId,
    /// Bytes; 0 if S3 did not say.
    pub size: u64,
    /// Whether it is the current version.
    pub current: bool,
    /// What is to be done about it.
    pub action: PlannedAction,
}

impl Survey {
    /// Surveys all objects of a request, within the time of one HTTP answer.
    ///
    /// Fails if the request cannot be carried out as a whole: S3 or CloudFront does not answer, `days` is set and all
    /// archived objects are Intelligent-Tiering, or there are more objects than `most`. A problem with one object is a
    /// failure of that object only.
    #[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is planned")]
    pub async fn of(
        request: &Request,
        most: u64,
        archive: &impl ReadArchive,
        cdn: &impl ReadDistributions,
        ledger: &impl Ledger,
        files: &impl WorkFiles,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self, StepError> {
        let mut surveyor = Surveyor::new(request, cdn, settings, now).await?;
        let mut objects = Objects::from(SourcePlace::Beginning, request, ledger).await?;
        while let Some(page) = objects.next(archive, ledger, files).await? {
            surveyor.look_at(page, archive).await?;
            if surveyor.effort > most {
                return Err(Problem::too_many_to_wait_for(most).into());
            }
        }
        surveyor.finish(archive).await
    }
}

/// Reads the state of objects page by page, and adds up the results.
#[derive(Debug)]
pub struct Surveyor<'a> {
    request: &'a Request,
    distributions: Vec<Distribution>,
    /// Distributions that are not invalidated, and why.
    left_out: Vec<(String, LeftOut)>,
    /// Those of them whose tenants answer viewers.
    of_tenants: Vec<Distribution>,
    /// More archived objects than this are left to S3 Batch Operations.
    batch_operations_over: u64,
    objects_per_job: u64,
    now: Timestamp,
    /// Hashes of the objects seen so far. A manifest may name an object twice, and it counts once.
    seen: HashSet<u128>,
    /// Hashes of the objects seen by this call.
    newly_seen: Vec<u128>,
    /// The cost of reading so far, in objects of a listing. A `HeadObject` counts as ten of them.
    effort: u64,
    /// The sum of hashes of each object and what is done with it. A confirmed plan is confirmed for these objects.
    digest: u128,
    totals: Totals,
    /// The forecast of folding, if the objects are listed.
    forecast: Option<Forecast>,
    /// How the rows of a list are looked up by listing, once that is known.
    pages: Option<Pages>,
}

/// The state of a survey between two calls, without the objects that it has seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SurveyState {
    digest: u128,
    totals: Totals,
    forecast: Option<ForecastState>,
}

/// The sums over all objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Totals {
    counts: Counts,
    /// Those that S3 described.
    found: u64,
    /// How the keys of a list were read, where that makes a difference.
    reading: Option<KeyReading>,
    by_kind: BTreeMap<ArchiveKind, Tally>,
    paths: u64,
    /// The billed paths if all objects are published together, where there is a forecast.
    folded: Option<u64>,
    /// The keys of the objects to publish, while they are no more than [`MOST_FORETOLD`] and no listing shows them.
    to_publish: Vec<String>,
    without_path: u64,
    /// Objects that only tenants of multi-tenant distributions get, or may get.
    of_tenants: u64,
    wildcards: u64,
    /// Wildcards that clear a path with any query string.
    variants: u64,
    /// Objects whose paths have several characters that can be spelled in two ways.
    mixed_spellings: u64,
    /// Objects of which viewers may have at most a cached error that expires soon.
    only_errors: u64,
    old_versions: u64,
    joined: u64,
    expire_sooner: u64,
    denied: u64,
    failures: Vec<Failure>,
}

/// The sums over the objects of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Tally {
    objects: u64,
    bytes: u64,
    /// Objects and bytes that S3 is asked to fetch, or to fetch faster.
    retrieved: (u64, u64),
    /// Objects of those that are archived, and that have not been asked for.
    archived: u64,
    /// Bytes whose copies are paid for.
    copied: u64,
    /// Bytes that move to a more expensive tier and stay there for months.
    moved: u64,
    /// Objects that S3 fetches for somebody else, at an unknown tier.
    watched: u64,
}

impl<'a> Surveyor<'a> {
    /// Reads the distributions.
    pub async fn new(
        request: &'a Request,
        cdn: &impl ReadDistributions,
        settings: &'a Settings,
        now: Timestamp,
    ) -> Result<Self, StepError> {
        let Distributions { shown: distributions, left_out, of_tenants, .. } = if request.publish.never() {
            Distributions::default()
        } else {
            crate::publishing::distributions::read(&request.bucket, cdn, settings).await?
        };
        let forecast = match &request.source {
            Source::Prefix { prefix, .. } if !distributions.is_empty() => {
                Some(Forecast::new(&request.bucket, prefix, &distributions))
            }
            // No listing passes by. If the objects are few, their folders are listed at the end.
            Source::Prefix { .. } | Source::Keys { .. } | Source::Manifest { .. } | Source::Restore { .. } => None,
        };
        Ok(Self {
            request,
            distributions,
            left_out,
            of_tenants,
            batch_operations_over: settings.batch_operations_over,
            objects_per_job: settings.objects_per_job,
            now,
            seen: HashSet::new(),
            newly_seen: Vec::new(),
            effort: 0,
            digest: 0,
            totals: Totals::default(),
            forecast,
            pages: None,
        })
    }

    /// Continues the survey of another call, which has seen these objects.
    #[must_use]
    pub fn from(self, so_far: SurveyState, seen: HashSet<u128>) -> Self {
        let SurveyState { digest, totals, forecast: earlier } = so_far;
        let distributions = &self.distributions;
        let bucket = &self.request.bucket;
        let paths_of = |key: &str| paths_of(distributions, bucket, key);
        let forecast = match (self.forecast, earlier) {
            (Some(forecast), Some(earlier)) => Some(forecast.from(earlier, paths_of)),
            // A forecast has to begin with the first object.
            (Some(_) | None, None) | (None, Some(_)) => None,
        };
        Self { seen, digest, totals, forecast, ..self }
    }

    /// The state with which another call continues.
    pub fn state(&self) -> SurveyState {
        SurveyState {
            digest: self.digest,
            totals: self.totals.clone(),
            forecast: self.forecast.as_ref().map(Forecast::state),
        }
    }

    /// Hashes of the objects seen by this call. None for a listing, which names each object once.
    pub fn newly_seen(&self) -> &[u128] {
        &self.newly_seen
    }

    /// The counts of the objects surveyed so far.
    pub fn counts(&self) -> Counts {
        self.totals.counts
    }

    /// Surveys a page of objects. Answers those that were not seen before, in order.
    ///
    /// Fails if the page is of a list that was read in another way than it was meant.
    pub async fn look_at(&mut self, page: FoundPage, archive: &impl ReadArchive) -> Result<Vec<Surveyed>, StepError> {
        let (request, now) = (self.request, self.now);
        let FoundPage { mut objects, list } = page;
        if let Some(list) = &list {
            if let Some(second) = &list.second {
                hints::refuse_the_other_reading(&request.bucket, list, second, archive).await?;
                self.totals.reading = Some(second.reading);
            }
            close_rows::look_up(&mut objects, &mut self.pages, &request.bucket, archive).await?;
        }
        let results: Vec<Looked> = stream::iter(objects)
            .map(|item| look_at(item, request, archive, now))
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let is_listing = self.is_listed();
        let mut new = Vec::with_capacity(results.len());
        for result in results {
            let (mut surveyed, effort) = match result {
                Looked::At(surveyed, effort) => (surveyed, effort),
                Looked::Beside(key) => {
                    if let Some(forecast) = &mut self.forecast {
                        forecast.pass(&key, BTreeMap::new())?;
                    }
                    continue;
                }
            };
            self.effort += effort;
            // An object may be named by its key and again with its current version: both are the same once the version
            // is known. A listing names each object once.
            if !is_listing {
                let seen = fingerprint(&surveyed.object, None);
                if !self.seen.insert(seen) {
                    continue;
                }
                self.newly_seen.push(seen);
            }
            if self.totals.failures.len() < FAILURES_SHOWN
                && let Some(Event::Failed { code: FailureCode::NoSuchKey, message, .. }) = &mut surveyed.action.known
                && let Some(hint) = hints::other_spelling(&surveyed.object, archive).await?
            {
                message.push_str(&format!(". {hint}"));
            }
            self.add(&surveyed)?;
            new.push(surveyed);
        }
        let (found, total) = (self.totals.found, self.totals.counts.total);
        match &list {
            Some(list) if list.is_of_keys && found == 0 && (list.is_last || total >= LINES_OF_NOTHING) => {
                Err(hints::no_list_of_keys(list, total, &request.bucket).into())
            }
            Some(_) | None => Ok(new),
        }
    }

    /// Whether a listing shows the objects and what lies between them.
    fn is_listed(&self) -> bool {
        matches!(self.request.source, Source::Prefix { .. })
    }

    fn add(&mut self, surveyed: &Surveyed) -> Result<(), StepError> {
        let (request, now) = (self.request, self.now);
        let totals = &mut self.totals;
        let decision = surveyed.action.decision;
        let most = match request.source {
            Source::Prefix { .. } => MOST_OBJECTS,
            Source::Keys { .. } | Source::Manifest { .. } | Source::Restore { .. } => MOST_REMEMBERED,
        };
        if totals.counts.total >= most {
            return Err(Problem::too_many_objects(most).into());
        }
        self.digest = self.digest.wrapping_add(fingerprint(&surveyed.object, Some(decision)));
        totals.counts.total += 1;
        totals.found += u64::from(surveyed.is_found());
        *surveyed.counted_as(&mut totals.counts) += 1;
        if let Some(kind) = surveyed.action.kind {
            let tally = totals.by_kind.entry(kind).or_default();
            tally.objects += 1;
            tally.bytes += surveyed.size;
            // A join may make S3 fetch faster, and then it costs what the faster tier costs.
            if matches!(decision, Decision::Restore | Decision::Join) {
                tally.retrieved.0 += 1;
                tally.retrieved.1 += surveyed.size;
            }
            tally.archived += u64::from(decision == Decision::Restore);
            if matches!(decision, Decision::Restore | Decision::Extend) && kind.has_copy() {
                tally.copied += surveyed.size;
            }
            if decision == Decision::Restore && !kind.has_copy() {
                tally.moved += surveyed.size;
            }
            tally.watched += u64::from(decision == Decision::Watch && surveyed.action.known.is_none());
        }
        totals.joined += u64::from(decision == Decision::Join);
        let is_wanted = surveyed.is_wanted();
        totals.old_versions += u64::from(is_wanted && !surveyed.current);
        let until = now + Duration::from_secs(86_400 * u64::from(request.copy_days()));
        match &surveyed.action.known {
            Some(Event::Readable { expires: Some(expires), .. }) if decision == Decision::Watch => {
                totals.expire_sooner += u64::from(*expires < until);
            }
            Some(Event::Failed { code, message, .. }) => {
                totals.denied += u64::from(*code == FailureCode::AccessDenied);
                if totals.failures.len() < FAILURES_SHOWN {
                    let ObjectId { key, version, .. } = surveyed.object.clone();
                    totals.failures.push(Failure { key, version_id: version, code: *code, message: message.clone() });
                }
            }
            _ => {}
        }
        let is_published = !request.publish.never() && is_wanted && surveyed.current;
        let paths = if is_published { self.add_paths(&surveyed.object) } else { BTreeMap::new() };
        if !paths.is_empty() && !self.is_listed() && self.totals.to_publish.len() <= MOST_FORETOLD {
            self.totals.to_publish.push(surveyed.object.key.clone());
        }
        match &mut self.forecast {
            Some(forecast) => forecast.pass(&surveyed.object.key, paths),
            None => Ok(()),
        }
    }

    /// The paths under which the distributions show an object, by distribution.
    fn add_paths(&mut self, object: &ObjectId) -> BTreeMap<String, BTreeSet<String>> {
        let ObjectId { bucket, key, .. } = object;
        let shown: Vec<_> = self.distributions.iter().map(|one| one.paths_of(bucket, key)).collect();
        let paths = shown.iter().map(|paths| paths.paths.len() as u64).sum::<u64>();
        let is_of_tenants = paths == 0 && !shown_to_tenants(&self.of_tenants, bucket, key).is_empty();
        let totals = &mut self.totals;
        totals.paths += paths;
        totals.of_tenants += u64::from(is_of_tenants);
        totals.without_path += u64::from(paths == 0 && !is_of_tenants);
        let all = shown.iter().flat_map(|paths| &paths.paths);
        // Only the second spelling of a path has a `+`.
        totals.mixed_spellings += u64::from(all.clone().any(|path| path.matches('+').count() > 1));
        let (variants, others): (Vec<&String>, Vec<&String>) = all.partition(|path| is_any_query_string(path));
        totals.variants += variants.len() as u64;
        totals.wildcards += others.iter().filter(|path| path.ends_with('*')).count() as u64;
        let epoch = Timestamp::UNIX_EPOCH;
        // Readable since the epoch, and seen an hour later: only an answer that is cached for longer can still be
        // stale.
        let later = epoch + Duration::from_secs(3_600);
        let lasting =
            |distribution: &Distribution| staleness(distribution, bucket, key, epoch, later) != Staleness::Impossible;
        totals.only_errors += u64::from(paths > 0 && !self.distributions.iter().any(lasting));
        let ids = self.distributions.iter().map(|distribution| distribution.id.clone());
        ids.zip(shown).map(|(id, shown)| (id, shown.paths)).filter(|(_, paths)| !paths.is_empty()).collect()
    }

    /// Completes the survey.
    ///
    /// Fails if `days` was set and every archived object is Intelligent-Tiering.
    pub async fn finish(mut self, archive: &impl ReadArchive) -> Result<Survey, StepError> {
        self.refuse_days_without_copies()?;
        self.totals.folded = match self.forecast.take() {
            Some(forecast) => Some(forecast.billed()?),
            None => self.foretold(archive).await?,
        };
        let tier = self.request.tier;
        let batch_operations = self.is_asked_by_jobs(tier);
        let cost = self.price(tier, batch_operations);
        let alternatives = self.alternatives(cost.total_usd);
        let ready_between = self.ready_between(tier, batch_operations);
        let warnings = self.warnings();
        let kinds = self.totals.by_kind.iter();
        let by_kind: Vec<KindTotal> = kinds
            .map(|(kind, Tally { objects, bytes, .. })| KindTotal { kind: *kind, objects: *objects, bytes: *bytes })
            .collect();
        let plan = (self.request.without_terms(), self.digest, self.totals.counts, &by_kind, cost.total_usd);
        let hash = thaw_core::hash(&[&serde_json::to_string(&plan)?])[..16].to_owned();
        Ok(Survey {
            by_kind,
            hash,
            counts: self.totals.counts,
            cost,
            ready_between,
            alternatives,
            batch_operations,
            paths: self.totals.paths,
            billed_paths: self.billed_paths(),
            copied_bytes: self.totals.by_kind.values().map(|tally| tally.copied).sum(),
            warnings,
            failures: self.totals.failures,
        })
    }

    /// The billed paths of few objects that are published together. Their folders are listed as they will be then.
    async fn foretold(&mut self, archive: &impl ReadArchive) -> Result<Option<u64>, StepError> {
        let mut keys = std::mem::take(&mut self.totals.to_publish);
        keys.sort_unstable();
        if !self.is_at_once() || keys.is_empty() || keys.len() > MOST_FORETOLD {
            return Ok(None);
        }
        let Request { bucket, publish, .. } = self.request;
        let paths_of = |key: &String| (key.clone(), paths_of(&self.distributions, bucket, key));
        let objects = keys.iter().map(paths_of).filter(|(_, paths)| !paths.is_empty()).collect();
        let distributions = [(bucket.clone(), self.distributions.clone())].into();
        let billed = folding::foretold(bucket, objects, &distributions, publish.max_over, archive, self.now).await?;
        Ok(Some(billed))
    }

    /// `days` has no meaning for Intelligent-Tiering. If only some objects are of that class, it is left out for these.
    /// If all are, the caller expects something that cannot happen.
    fn refuse_days_without_copies(&self) -> Result<(), StepError> {
        let Some(days) = self.request.days else { return Ok(()) };
        let mut kinds = self.totals.by_kind.keys().peekable();
        if kinds.peek().is_some() && kinds.all(|kind| !kind.has_copy()) {
            let why = "every archived object of this request is Intelligent-Tiering, which moves back for good and makes no copy that could expire. Leave days out.";
            return Err(Problem::field("days", &days.into(), why).into());
        }
        Ok(())
    }

    /// Whether all objects are published at once: by request, or because all of them can be read now.
    fn is_at_once(&self) -> bool {
        let Request { publish, publish_only, .. } = self.request;
        match publish.when {
            PublishWhen::Together => true,
            PublishWhen::Each => *publish_only,
            PublishWhen::Never => false,
        }
    }

    /// Paths that are expected to be billed. For objects that are published one by one there is no forecast, because it
    /// is unknown which of them will share a call.
    fn billed_paths(&self) -> u64 {
        let Totals { paths, folded, .. } = self.totals;
        if self.is_at_once() { folded.unwrap_or(paths) } else { paths }
    }
}

/// The paths under which the distributions show a key, by distribution.
fn paths_of(distributions: &[Distribution], bucket: &str, key: &str) -> BTreeMap<String, BTreeSet<String>> {
    let shown = distributions.iter().map(|one| (one.id.clone(), one.paths_of(bucket, key).paths));
    shown.filter(|(_, paths)| !paths.is_empty()).collect()
}

/// The result for one object of a page.
enum Looked {
    /// It was surveyed, at this cost of reading.
    At(Surveyed, u64),
    /// It is not part of the request, but lies beside its objects.
    Beside(String),
}

/// Surveys one object.
async fn look_at(
    item: SourceItem,
    request: &Request,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Looked, StepError> {
    let bucket = request.bucket.clone();
    let (object, listed_size) = match item {
        SourceItem::Beside(key) => return Ok(Looked::Beside(key)),
        SourceItem::Asked(asked) => (ObjectId { bucket, key: asked.key, version: asked.version_id }, 0),
        SourceItem::Listed(listed) => match listed.readability(now) {
            Some(reach) => {
                return Ok(Looked::At(of_listing(bucket, listed, decide_readability(reach, request, now)), 1));
            }
            None => (ObjectId { bucket, key: listed.key, version: None }, listed.size),
        },
        SourceItem::OldVersion(asked) => {
            let object = ObjectId { bucket, key: asked.key, version: asked.version_id };
            let facts = archive.head(&object).await?;
            let action = decide(&facts, request, now);
            let (size, current) = match facts {
                Facts::Found(head) => (head.size, false),
                Facts::Missing(_) => (0, true),
            };
            return Ok(Looked::At(Surveyed { object, size, current, action }, 10));
        }
    };
    let Described { object, current, facts } = described(object, archive).await?;
    let action = decide(&facts, request, now);
    let size = match facts {
        Facts::Found(head) => head.size,
        Facts::Missing(_) => listed_size,
    };
    Ok(Looked::At(Surveyed { object, size, current, action }, 10))
}

fn of_listing(bucket: String, listed: Listed, action: PlannedAction) -> Surveyed {
    let object = ObjectId { bucket, key: listed.key, version: listed.version };
    Surveyed { object, size: listed.size, current: true, action }
}

/// 128 bits of a hash of an object and what is done with it. A collision among a billion objects is as likely as losing
/// all of them.
fn fingerprint(object: &ObjectId, decision: Option<Decision>) -> u128 {
    let done = decision.map_or("", Decision::as_str);
    let ItemKey { pk, sk } = rows_key(object);
    let hash = thaw_core::hash(&[&pk, &sk, done]);
    u128::from_str_radix(&hash[..32], 16).unwrap_or_default()
}

impl Surveyed {
    /// Whether S3 described it.
    fn is_found(&self) -> bool {
        match &self.action.known {
            Some(Event::Failed { code, .. }) => {
                !matches!(code, FailureCode::NoSuchKey | FailureCode::NoSuchVersion | FailureCode::AccessDenied)
            }
            _ => true,
        }
    }

    /// Whether the restore takes care of it: it is archived, or is to be published.
    fn is_wanted(&self) -> bool {
        match self.action.decision {
            Decision::Restore | Decision::Extend | Decision::Join | Decision::Watch | Decision::Publish => true,
            Decision::Nothing => false,
        }
    }

    fn counted_as<'a>(&self, counts: &'a mut Counts) -> &'a mut u64 {
        match &self.action.known {
            None => &mut counts.planned,
            Some(Event::NotArchived) => &mut counts.available,
            Some(Event::Readable { .. }) => &mut counts.restored,
            Some(Event::Failed { .. }) => &mut counts.failed,
            Some(
                Event::Requested { .. }
                | Event::Joined { .. }
                | Event::Claimed { .. }
                | Event::Released { .. }
                | Event::Published { .. }
                | Event::Cancelled { .. },
            ) => &mut counts.restoring,
        }
    }

    /// The object as its chunk file keeps it.
    pub fn entry(self) -> Result<ChunkEntry, StepError> {
        let planned = State::Planned;
        let state = match &self.action.known {
            None => planned,
            Some(event) => advance(&planned, event)?.unwrap_or(planned),
        };
        Ok(ChunkEntry {
            key: self.object.key,
            version: self.object.version,
            size: self.size,
            kind: self.action.kind,
            decision: self.action.decision,
            old: !self.current,
            state,
        })
    }
}

#[cfg(test)]
mod tests;
