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

/// Whether an item of an invalidation is a wildcard such as `/a.jpg?*`: it stands for one path and no other.
pub fn is_any_query_string(item: &str) -> bool {
    item.ends_with(ANY_QUERY_STRING)
}

#[cfg(test)]
mod tests;
