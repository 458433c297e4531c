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
                | Event::Released { .. }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{now, settings};
    use crate::ports::{Page, PortError};
    use serde_json::{Value, json};
    use thaw_core::{Behaviour, ErrorRule, Head, Missing, Origin};

    /// A bucket where the first folder of a key says what the object is. Each has a GiB, and the versions v1 and v2.
    struct Archive;

    impl ReadArchive for Archive {
        async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
            const ONGOING: &str = r#"ongoing-request="true""#;
            const DONE: &str = r#"ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT""#;
            let (class, status, restore) = match object.key.split('/').next().unwrap() {
                "flexible" => ("GLACIER", None, None),
                "deep" => ("DEEP_ARCHIVE", None, None),
                "tiered" => ("INTELLIGENT_TIERING", Some("ARCHIVE_ACCESS"), None),
                "running" => ("GLACIER", None, Some(ONGOING)),
                "copied" => ("GLACIER", None, Some(DONE)),
                "standard" => ("STANDARD", None, None),
                "denied" => return Ok(Facts::Missing(Missing::Denied)),
                _ => return Ok(Facts::Missing(Missing::Key)),
            };
            Ok(Facts::Found(Head {
                storage_class: Some(class.to_owned()),
                archive_status: status.map(str::to_owned),
                restore: restore.map(str::to_owned),
                version: object.version.clone().or_else(|| Some("v2".to_owned())),
                size: 1 << 30,
            }))
        }

        async fn list(&self, _: &str, _: &str, _: &str) -> Result<Page, PortError> {
            Ok(Page::default())
        }
    }

    struct Cdn(Vec<Distribution>);

    impl ReadDistributions for Cdn {
        async fn distributions(&self, _: &str, _: &[String]) -> Result<Vec<Distribution>, PortError> {
            Ok(self.0.clone())
        }
    }

    /// A distribution that shows the keys under a prefix, and keeps errors for so many seconds.
    fn showing(prefix: &str, error_ttl: u64) -> Distribution {
        let domain = "archive.s3.amazonaws.com".to_owned();
        Distribution {
            id: "E1".to_owned(),
            origins: vec![Origin { id: "s3".to_owned(), domain, path: prefix.to_owned() }],
            behaviours: vec![Behaviour {
                pattern: "*".to_owned(),
                target: "s3".to_owned(),
                has_origin_function: false,
            }],
            errors: vec![ErrorRule { code: 403, min_ttl: error_ttl }],
            ..Distribution::default()
        }
    }

    const A_MONTH: u64 = 30 * 86_400;

    async fn survey(distributions: Vec<Distribution>, keys: Value, more: Value) -> Result<Survey, StepError> {
        let mut body = json!({"bucket": "archive", "keys": keys});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Survey::of(&Request::parse(&body).unwrap(), &Archive, &Cdn(distributions), &settings(), now()).await
    }

    /// The survey of a request whose objects are all shown, and long stale.
    async fn shown(keys: Value, more: Value) -> Survey {
        survey(vec![showing("", A_MONTH)], keys, more).await.unwrap()
    }

    fn all() -> Value {
        json!([
            "flexible/1",
            "flexible/2",
            "deep/1",
            "tiered/1",
            "running/1",
            "copied/1",
            "standard/1",
            "gone",
            "denied"
        ])
    }

    #[tokio::test]
    async fn each_object_pays_for_what_s3_is_asked() {
        let cost = shown(all(), json!({"days": 30})).await.cost;
        let lines: Vec<_> = cost.lines.iter().map(|line| (line.amount.as_str(), line.usd.as_f64())).collect();
        // What runs already may be made faster, so it pays a retrieval; the live copy pays its longer life only; what
        // moves back for good has no copy.
        assert_eq!(lines[0], ("5 at Standard", (3.0 * 0.05 + 0.1) / 1_000.0));
        assert_eq!(lines[1], ("5.000 GiB", 3.0 * 0.01 + 0.02));
        assert_eq!(lines[2], ("4.000 GiB for 30 days", 4.0 * 0.023));
        assert!(lines[3].0.starts_with("6 paths") && lines[3].1 == 6.0 * 0.005, "{lines:?}");
        assert_eq!(lines[4].0, "9 objects");
    }

    #[tokio::test]
    async fn objects_are_counted_by_where_they_are_and_by_kind() {
        let survey = shown(all(), json!({"join_only": true})).await;
        let expected = Counts { total: 9, planned: 1, available: 1, restored: 1, failed: 6, ..Counts::default() };
        assert_eq!(survey.counts, expected);
        let kinds: Vec<_> = survey.by_kind.iter().map(|total| (total.kind, total.objects, total.bytes >> 30)).collect();
        assert_eq!(kinds, [(ArchiveKind::Flexible, 4, 4), (ArchiveKind::Deep, 1, 1), (ArchiveKind::ItArchive, 1, 1)]);
        assert_eq!(survey.failures.len(), 6);
    }

    #[tokio::test]
    async fn it_is_ready_between_the_first_and_the_last_that_is_waited_for() {
        let hours = |from, to| Some([from, to].map(|hours: u64| now() + Duration::from_secs(hours * 3_600)));
        for (keys, join_only, ready) in [
            (json!(["flexible/1", "deep/1", "copied/1", "standard/1"]), false, hours(3, 12)),
            (json!(["running/1"]), false, hours(3, 5)),
            // Nobody knows at which tier others asked: Bulk takes longest.
            (json!(["running/1"]), true, hours(5, 12)),
            (json!(["copied/1"]), true, None),
            (json!(["copied/1", "standard/1", "gone"]), false, None),
        ] {
            let survey = shown(keys.clone(), json!({"join_only": join_only})).await;
            assert_eq!(survey.ready_between, ready, "{keys} {join_only}");
        }
    }

    #[tokio::test]
    async fn paths_are_those_of_wanted_objects_under_every_distribution() {
        let two = || vec![showing("", A_MONTH), showing("", A_MONTH)];
        let paths = async |keys, more| survey(two(), keys, more).await.unwrap().paths;
        assert_eq!(paths(json!(["flexible/1", "standard/1", "gone"]), json!({})).await, 2);
        assert_eq!(paths(json!([{"key": "flexible/1", "version_id": "v2"}]), json!({})).await, 2);
        assert_eq!(paths(json!([{"key": "flexible/1", "version_id": "v1"}]), json!({})).await, 0);
        assert_eq!(paths(json!(["flexible/1"]), json!({"publish": {"when": "never"}})).await, 0);
    }

    #[tokio::test]
    async fn who_should_know_something_is_told_it_and_nobody_else() {
        let flexible = || json!(["flexible/1"]);
        let old = || json!([{"key": "flexible/1", "version_id": "v1"}]);
        let everywhere = || vec![showing("", A_MONTH)];
        let never = || json!({"publish": {"when": "never"}});
        for (distributions, keys, more, told) in [
            (everywhere(), flexible(), json!({}), None),
            (vec![], flexible(), json!({}), Some("no distribution has the bucket archive as an origin")),
            (vec![], flexible(), never(), None),
            (vec![showing("/pub", A_MONTH)], flexible(), json!({}), Some("1 objects are not served by any")),
            (vec![showing("/pub", 10)], flexible(), json!({}), Some("1 objects are not served by any")),
            (everywhere(), json!(["flexible/~1"]), json!({}), Some("1 paths contain ~")),
            (vec![showing("", 10)], flexible(), json!({}), Some("for 1 objects at most a cached error can be stale")),
            (vec![showing("", 10)], flexible(), json!({"publish": {"only_if_stale": true}}), None),
            (vec![showing("", 10), showing("", A_MONTH)], flexible(), json!({}), None),
            (everywhere(), old(), json!({}), Some("1 objects are not the current versions")),
            (everywhere(), old(), never(), None),
            (everywhere(), json!([{"key": "standard/1", "version_id": "v1"}]), json!({}), None),
            (everywhere(), json!(["running/1"]), json!({}), Some("1 objects are being restored already")),
            (everywhere(), json!(["running/1"]), json!({"join_only": true}), None),
            // The copy lives for four and a half days.
            (everywhere(), json!(["copied/1"]), json!({"join_only": true, "days": 5}), Some("1 copies expire sooner")),
            (everywhere(), json!(["copied/1"]), json!({"join_only": true, "days": 4}), None),
            (everywhere(), json!(["copied/1"]), json!({"days": 5}), None),
            (everywhere(), json!(["flexible/1", "denied"]), json!({}), Some("S3 answers 403 for some objects")),
        ] {
            let warnings = survey(distributions, keys.clone(), more.clone()).await.unwrap().warnings;
            match told {
                None => assert_eq!(warnings, [""; 0], "{keys} {more}"),
                Some(told) => {
                    assert!(warnings.len() == 1 && warnings[0].starts_with(told), "{keys} {more} {warnings:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_copy_that_lives_for_the_days_that_were_asked_is_long_enough() {
        let body = json!({"bucket": "archive", "keys": ["copied/1"], "join_only": true, "days": 5});
        let midnight = "2026-11-22T00:00:00Z".parse().unwrap();
        let cdn = Cdn(vec![showing("", A_MONTH)]);
        let survey = Survey::of(&Request::parse(&body).unwrap(), &Archive, &cdn, &settings(), midnight).await.unwrap();
        assert_eq!(survey.warnings, [""; 0]);
    }

    #[tokio::test]
    async fn days_are_refused_only_where_no_object_can_have_a_copy() {
        let days = || json!({"days": 7});
        let refused = survey(vec![], json!(["tiered/1", "standard/1"]), days()).await.unwrap_err();
        assert!(refused.to_string().starts_with("days: every archived object"), "{refused}");
        for keys in [json!(["tiered/1", "flexible/1"]), json!(["standard/1", "gone"])] {
            survey(vec![], keys, days()).await.unwrap();
        }
        survey(vec![], json!(["tiered/1"]), json!({})).await.unwrap();
    }
}
