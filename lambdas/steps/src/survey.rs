//! What a request would do and cost: every object looked at, nothing written, nothing begun.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{
    ArchiveKind, Book, Cost, Counts, Decision, Distribution, Event, Facts, Failure, FailureCode, Line, ObjectId,
    Overhead, Paths, Problem, Request, Staleness, Usd, Verdict, decide, staleness,
};

use crate::ledger::{object_key, version_prefix};
use crate::ports::{ReadArchive, ReadDistributions};
use crate::{IN_FLIGHT, Settings, StepError};

/// What a request would do and cost.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The objects in the order of the request.
    pub objects: Vec<Surveyed>,
    /// Where they stand. What would be asked of S3 counts as planned.
    pub counts: Counts,
    /// What lies where.
    pub by_kind: Vec<KindTotal>,
    /// The price by line.
    pub cost: Cost,
    /// When the first and the last object are typically readable; `None` if nothing needs to be waited for.
    pub ready_between: Option<[Timestamp; 2]>,
    /// Paths that would be invalidated.
    pub paths: u64,
    /// What the requester should know.
    pub warnings: Vec<String>,
    /// What cannot be restored, and why.
    pub failures: Vec<Failure>,
}

/// One object of a survey.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The object, its version pinned.
    pub object: ObjectId,
    /// Bytes; 0 if S3 did not say.
    pub size: u64,
    /// Whether it is the current version.
    pub current: bool,
    /// What to do.
    pub verdict: Verdict,
}

