//! Whether the paths of a key may be invalidated: what viewers would get under it now.
//!
//! thaw promises never to invalidate an archived object. So S3 is asked, and an object whose state is unknown counts as
//! archived.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use thaw_core::{Covered, Distribution, Event, Facts, FailureCode, Missing, ObjectId, PublishedReason, Readability};

use crate::archive::listing_lookup::look_up;
use crate::ports::{ListFrom, Listed, ReadArchive};
use crate::{Settings, StepError};

/// Pages of neighbours that are read before a wildcard is used for a `~`. If there are more, what it would cover is
/// unknown.
const PAGES_OF_NEIGHBOURS: usize = 10;

/// The event of an object that was readable, if its key must not be invalidated now; `None` if viewers can get it.
pub fn why_not_shown(object: &ObjectId, newest: &Facts, now: Timestamp) -> Option<Event> {
    let fail = |code, message: &str| Some(Event::Failed { at: now, code, message: message.to_owned() });
    let hidden = Some(Event::Published { at: now, how: PublishedReason::NotCurrent });
    match newest {
        Facts::Found(head) if object.version.is_some() && !object.is_version(head.version.as_deref()) => hidden,
        Facts::Found(head) => match head.readability(now) {
            Ok(Readability::Readable | Readability::Copy { .. }) => None,
            Ok(Readability::Archived(_) | Readability::Restoring(_)) => fail(
                FailureCode::NotBeingRestored,
                "its copy expired before it was published, or it was archived again",
            ),
            Err(unreadable) => fail(FailureCode::Unreadable, &unreadable.to_string()),
        },
        Facts::Missing(missing) => match missing {
            Missing::Key | Missing::Version | Missing::DeleteMarker if object.version.is_some() => hidden,
            Missing::Key | Missing::Version | Missing::DeleteMarker => {
                fail(FailureCode::NoSuchKey, "it was deleted before it was published")
            }
            // Which version viewers get is unknown.
            Missing::Denied => {
                fail(FailureCode::AccessDenied, "S3 answers 403: thaw may no longer read it, or it is gone")
            }
            Missing::Refused { .. } | Missing::Unreadable { .. } => {
                missing.undescribed().map(|(code, message)| Event::Failed { at: now, code, message })
            }
        },
    }
}

