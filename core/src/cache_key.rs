//! What of a request is in CloudFront's cache key beside the path, and what clears all that is cached under a path.

use std::collections::BTreeSet;

/// Which parameters of a query string are in the cache key of a behaviour (`QueryStringBehavior` of a cache policy, or
/// `ForwardedValues` of a behaviour without one). Requests that differ in one of them are cached apart.
///
/// Headers and cookies may be in the cache key as well. An invalidation of a path clears what is cached under it whatever its
/// headers and cookies were; it does not clear what is cached under the path with a query string (Developer Guide,
/// "What you need to know when invalidating files").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum QueryStrings {
    /// `none`.
    #[default]
    None,
    /// `whitelist`: these.
    Whitelist(BTreeSet<String>),
    /// `allExcept`: all but these.
    AllExcept(BTreeSet<String>),
    /// `all`.
    All,
    /// CloudFront does not say: the policy is gone, or thaw may not read it.
    Unknown,
}

impl QueryStrings {
    /// Whether a path may be cached several times, each with another query string.
    pub fn make_variants(&self) -> bool {
        match self {
            Self::None => false,
            Self::Whitelist(names) => !names.is_empty(),
            Self::AllExcept(_) | Self::All | Self::Unknown => true,
        }
    }
}

/// The end of a wildcard that clears what is cached under a path with any query string: `/a.jpg?*`.
///
/// An invalidation may name a query string, and its `*` stands for any characters (Developer Guide, "What you need to know when
/// invalidating files"). In an invalidation `?` has no other meaning. A key with a `?` is shown under `%3F`, so this covers no other
/// object.
const ANY_QUERY_STRING: &str = "?*";

/// The wildcard that clears what is cached under a path with any query string.
pub(crate) fn with_any_query_string(path: &str) -> String {
    format!("{path}{ANY_QUERY_STRING}")
}

/// Whether an item of an invalidation is a wildcard of [`with_any_query_string`]: it stands for one path and no other.
pub fn is_any_query_string(item: &str) -> bool {
    item.ends_with(ANY_QUERY_STRING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wildcard::covers;
    use crate::{Behaviour, Distribution, Origin};

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The part of a request's URL that is in the cache key, as CloudFront's guide has it ("Understand the cache key", and
    /// "Cache content based on query string parameters").
    fn cached_under(query_strings: &QueryStrings, url: &str) -> String {
        let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
        let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
        let kept: Vec<&str> = match query_strings {
            QueryStrings::None => Vec::new(),
            QueryStrings::Whitelist(names) => query.split('&').filter(|one| names.contains(&name(one))).collect(),
            QueryStrings::AllExcept(names) => query.split('&').filter(|one| !names.contains(&name(one))).collect(),
            QueryStrings::All | QueryStrings::Unknown => query.split('&').collect(),
        };
        if kept.join("&").is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
    }

    /// Six policies, ten URLs: whatever a viewer asked for, its entry is cleared with the object's paths, and no entry of another
    /// object is.
    #[test]
    fn every_variant_of_a_path_is_cleared_and_none_of_another_object() {
        let policies = [
            QueryStrings::None,
            QueryStrings::Whitelist(names(&["v"])),
            QueryStrings::Whitelist(names(&[])),
            QueryStrings::AllExcept(names(&["utm_source"])),
            QueryStrings::All,
            QueryStrings::Unknown,
        ];
        let urls = [
            ("/a.jpg", "a.jpg"),
            ("/a.jpg?v=2", "a.jpg"),
            ("/a.jpg?utm_source=mail", "a.jpg"),
            ("/a.jpg?v=2&utm_source=mail", "a.jpg"),
            ("/a.jpg?w", "a.jpg"),
            ("/a.jpg?", "a.jpg"),
            ("/a.jpg?v=/b.jpg", "a.jpg"),
            ("/a.jpg%3Fv=2", "a.jpg?v=2"),
            ("/a.jpg%3Fv=2?v=2", "a.jpg?v=2"),
            ("/a.jpg2?v=2", "a.jpg2"),
        ];
        for query_strings in policies {
            let behaviour =
                Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), query_strings, ..Behaviour::default() };
            let origin =
                Origin { id: "s3".to_owned(), domain: "archive.s3.amazonaws.com".to_owned(), path: String::new() };
            let query_strings = behaviour.query_strings.clone();
            let distribution =
                Distribution { origins: vec![origin], behaviours: vec![behaviour], ..Distribution::default() };
            for (url, key) in urls {
                let cached = cached_under(&query_strings, url);
                for other in ["a.jpg", "a.jpg?v=2", "a.jpg2"] {
                    let paths = distribution.paths_of("archive", other, "").paths;
                    let is_cleared = paths.iter().any(|path| covers(path, &cached));
                    assert_eq!(is_cleared, other == key, "{other}, {query_strings:?}: {url} cached as {cached}");
                }
            }
        }
    }

    #[test]
    fn a_path_has_variants_where_a_parameter_may_be_in_the_cache_key() {
        for (query_strings, variants) in [
            (QueryStrings::None, false),
            (QueryStrings::Whitelist(names(&[])), false),
            (QueryStrings::Whitelist(names(&["v"])), true),
            (QueryStrings::AllExcept(names(&["utm_source"])), true),
            (QueryStrings::All, true),
            (QueryStrings::Unknown, true),
        ] {
            assert_eq!(query_strings.make_variants(), variants, "{query_strings:?}");
        }
    }
}
