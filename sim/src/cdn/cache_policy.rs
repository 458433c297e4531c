//! What of a query string is in the cache key.

use serde::{Deserialize, Serialize};

/// `CachePolicy`, as far as it is about query strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CachePolicy {
    /// `Id`.
    pub id: String,
    /// `QueryStringBehavior`.
    pub query_string_behavior: QueryStringBehavior,
    /// `QueryStrings`: the parameters that the behaviour is about.
    pub query_strings: Vec<String>,
}

/// Which parameters are in the cache key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QueryStringBehavior {
    /// None of them.
    #[default]
    None,
    /// Those that are named.
    Whitelist,
    /// All but those that are named.
    AllExcept,
    /// All.
    All,
}

impl QueryStringBehavior {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Whitelist => "whitelist",
            Self::AllExcept => "allExcept",
            Self::All => "all",
        }
    }
}

impl CachePolicy {
    /// The part of a query string that is in the cache key, in the order of the request.
    pub(crate) fn kept(&self, query: &str) -> String {
        let is_named = |parameter: &&str| {
            let name = parameter.split('=').next().unwrap_or_default();
            self.query_strings.iter().any(|named| named == name)
        };
        let parameters = query.split('&');
        let kept: Vec<&str> = match self.query_string_behavior {
            QueryStringBehavior::None => Vec::new(),
            QueryStringBehavior::Whitelist => parameters.filter(is_named).collect(),
            QueryStringBehavior::AllExcept => parameters.filter(|parameter| !is_named(parameter)).collect(),
            QueryStringBehavior::All => parameters.collect(),
        };
        kept.join("&")
    }
}
