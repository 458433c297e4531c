//! The API's view of the paths of objects: under which paths viewers get each, whether thaw would invalidate them, and why not.

use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{
    ArchiveKind, Event, Facts, FailureCode, Missing, PathReason, PriceList, PublishedReason, QueryStrings, Readability,
    Serving, Staleness, Usd, ViewerPath, quantity,
};

/// The paths of some objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PathsView {
    /// The bucket the objects are in.
    pub bucket: String,
    /// The objects, in the order of the request.
    pub objects: Vec<ObjectPaths>,
    /// How many paths an invalidation of all objects that can be invalidated would name.
    pub paths: u64,
    /// Their price, as if the month's 1,000 free paths were used up.
    pub usd: Usd,
    /// Distributions that thaw does not invalidate, and functions that may show the objects under paths that thaw does not know.
    pub warnings: Vec<String>,
}

/// The paths of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectPaths {
    /// The key.
    pub key: String,
    /// The version; absent in a bucket without versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Whether viewers get this version. A path shows the current one.
    pub current: bool,
    /// Whether the object can be read now.
    pub state: ObjectReadability,
    /// Which kind of archive it is in; absent if it is not archived or S3 did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArchiveKind>,
    /// When its copy expires, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_expires: Option<Timestamp>,
    /// The state in words.
    pub says: String,
    /// Whether thaw would invalidate its paths now, with `publish_only`.
    pub invalidation: InvalidationOutlook,
    /// What each distribution that thaw invalidates shows of it.
    pub distributions: Vec<DistributionPaths>,
}

/// Whether an object can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectReadability {
    /// It is not archived.
    Readable,
    /// A copy can be read.
    Copy,
    /// S3 is fetching it.
    Restoring,
    /// It is archived.
    Archived,
    /// There is no such object.
    Missing,
    /// S3 does not describe it.
    Unknown,
}

/// Whether thaw would invalidate an object's paths now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidationOutlook {
    /// Whether it would.
    pub possible: bool,
    /// With which code it would fail instead; absent also where there is nothing to invalidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// Why it would not, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// How many paths it would name, once it is possible.
    pub paths: u64,
    /// Their price, as if the month's 1,000 free paths were used up.
    pub usd: Usd,
}

/// What one distribution shows of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DistributionPaths {
    /// The distribution's id.
    pub id: String,
    /// Its own domain name; absent if CloudFront did not say it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Of a staging distribution: the id of its primary distribution, whose viewers it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging_of: Option<String>,
    /// The paths under which viewers get the object. Empty if it does not show the object.
    pub paths: Vec<ViewerPathView>,
    /// What an invalidation would name: paths, and wildcards.
    pub invalidation_paths: Vec<String>,
    /// Paths that would be left alone, because an archived object may be under them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<LeftAlone>,
    /// For how many seconds an edge keeps an error that it got while the object was archived; absent if it does not show the
    /// object, or if another answer may stand in for the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_seconds: Option<u64>,
    /// What an edge may hold, and for how long; or why it does not show the object.
    pub says: String,
}

/// A path under which viewers get an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ViewerPathView {
    /// As a viewer asks for it: encoded, without a query string.
    pub path: String,
    /// The pattern of the behaviour that answers.
    pub behaviour: String,
    /// The domain of the origin, with its path.
    pub origin: String,
    /// What makes it a path of the object.
    pub reason: PathReasonView,
    /// The rule of the parameter `PathRules`, or the name of the parameter `DirectoryIndex`, that makes it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Which query strings are cached apart: `none`, `all`, `unknown`, or the names.
    pub query_strings: String,
    /// What an invalidation names for it: the path; with `?*` where query strings are cached apart; or a wildcard that ends
    /// before a `~`.
    pub invalidated_as: Vec<String>,
    /// A command that shows what an edge answers; absent for a staging distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curl: Option<String>,
}

/// What makes a path one of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathReasonView {
    /// It is the key, without the path of the origin.
    Key,
    /// The key is the default root object.
    DefaultRootObject,
    /// The key is the index of the directory.
    DirectoryIndex,
    /// A rule of `PathRules` says so.
    PathRule,
    /// A function makes it of a path of a rule, and the answer is cached under it, too.
    Rewritten,
}

/// A path that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftAlone {
    /// The path.
    pub path: String,
    /// Why.
    pub why: String,
}

impl ObjectReadability {
    /// The state of an object as S3 describes it, its archive kind, when its copy expires, and the state in words.
    pub fn of(facts: &Facts, now: Timestamp) -> (Self, Option<ArchiveKind>, Option<Timestamp>, String) {
        let of_kind = |state, kind: ArchiveKind, says: String| (state, Some(kind), None, says);
        match facts {
            Facts::Found(head) => match head.readability(now) {
                Ok(Readability::Readable) => (Self::Readable, None, None, "It is not archived.".to_owned()),
                Ok(Readability::Copy { kind, expires }) => {
                    let says =
                        format!("A copy of it can be read until {expires:.0}. It is archived in {}.", kind.name());
                    (Self::Copy, Some(kind), Some(expires), says)
                }
                Ok(Readability::Restoring(kind)) => {
                    of_kind(Self::Restoring, kind, format!("S3 is fetching it from {}.", kind.name()))
                }
                Ok(Readability::Archived(kind)) => {
                    of_kind(Self::Archived, kind, format!("It is archived in {}.", kind.name()))
                }
                Err(unreadable) => (Self::Unknown, None, None, sentence(&unreadable.to_string())),
            },
            Facts::Missing(missing) => {
                let state = match missing {
                    Missing::Key | Missing::Version | Missing::DeleteMarker => Self::Missing,
                    Missing::Denied | Missing::Refused { .. } | Missing::Unreadable { .. } => Self::Unknown,
                };
                (state, None, None, sentence(&missing.explain().1))
            }
        }
    }
}

