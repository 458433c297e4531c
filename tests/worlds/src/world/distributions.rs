//! The distributions that show the objects of a world.

use serde::Serialize;

use super::World;

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
}

impl Behaviour {
    /// The behaviour for all paths that no other behaviour serves.
    pub const fn default(shows_bucket: bool, caches_by_query_string: bool) -> Self {
        Self { pattern: "*", shows_bucket, caches_by_query_string }
    }

    fn matches(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        let (start, end) = self.pattern.split_once('*').unwrap_or((self.pattern, ""));
        path.len() >= start.len() + end.len() && path.starts_with(start) && path.ends_with(end)
    }
}

/// The staging distribution of the primary one. It has the same origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staging {
    /// Whether the continuous deployment policy is enabled.
    pub is_policy_enabled: bool,
    /// How many of a hundred viewers of the primary distribution get the staging distribution, if it is enabled.
    pub viewer_percent: u32,
    /// Whether it caches a 403 for a month.
    pub caches_errors: bool,
    /// Whether it caches a path apart for each query string.
    pub caches_by_query_string: bool,
}

impl Distribution {
    /// The behaviour that serves a path.
    pub fn behaviour(&self, path: &str) -> Option<&Behaviour> {
        self.behaviours.iter().find(|behaviour| behaviour.matches(path))
    }
}

impl World {
    /// All distributions. The primary one is the first.
    pub fn distributions(&self) -> Vec<Distribution> {
        let primary = Distribution {
            id: PRIMARY,
            origin_path: self.origin_path,
            behaviours: vec![Behaviour::default(true, self.caches_by_query_string)],
            caches_errors: self.caches_errors,
            has_holding_page: false,
            has_viewers: true,
        };
        let staging = self.staging.as_ref().map(|staging| Distribution {
            id: STAGING,
            behaviours: vec![Behaviour::default(true, staging.caches_by_query_string)],
            caches_errors: staging.caches_errors,
            has_viewers: staging.is_policy_enabled,
            ..primary.clone()
        });
        [Some(primary), self.second.clone(), staging].into_iter().flatten().collect()
    }

    /// The distribution with this id.
    pub fn distribution(&self, id: &str) -> Option<Distribution> {
        self.distributions().into_iter().find(|distribution| distribution.id == id)
    }

    /// The distributions that viewers ask.
    pub fn viewed_distributions(&self) -> impl Iterator<Item = Distribution> {
        self.distributions().into_iter().filter(|distribution| distribution.has_viewers)
    }
}