/// Those of the objects that viewers can get now according to a listing, where they lie close together. Nothing is
/// asked about the others.
pub async fn shown(
    objects: impl Iterator<Item = &ObjectId>,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<BTreeSet<ObjectId>, StepError> {
    let is_readable =
        |listed: &Listed| matches!(listed.readability(now), Some(Readability::Readable | Readability::Copy { .. }));
    let readable = |_: &ObjectId, listed: &Listed| is_readable(listed).then_some(());
    let (shown, _) = look_up(objects.cloned().collect(), |object| object, readable, archive).await?;
    Ok(shown.into_iter().map(|(object, ())| object).collect())
}

/// The event of an object that is readable, but whose paths must be left alone.
pub fn cannot_be_invalidated(why: &str, now: Timestamp) -> Event {
    let message = format!("it is readable, but it cannot be invalidated: {why}");
    Event::Failed { at: now, code: FailureCode::PathCannotBeInvalidated, message }
}

/// A text about the objects of a bucket, or of an origin with this domain, that thaw may not read.
pub fn may_be_archived(place: &str) -> String {
    format!("what {place} shows: some of that may be archived, and thaw looks only into the buckets of ArchiveBuckets")
}

/// A text about a wildcard that stands for a path with a `~`, and would cover `what`.
pub fn as_covered_too(what: &str) -> String {
    format!("CloudFront takes no path with a ~, and the wildcard that would cover it also covers {what}")
}

/// What of an object's paths may be invalidated.
#[derive(Debug, Default)]
pub struct SafePaths {
    /// By distribution. Empty if none shows it, or if all of its paths are left alone.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// What the wildcards among the paths cover.
    pub covers: BTreeSet<Covered>,
    /// Other objects that viewers may get under the paths, as buckets and keys. None of them is archived.
    pub namesakes: BTreeSet<(String, String)>,
    /// By distribution, paths that are left alone, and why.
    pub left_alone: BTreeMap<String, BTreeMap<String, String>>,
    /// What is in the way of an invalidation, if something is.
    pub obstacle: Option<Obstacle>,
    /// The readable objects that the wildcards cover, as buckets and keys. The object itself is among them.
    pub covered: BTreeSet<(String, String)>,
}

/// Why an object cannot be invalidated: it would invalidate others, too.
#[derive(Debug, Clone)]
pub struct Obstacle {
    /// The reason, in words.
    pub why: String,
    /// The archived object, if one was found.
    pub neighbour: Option<Neighbour>,
}

/// Finds the paths of an object that may be invalidated. Paths that may show an archived object are left alone.
pub async fn safe_paths(
    object: &ObjectId,
    distributions: &[Distribution],
    archive: &impl ReadArchive,
    settings: &Settings,
    now: Timestamp,
) -> Result<SafePaths, StepError> {
    let may_look = |bucket: &str| settings.archive_buckets.iter().any(|ours| ours == bucket);
    let (mut safe, mut taken) = (SafePaths::default(), None);
    for distribution in distributions {
        let mut shown = distribution.paths_of(&object.bucket, &object.key);
        let namesakes: BTreeSet<&(String, String)> = shown.shared.values().flatten().collect();
        for namesake in namesakes {
            let (bucket, key) = namesake;
            // An archived object of that name is served from the cache at best: its paths are left alone.
            let found = match *bucket == object.bucket || may_look(bucket) {
                true => match neighbour(bucket, key, archive, now).await? {
                    Some(neighbour) => Obstacle { why: neighbour.as_namesake_of(object), neighbour: Some(neighbour) },
                    None => continue,
                },
                false => Obstacle { why: may_be_archived(bucket), neighbour: None },
            };
            let is_shared = |path: &String| shown.shared.get(path).is_some_and(|all| all.contains(namesake));
            // Viewers use the path that a function rewrites, and its entry would stay.
            if shown.rewritten.iter().any(is_shared) {
                safe.obstacle.get_or_insert_with(|| found.clone());
            }
            let left = shown.paths.iter().filter(|path| is_shared(path)).map(|path| (path.clone(), found.why.clone()));
            safe.left_alone.entry(distribution.id.clone()).or_default().extend(left);
            shown.paths.retain(|path| !is_shared(path));
            taken = Some(found);
        }
        if !shown.paths.is_empty() {
            let shared = shown.shared.into_iter().filter(|(path, _)| shown.paths.contains(path));
            safe.namesakes.extend(shared.flat_map(|(_, namesakes)| namesakes));
            safe.paths.insert(distribution.id.clone(), shown.paths);
            safe.covers.extend(shown.covers);
        }
    }
    if safe.paths.is_empty() {
        // Clients take the dots out of `a/../b`, and CloudFront may, too.
        safe.obstacle = safe.obstacle.or(taken);
    }
    if safe.obstacle.is_none() {
        match wildcard_cover(&safe.covers, &object.bucket, may_look, archive, now).await? {
            WildcardCover::Archived { what, neighbour } => {
                safe.obstacle = Some(Obstacle { why: as_covered_too(&what), neighbour });
            }
            WildcardCover::Readable(covered) => safe.covered = covered,
        }
    }
    Ok(safe)
}

/// Why an object cannot be invalidated whose wildcard covers more readable objects than its request allows.
pub fn over_too_many(over: usize, max_over: u32) -> String {
    as_covered_too(&format!(
        "{over} other objects that viewers can get, and publish.max_over is {max_over}. Restore it again with \
         publish.max_over {over} to have all of them fetched anew from S3"
    ))
}

/// What a wildcard would cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WildcardCover {
    /// Something archived, in words. Anything that may not be readable counts as archived.
    Archived {
        /// The object, or what else, in words.
        what: String,
        /// The object, if it is one.
        neighbour: Option<Neighbour>,
    },
    /// Only what viewers can get: buckets and keys.
    Readable(BTreeSet<(String, String)>),
}

impl WildcardCover {
    /// What is archived, in words.
    pub fn archived(self) -> Option<String> {
        match self {
            Self::Archived { what, .. } => Some(what),
            Self::Readable(_) => None,
        }
    }
}