/// A message as a sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

impl InvalidationOutlook {
    /// The outlook on an invalidation of so many paths. `instead` is what publishing would record without invalidating
    /// anything.
    pub fn of(instead: Option<Event>, paths: u64) -> Self {
        let (code, why_not) = match instead {
            None => (None, None),
            Some(Event::Failed { code, message, .. }) => (Some(code), Some(message)),
            Some(Event::Published { how, .. }) => (None, Some(nothing_to_invalidate(&how).to_owned())),
            Some(
                Event::Requested { .. }
                | Event::Joined { .. }
                | Event::Readable { .. }
                | Event::NotArchived
                | Event::Claimed { .. }
                | Event::Released { .. }
                | Event::Cancelled { .. },
            ) => (None, None),
        };
        Self { possible: why_not.is_none(), code, why_not, paths, usd: PriceList::US_EAST_1.invalidation(paths) }
    }
}

fn nothing_to_invalidate(how: &PublishedReason) -> &'static str {
    match how {
        PublishedReason::NoPath => "no distribution that thaw invalidates shows it",
        PublishedReason::NotCurrent => "it is not the current version, and its paths show another one",
        PublishedReason::NothingStale => "nothing stale can be cached",
        PublishedReason::AlreadyPublished | PublishedReason::Invalidated { .. } => "it was published already",
    }
}

impl ViewerPathView {
    /// The view of a path of a distribution that answers viewers in this way, if that is known.
    pub fn of(path: ViewerPath<'_>, serving: Option<&Serving>) -> Self {
        let (reason, rule) = match &path.reason {
            PathReason::Key => (PathReasonView::Key, None),
            PathReason::DefaultRootObject => (PathReasonView::DefaultRootObject, None),
            PathReason::DirectoryIndex(index) => {
                (PathReasonView::DirectoryIndex, Some(format!("DirectoryIndex {index}")))
            }
            PathReason::Rule { keys, path } => (PathReasonView::PathRule, Some(format!("{keys} under {path}"))),
            PathReason::Rewritten => (PathReasonView::Rewritten, None),
        };
        let answers = serving.filter(|serving| !serving.staging && !serving.domain.is_empty());
        Self {
            curl: answers.map(|serving| curl(&serving.domain, &path.path)),
            behaviour: path.behaviour.to_owned(),
            origin: path.origin,
            reason,
            rule,
            query_strings: cached_apart(path.query_strings),
            invalidated_as: path.items,
            path: path.path,
        }
    }
}

/// The command that asks an edge for a path's headers, as a POSIX shell takes it.
fn curl(domain: &str, path: &str) -> String {
    // curl removes dot segments unless it is told not to.
    let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    let as_it_is = if has_dots { "--path-as-is " } else { "" };
    format!("curl -I {as_it_is}'https://{domain}{}'", path.replace('\'', r"'\''"))
}

fn cached_apart(query_strings: &QueryStrings) -> String {
    let names = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    match query_strings {
        QueryStrings::None => "none".to_owned(),
        QueryStrings::Whitelist(those) if those.is_empty() => "none".to_owned(),
        QueryStrings::Whitelist(those) => names(those),
        QueryStrings::AllExcept(those) => format!("all but {}", names(those)),
        QueryStrings::All => "all".to_owned(),
        QueryStrings::Unknown => "unknown".to_owned(),
    }
}

/// What an edge may hold of an object that becomes readable now: the seconds for which an error is kept, and a text.
pub fn at_the_edge(staleness: Staleness, now: Timestamp) -> (Option<u64>, String) {
    const OBJECT: &str = "A cached object stays for as long as its headers and the cache policy say.";
    match staleness {
        Staleness::Until(gone) => {
            let seconds = u64::try_from(gone.as_second() - now.as_second()).unwrap_or(0);
            let says = format!(
                "An edge keeps an error that it got while the object was archived for {}. {OBJECT}",
                span(seconds)
            );
            (Some(seconds), says)
        }
        Staleness::Possible => {
            let says = format!(
                "While the object was archived, an edge may have got the answer of a function or of a second origin instead of an error. It stays for as long as its headers say. {OBJECT}"
            );
            (None, says)
        }
        Staleness::Impossible => (None, OBJECT.to_owned()),
    }
}

/// A time in its largest unit that has no remainder.
fn span(seconds: u64) -> String {
    for (unit, one, many) in [(86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return quantity(seconds / unit, one, many);
        }
    }
    quantity(seconds, "second", "seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curl_command_asks_for_exactly_this_path() {
        assert_eq!(curl("d1.cloudfront.net", "/a%20b"), "curl -I 'https://d1.cloudfront.net/a%20b'");
        assert_eq!(curl("d", "/it's"), r"curl -I 'https://d/it'\''s'");
        assert_eq!(curl("d", "/a/../b"), "curl -I --path-as-is 'https://d/a/../b'");
        assert_eq!(curl("d", "/a..b"), "curl -I 'https://d/a..b'");
    }

    #[test]
    fn times_have_the_unit_that_people_would_use() {
        for (seconds, says) in [
            (1, "1 second"),
            (10, "10 seconds"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (7_200, "2 hours"),
            (86_400 * 30, "30 days"),
        ] {
            assert_eq!(span(seconds), says);
        }
    }
}