/// How much lies where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindTotal {
    /// Where.
    pub kind: ArchiveKind,
    /// How many objects.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Survey {
    /// Looks at every object and decides.
    ///
    /// Fails if the request cannot be carried out as a whole (an S3 or CloudFront that does not answer; `days` set for
    /// objects that are all Intelligent-Tiering); what is wrong with one object is that object's failure.
    pub async fn of(
        request: &Request,
        archive: &impl ReadArchive,
        cdn: &impl ReadDistributions,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self, StepError> {
        let mut looked: Vec<Surveyed> = stream::iter(&request.keys)
            .map(|asked| {
                let object = ObjectId {
                    bucket: request.bucket.clone(),
                    key: asked.key.clone(),
                    version: asked.version_id.clone(),
                };
                look_at(object, request, archive, now)
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        // A key and its current version by name are one object, once the version is pinned: asked, priced and kept once.
        let mut seen = BTreeSet::new();
        looked.retain(|surveyed| seen.insert((object_key(&surveyed.object), version_prefix(&surveyed.object))));
        refuse_days_without_copies(request, &looked)?;
        let distributions = if request.publish.never() {
            Vec::new()
        } else {
            cdn.distributions(&request.bucket, &settings.distribution_ids).await?
        };
        Ok(Self::from_parts(request, looked, &distributions, settings, now))
    }

    fn from_parts(
        request: &Request,
        objects: Vec<Surveyed>,
        distributions: &[Distribution],
        settings: &Settings,
        now: Timestamp,
    ) -> Self {
        let shown = Shown::of(request, &objects, distributions, &settings.directory_index);
        let failures: Vec<_> = objects.iter().filter_map(Surveyed::failure).collect();
        let warnings = warnings(request, &objects, &shown, distributions, now);
        Self {
            counts: count(&objects),
            by_kind: by_kind(&objects),
            cost: price(request, &objects, shown.paths),
            ready_between: ready_between(request, &objects, now),
            paths: shown.paths,
            warnings,
            failures,
            objects,
        }
    }
}

async fn look_at(
    mut object: ObjectId,
    request: &Request,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Surveyed, StepError> {
    let facts = archive.head(&object).await?;
    let verdict = decide(&facts, request, now);
    let Facts::Found(head) = facts else { return Ok(Surveyed { object, size: 0, current: true, verdict }) };
    // A version that was named may not be the one that viewers get.
    let current = match &object.version {
        None => true,
        Some(named) => {
            let newest = ObjectId { version: None, ..object.clone() };
            match archive.head(&newest).await? {
                Facts::Found(newest) => newest.version.as_ref().is_none_or(|version| version == named),
                Facts::Missing(_) => false,
            }
        }
    };
    if object.version.is_none() {
        object.version = head.version;
    }
    Ok(Surveyed { object, size: head.size, current, verdict })
}

/// `days` means nothing for Intelligent-Tiering. Where only some objects are, it is left out for those; where all are,
/// the caller expects something that cannot happen.
fn refuse_days_without_copies(request: &Request, objects: &[Surveyed]) -> Result<(), StepError> {
    let Some(days) = request.days else { return Ok(()) };
    let mut kinds = objects.iter().filter_map(|surveyed| surveyed.verdict.kind).peekable();
    if kinds.peek().is_some() && kinds.all(|kind| !kind.has_copy()) {
        let why = "every archived object of this request is Intelligent-Tiering, which moves back for good and makes no copy that could expire. Leave days out.";
        return Err(Problem::field("days", &days.into(), why).into());
    }
    Ok(())
}

impl Surveyed {
    /// The path is its own if it is the current version.
    fn paths(&self, distribution: &Distribution, directory_index: &str) -> Paths {
        if self.current {
            distribution.paths_of(&self.object.bucket, &self.object.key, directory_index)
        } else {
            Paths::default()
        }
    }

    fn is_archived_and_wanted(&self) -> bool {
        match self.verdict.decision {
            Decision::Restore | Decision::Extend | Decision::Join | Decision::Watch => true,
            Decision::Nothing => false,
        }
    }

    fn failure(&self) -> Option<Failure> {
        match &self.verdict.known {
            Some(Event::Failed { code, message, .. }) => Some(Failure {
                key: self.object.key.clone(),
                version_id: self.object.version.clone(),
                code: *code,
                message: message.clone(),
            }),
            _ => None,
        }
    }
}

/// What the distributions show of the wanted objects.
struct Shown {
    paths: u64,
    without_path: u64,
    wildcards: u64,
    /// Objects whose only possible stale answer is an error that is kept briefly.
    only_errors: u64,
}

impl Shown {
    fn of(request: &Request, objects: &[Surveyed], distributions: &[Distribution], directory_index: &str) -> Self {
        let mut shown = Self { paths: 0, without_path: 0, wildcards: 0, only_errors: 0 };
        if request.publish.never() {
            return shown;
        }
        for surveyed in objects.iter().filter(|surveyed| surveyed.is_archived_and_wanted() && surveyed.current) {
            let per_distribution: Vec<_> =
                distributions.iter().map(|distribution| surveyed.paths(distribution, directory_index)).collect();
            let paths = per_distribution.iter().map(|paths| paths.paths.len() as u64).sum::<u64>();
            shown.paths += paths;
            shown.without_path += u64::from(paths == 0);
            shown.wildcards += per_distribution.iter().map(|paths| paths.covers.len() as u64).sum::<u64>();
            let ObjectId { bucket, key, .. } = &surveyed.object;
            let epoch = Timestamp::UNIX_EPOCH;
            // Readable since the epoch, seen an hour later: only what is kept longer than that can still be stale.
            let later = epoch + Duration::from_secs(3_600);
            let lasting = |distribution: &Distribution| {
                staleness(distribution, bucket, key, directory_index, epoch, later) != Staleness::Impossible
            };
            shown.only_errors += u64::from(paths > 0 && !distributions.iter().any(lasting));
        }
        shown
    }
}

fn count(objects: &[Surveyed]) -> Counts {
    let mut counts = Counts { total: objects.len() as u64, ..Counts::default() };
    for surveyed in objects {
        *match &surveyed.verdict.known {
            None => &mut counts.planned,
            Some(Event::NotArchived) => &mut counts.available,
            Some(Event::Readable { .. }) => &mut counts.restored,
            Some(Event::Failed { .. }) => &mut counts.failed,
            Some(
                Event::Requested { .. }
                | Event::Joined { .. }
                | Event::Claimed { .. }
                | Event::Published { .. }
                | Event::Cancelled { .. },
            ) => &mut counts.restoring,
        } += 1;
    }
    counts
}

fn by_kind(objects: &[Surveyed]) -> Vec<KindTotal> {
    let mut totals: BTreeMap<ArchiveKind, (u64, u64)> = BTreeMap::new();
    for surveyed in objects {
        if let Some(kind) = surveyed.verdict.kind {
            let total = totals.entry(kind).or_default();
            total.0 += 1;
            total.1 += surveyed.size;
        }
    }
    totals.into_iter().map(|(kind, (objects, bytes))| KindTotal { kind, objects, bytes }).collect()
}

fn price(request: &Request, objects: &[Surveyed], paths: u64) -> Cost {
    let book = Book::US_EAST_1;
    let (mut requests, mut retrieval, mut copies) = (Usd::default(), Usd::default(), Usd::default());
    let (mut retrieved, mut retrieved_bytes, mut copied) = (0_u64, 0_u64, 0_u64);
    for surveyed in objects {
        let Some(kind) = surveyed.verdict.kind else { continue };
        let pays_retrieval = match surveyed.verdict.decision {
            // Joining may make S3 fetch faster, and then it costs what the faster tier costs.
            Decision::Restore | Decision::Join => true,
            Decision::Extend | Decision::Watch | Decision::Nothing => false,
        };
        let pays_copy = match surveyed.verdict.decision {
            Decision::Restore | Decision::Extend => kind.has_copy(),
            Decision::Join | Decision::Watch | Decision::Nothing => false,
        };
        if pays_retrieval {
            let (request_price, retrieval_price) = book.retrieve(kind, request.tier, surveyed.size);
            requests = requests + request_price;
            retrieval = retrieval + retrieval_price;
            retrieved += 1;
            retrieved_bytes += surveyed.size;
        }
        if pays_copy {
            copies = copies + book.copy(surveyed.size, request.copy_days());
            copied += surveyed.size;
        }
    }
    let overhead = book.overhead(Overhead::expected(objects.len() as u64));
    let line = |what: &str, amount: String, usd| Line { what: what.to_owned(), amount, usd };
    let lines = vec![
        line("retrieval requests", format!("{retrieved} at {}", request.tier.word()), requests),
        line("retrieval", gib(retrieved_bytes), retrieval),
        line("temporary copies", format!("{} for {} days", gib(copied), request.copy_days()), copies),
        line(
            "invalidation",
            format!("{paths} paths, as if the month's 1,000 free ones were used up"),
            book.invalidation(paths),
        ),
        line("thaw itself", format!("{} objects", objects.len()), overhead),
    ];
    Cost::of(lines, book)
}

fn gib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let gib = bytes as f64 / f64::from(1 << 30);
    format!("{gib:.3} GiB")
}

fn ready_between(request: &Request, objects: &[Surveyed], now: Timestamp) -> Option<[Timestamp; 2]> {
    let windows = objects.iter().filter_map(|surveyed| match surveyed.verdict.decision {
        Decision::Restore | Decision::Join => surveyed.verdict.kind?.window(request.tier),
        // Who watches does not know the tier; it can take as long as the slowest that is typical.
        Decision::Watch if surveyed.verdict.known.is_none() => surveyed.verdict.kind?.window(thaw_core::Tier::Bulk),
        Decision::Extend | Decision::Watch | Decision::Nothing => None,
    });
    let windows: Vec<_> = windows.collect();
    let earliest = windows.iter().map(|window| window.earliest).min()?;
    let latest = windows.iter().map(|window| window.typical).max()?;
    Some([now + earliest, now + latest])
}

fn warnings(
    request: &Request,
    objects: &[Surveyed],
    shown: &Shown,
    distributions: &[Distribution],
    now: Timestamp,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let old_versions = objects.iter().filter(|surveyed| surveyed.is_archived_and_wanted() && !surveyed.current).count();
    if !request.publish.never() {
        if distributions.is_empty() {
            warnings.push(format!(
                "no distribution has the bucket {} as an origin: nothing will be invalidated",
                request.bucket
            ));
        } else if shown.without_path > 0 {
            warnings.push(format!(
                "{} objects are not served by any distribution: they are restored, and nothing is invalidated for them",
                shown.without_path
            ));
        }
        if shown.wildcards > 0 {
            warnings.push(format!("{} paths contain ~, which CloudFront cannot invalidate: a wildcard that ends before it is used where nothing archived lies under it", shown.wildcards));
        }
        if shown.only_errors > 0 && !request.publish.only_if_stale {
            let saved = Book::US_EAST_1.invalidation(shown.only_errors);
            warnings.push(format!("for {} objects at most a cached error can be stale, and that briefly: publish.only_if_stale would save up to ${saved}", shown.only_errors));
        }
        if old_versions > 0 {
            warnings.push(format!("{old_versions} objects are not the current versions of their keys: viewers do not get them, and nothing is invalidated for them"));
        }
    }
    let joined = objects.iter().filter(|surveyed| surveyed.verdict.decision == Decision::Join).count();
    if joined > 0 {
        warnings.push(format!("{joined} objects are being restored already: thaw joins, and S3 keeps their copies as long as the first requester said"));
    }
    let shorter = objects.iter().filter(|surveyed| match (&surveyed.verdict.decision, &surveyed.verdict.known) {
        (Decision::Watch, Some(Event::Readable { expires: Some(expires), .. })) => {
            *expires < now + Duration::from_secs(86_400 * u64::from(request.copy_days()))
        }
        _ => false,
    });
    let shorter = shorter.count();
    if shorter > 0 {
        warnings.push(format!(
            "{shorter} copies expire sooner than {} days from now, and are not extended",
            request.copy_days()
        ));
    }
    if objects
        .iter()
        .any(|surveyed| matches!(&surveyed.verdict.known, Some(Event::Failed { code: FailureCode::AccessDenied, .. })))
    {
        warnings.push("S3 answers 403 for some objects: with s3:ListBucket on the bucket it would say 404 for those that do not exist".to_owned());
    }
    warnings
}