/// What the wildcards of an object in this bucket cover. `may_look` says which other buckets thaw may read.
pub async fn wildcard_cover(
    covers: &BTreeSet<Covered>,
    bucket: &str,
    may_look: impl Fn(&str) -> bool,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<WildcardCover, StepError> {
    let mut readable = BTreeSet::new();
    for covered in covers {
        let Some(other) = covered.bucket().filter(|other| *other == bucket || may_look(other)) else {
            return Ok(WildcardCover::Archived { what: may_be_archived(&covered.domain), neighbour: None });
        };
        match cover_of_prefix(other, &covered.prefix, archive, now).await? {
            WildcardCover::Archived { what, neighbour } => {
                let place = if other == bucket { String::new() } else { format!(" in {other}") };
                let what = format!("archived objects such as {what}{place}, which would then answer 403");
                return Ok(WildcardCover::Archived { what, neighbour });
            }
            WildcardCover::Readable(more) => readable.extend(more),
        }
    }
    Ok(WildcardCover::Readable(readable))
}

/// What lies under a prefix. An archived object is named.
pub async fn cover_of_prefix(
    bucket: &str,
    prefix: &str,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<WildcardCover, StepError> {
    let (mut from, mut readable) = (ListFrom::after(""), BTreeSet::new());
    for _ in 0..PAGES_OF_NEIGHBOURS {
        let page = archive.list(bucket, prefix, &from).await?;
        for listed in &page.objects {
            let doubtful = match listed.readability(now) {
                Some(Readability::Readable | Readability::Copy { .. }) => false,
                // A listing may leave out the status of a restore.
                Some(Readability::Archived(_) | Readability::Restoring(_)) | None => true,
            };
            if doubtful && let Some(neighbour) = neighbour(bucket, &listed.key, archive, now).await? {
                return Ok(WildcardCover::Archived { what: listed.key.clone(), neighbour: Some(neighbour) });
            }
            readable.insert((bucket.to_owned(), listed.key.clone()));
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(WildcardCover::Readable(readable)),
        }
    }
    let what = format!("those under {prefix:?}, of which there are too many to look at");
    Ok(WildcardCover::Archived { what, neighbour: None })
}

/// Whether an object can be read now; `None` if there is no such object. One that S3 does not describe counts as
/// archived.
pub async fn can_be_read(
    object: &ObjectId,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<bool>, StepError> {
    Ok(match archive.head(object).await? {
        Facts::Found(head) => {
            Some(matches!(head.readability(now), Ok(Readability::Readable | Readability::Copy { .. })))
        }
        Facts::Missing(Missing::Key | Missing::Version | Missing::DeleteMarker) => None,
        // Something is there.
        Facts::Missing(Missing::Denied | Missing::Refused { .. } | Missing::Unreadable { .. }) => Some(false),
    })
}

/// An archived object under a path or wildcard of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The version that viewers get; `None` if it has none, or S3 did not say.
    pub version: Option<String>,
    /// What S3 says of it.
    pub state: NeighbourState,
}

impl Neighbour {
    /// A text about it, where it is shown under a path of this object.
    pub fn as_namesake_of(&self, object: &ObjectId) -> String {
        let place = if self.bucket == object.bucket { String::new() } else { format!(" in {}", self.bucket) };
        format!(
            "under one of its paths viewers may also get the archived object {}{place}, which would then answer 403",
            self.key
        )
    }

    /// Whether an object of a restore is this one. One without a version is whatever viewers get.
    pub fn is_of(&self, object: &ObjectId) -> bool {
        object.version.is_none() || self.version.is_none() || object.is_version(self.version.as_deref())
    }
}

/// What S3 says of an archived neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourState {
    /// S3 is not fetching it, or does not describe it.
    Archived,
    /// S3 is fetching it.
    Restoring,
}

/// The neighbour of this key, if it is archived. A key without an object shows nothing, so an invalidation loses nothing.
/// What S3 does not describe counts as archived.
pub async fn neighbour(
    bucket: &str,
    key: &str,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Option<Neighbour>, StepError> {
    let object = ObjectId { bucket: bucket.to_owned(), key: key.to_owned(), version: None };
    let (version, state) = match archive.head(&object).await? {
        Facts::Found(head) => match head.readability(now) {
            Ok(Readability::Readable | Readability::Copy { .. }) => return Ok(None),
            Ok(Readability::Restoring(_)) => (head.version, NeighbourState::Restoring),
            Ok(Readability::Archived(_)) | Err(_) => (head.version, NeighbourState::Archived),
        },
        Facts::Missing(Missing::Key | Missing::Version | Missing::DeleteMarker) => return Ok(None),
        // Something is there.
        Facts::Missing(Missing::Denied | Missing::Refused { .. } | Missing::Unreadable { .. }) => {
            (None, NeighbourState::Archived)
        }
    };
    Ok(Some(Neighbour { bucket: object.bucket, key: object.key, version, state }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thaw_core::{Head, RestoreId, State};

    use super::*;
    use crate::ports::ListedRestore;
    use crate::testing::archive::{Neighbours, Sparse, near, nobody_near};
    use crate::testing::stack::{now, row};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_invalidated_only_if_it_can_be_read() {
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
            (Facts::Missing(Missing::Denied), "AccessDenied", "AccessDenied"),
            (Facts::Missing(Missing::Refused { says: "HTTP 400".to_owned() }), "HeadRefused", "HeadRefused"),
            (Facts::Missing(Missing::Unreadable { says: "ü".to_owned() }), "Unreadable", "Unreadable"),
        ] {
            assert_eq!(says(&object, &facts), unversioned, "{facts:?}");
            assert_eq!(says(&version, &facts), versioned, "{facts:?}");
        }
    }

    /// The archived neighbour that is found, and the neighbours that S3 was asked about.
    async fn found(listed: &[(&str, &str, Option<ListedRestore>)]) -> (Option<String>, Vec<String>) {
        let neighbours = near(listed);
        let found = cover_of_prefix("archive", "", &neighbours, now()).await.unwrap();
        (found.archived(), neighbours.asked.into_inner())
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
        // A listing says less than a HEAD.
        assert_eq!(found(&[("warm", "GLACIER", None)]).await, (None, vec!["warm".to_owned()]));
        let sealed = Some("sealed".to_owned());
        assert_eq!(found(&[("sealed", "GLACIER", None)]).await.0, sealed, "what S3 would not describe may be archived");
    }

    #[tokio::test]
    async fn an_archived_neighbour_behind_a_page_without_a_key_is_seen() {
        let listed = |key: &str| Listed {
            key: key.to_owned(),
            version: None,
            storage_class: "GLACIER".to_owned(),
            size: 1,
            modified: now(),
            restore: None,
        };
        let neighbours = Neighbours { listed: vec![listed("x-cold")], ..nobody_near() };
        let found = cover_of_prefix("archive", "x", &Sparse(&neighbours), now()).await.unwrap();
        assert!(matches!(found, WildcardCover::Archived { what, .. } if what == "x-cold"));
    }

    #[tokio::test]
    async fn neighbours_are_read_page_by_page_up_to_a_limit() {
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

    #[tokio::test]
    async fn a_bucket_that_thaw_may_not_read_counts_as_archived() {
        let among = async |domain: &str, archive: &Neighbours| {
            let covers = [Covered { domain: domain.to_owned(), prefix: String::new() }].into();
            wildcard_cover(&covers, "archive", |bucket| bucket == "ours", archive, now()).await.unwrap().archived()
        };
        let cold = near(&[("cold", "GLACIER", None)]);
        for (domain, says) in [
            ("archive.s3.amazonaws.com", "archived objects such as cold, which would then answer 403"),
            ("ours.s3.amazonaws.com", "archived objects such as cold in ours, which would then answer 403"),
        ] {
            assert_eq!(among(domain, &nobody_near()).await, None);
            assert_eq!(among(domain, &cold).await.unwrap(), says);
        }
        for domain in ["theirs.s3.amazonaws.com", "s3.amazonaws.com"] {
            let says = among(domain, &nobody_near()).await.unwrap();
            assert!(says.starts_with(&format!("what {domain} shows")), "{says}");
        }
    }
}
