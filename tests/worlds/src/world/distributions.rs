//! The distributions that show the objects of a world.

use percent_encoding::percent_decode_str;
use serde::Serialize;

/// The id of the primary distribution.
pub const PRIMARY: &str = "E1THAW";
/// The id of the second distribution.
pub const SECOND: &str = "E2THAW";
/// The id of the staging distribution.
pub const STAGING: &str = "E3THAW";

/// A distribution, as its viewers know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Its id.
    pub id: &'static str,
    /// The origin path of the bucket, encoded.
    pub origin_path: &'static str,
    /// The first whose pattern matches serves a path. The last one matches every path.
    pub behaviours: Vec<Behaviour>,
    /// Whether CloudFront caches a 403 for a month. Otherwise it does not cache it.
    pub caches_errors: bool,
    /// Whether viewers get a page with status 200 while an object is archived, which CloudFront caches for a month.
    pub has_holding_page: bool,
    /// Whether viewers ask it.
    pub has_viewers: bool,
}

/// A cache behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Behaviour {
    /// The pattern, without a leading slash and with one `*`.
    pub pattern: &'static str,
    /// Whether it shows the bucket. Otherwise it shows a web server.
    pub shows_bucket: bool,
    /// Whether CloudFront caches a path apart for each query string.
    pub caches_by_query_string: bool,
    /// The function that sees its requests.
    pub function: Option<Function>,
}

/// A function of a behaviour that rewrites paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Function {
    /// When it runs.
    pub event: FunctionEvent,
    /// What it rewrites.
    pub rewrite: Rewrite,
    /// What `PathRules` says of it.
    pub rule: Rule,
}

/// When a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "they are CloudFront's names")]
pub enum FunctionEvent {
    ViewerRequest,
    OriginRequest,
}

/// A rewrite, as the function does it and as a rule says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// The path, encoded, with one `*`.
    pub from: &'static str,
    /// The path that it becomes. Its `*` is what the other `*` was.
    pub to: &'static str,
    /// The keys that are shown, without the origin path, as a rule writes them.
    pub keys: &'static str,
    /// Their paths, as a rule writes them.
    pub paths: &'static str,
}

/// What `PathRules` says of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Rule {
    /// Nothing.
    Missing,
    /// A rule for its distribution says what it does.
    OfItsDistribution,
    /// A rule for its behaviour of its distribution says what it does.
    OfItsBehaviour,
    /// A rule for all distributions says what it does.
    OfAllDistributions,
}

impl Rewrite {
    /// The path that the function makes of a path.
    pub fn apply(&self, path: &str) -> Option<String> {
        Some(self.to.replacen('*', matched(self.from, path)?, 1))
    }

    /// The path of which the function makes a path.
    pub fn undo(&self, path: &str) -> Option<String> {
        Some(self.from.replacen('*', matched(self.to, path)?, 1))
    }
}

/// What the `*` of a pattern stands for in a path.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (start, end) = pattern.split_once('*')?;
    path.strip_prefix(start)?.strip_suffix(end)
}

impl Behaviour {
    /// The behaviour for all paths that no other behaviour serves.
    pub const fn default(shows_bucket: bool, caches_by_query_string: bool) -> Self {
        Self { pattern: "*", shows_bucket, caches_by_query_string, function: None }
    }

    fn matches(&self, path: &str) -> bool {
        matched(self.pattern, path.trim_start_matches('/')).is_some()
    }
}

/// The staging distribution of the primary one. It has the same origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staging {
    /// Whether the continuous deployment policy is enabled.
    pub is_policy_enabled: bool,
    /// How many of a hundred viewers of the primary distribution get the staging distribution, if it is enabled.
    pub viewer_percent: u8,
    /// Whether it caches a 403 for a month.
    pub caches_errors: bool,
    /// Whether it caches a path apart for each query string.
    pub caches_by_query_string: bool,
}

impl Distribution {
    /// The beginning of the keys that it shows: the decoded origin path.
    pub fn key_prefix(&self) -> String {
        let origin_path = percent_decode_str(self.origin_path.trim_start_matches('/')).decode_utf8_lossy();
        if origin_path.is_empty() { String::new() } else { format!("{origin_path}/") }
    }

    /// The part of a key that viewers see, if the key lies under the origin path.
    pub fn shown_part<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.key_prefix().as_str())
    }

    /// The behaviour that serves a path.
    pub fn behaviour(&self, path: &str) -> Option<&Behaviour> {
        self.behaviours.iter().find(|behaviour| behaviour.matches(path))
    }
}
