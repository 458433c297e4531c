//! Distributions: which path goes to which origin, and for how long what is cached.

use super::cache::Cache;
use super::cache_policy::CachePolicy;
use super::invalidation::Invalidation;
use crate::model::{ApiError, hash, name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a distribution is made from: the parts of CloudFront's `DistributionConfig` that decide which viewer path
/// shows which key, and what can be stale. What is absent has CloudFront's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistributionConfig {
    /// The id to have; absent is a made-up one.
    pub id: Option<String>,
    /// `Comment`.
    pub comment: String,
    /// `Aliases`: names of one's own that the distribution answers to.
    pub aliases: Vec<String>,
    /// `DefaultRootObject`, e.g. `index.html`.
    pub default_root_object: String,
    /// A viewer-request function that appends this to paths that end in `/`. Absent is no function.
    pub directory_index: Option<String>,
    /// `Origins`.
    pub origins: Vec<Origin>,
    /// `OriginGroups`.
    pub origin_groups: Vec<OriginGroup>,
    /// `DefaultCacheBehavior`.
    pub default_behavior: Behavior,
    /// `CacheBehaviors`; the first whose pattern matches serves a path.
    pub behaviors: Vec<Behavior>,
    /// `CustomErrorResponses`.
    pub custom_error_responses: Vec<CustomErrorResponse>,
    /// For how long the edge keeps a 403. Absent is the `error_caching_min_ttl` of the custom error response for 403,
    /// or not at all if there is none.
    ///
    /// The Developer Guide contradicts itself. "Control how long CloudFront caches errors" applies the error TTL to
    /// 403; "How CloudFront processes HTTP 4xx and 5xx status codes" (2026) caches a 403 only if the origin sends
    /// `Cache-Control: max-age`, which S3 does not. The former is what a stale 403 needs; set 0 here for the latter.
    pub cache_forbidden_seconds: Option<u32>,
    /// Not `Enabled`.
    pub disabled: bool,
    /// `Staging`.
    pub staging: bool,
    /// `ConnectionMode` is `tenant-only`.
    pub tenant_only: bool,
    /// `ContinuousDeploymentPolicyId`: [`put_continuous_deployment_policy`](crate::Sim::put_continuous_deployment_policy) makes one.
    pub continuous_deployment_policy_id: Option<String>,
}

/// `ContinuousDeploymentPolicyConfig`: to which staging distributions some of the viewers are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContinuousDeploymentPolicy {
    /// The id.
    pub id: String,
    /// `Enabled`.
    pub enabled: bool,
    /// `StagingDistributionDnsNames`.
    pub staging_distributions: Vec<String>,
    /// `TrafficConfig`.
    pub traffic: Traffic,
}

/// `TrafficConfig`: which requests a policy sends to the staging distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Traffic {
    /// `SingleHeaderConfig`: those with this header, whose name begins with `aws-cf-cd-`.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Its value.
        value: String,
    },
    /// `SingleWeightConfig`: so many of a hundred, drawn for each request, as without session stickiness. CloudFront takes 15
    /// at most.
    Percent(u8),
}

impl Default for Traffic {
    fn default() -> Self {
        Self::Header { name: "aws-cf-cd-staging".to_owned(), value: "1".to_owned() }
    }
}

/// Where content comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Origin {
    /// `Id`.
    pub id: String,
    /// The bucket of an S3 origin. It may be left out where `domain_name` says it.
    pub bucket: String,
    /// `DomainName`; absent is the regional one of the bucket.
    pub domain_name: String,
    /// `OriginPath`: what goes before every path, e.g. `/archive`; no `/` at its end.
    pub origin_path: String,
    /// `OriginAccessControlId`: CloudFront signs its requests to the bucket as the distribution. Absent is none. The simulator
    /// enforces no bucket policy, so it only says so.
    pub origin_access_control: Option<String>,
    /// An origin that is no bucket and answers this to everything.
    pub holding_page: Option<HoldingPage>,
}

/// What an origin that is no bucket answers: "come back later".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldingPage {
    /// The HTTP status. With 200 the edge keeps the page under the real path, for as long as any content.
    pub status: u16,
    /// The page.
    pub body: String,
    /// `Content-Type`.
    pub content_type: String,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
}

impl Default for HoldingPage {
    fn default() -> Self {
        Self {
            status: 200,
            body: "This file is being fetched from the archive.\n".to_owned(),
            content_type: "text/plain".to_owned(),
            cache_control: None,
        }
    }
}

/// `OriginGroup`: two origins, the second asked when the first answers one of the statuses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OriginGroup {
    /// `Id`.
    pub id: String,
    /// The statuses that make the second one be asked.
    pub failover_statuses: Vec<u16>,
    /// The ids of the first and the second.
    pub members: Vec<String>,
}

/// `CacheBehavior`: which origin serves the paths of a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behavior {
    /// `PathPattern` with `*` and `?`; not for the default behaviour.
    pub path_pattern: String,
    /// `TargetOriginId`: an origin or an origin group; absent is the first origin.
    pub target_origin_id: String,
    /// `DefaultTTL` in seconds. CloudFront: 86,400.
    pub default_ttl: u32,
    /// `ForwardedValues.QueryString`: is the query string a part of what is cached?
    pub query_string: bool,
    /// The policy of `CachePolicyId`; it replaces `ForwardedValues`.
    pub cache_policy: Option<CachePolicy>,
    /// A CloudFront Function on viewer-request (`FunctionAssociations`). It runs before the cache lookup, so what it makes of
    /// the path is in the cache key.
    pub viewer_request: Option<Function>,
    /// A Lambda@Edge function on origin-request (`LambdaFunctionAssociations`). It runs after the cache lookup, so the path of
    /// the viewer stays in the cache key.
    pub origin_request: Option<Function>,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            path_pattern: String::new(),
            target_origin_id: String::new(),
            default_ttl: 86_400,
            query_string: false,
            cache_policy: None,
            viewer_request: None,
            origin_request: None,
        }
    }
}

/// A function of a behaviour: which paths it rewrites. The first rewrite that matches counts; other paths stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Function {
    /// The end of its ARN.
    pub name: String,
    /// What it rewrites.
    pub rewrites: Vec<Rewrite>,
}

/// How a function rewrites a path, encoded as in the request line, without the query string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The paths: `/img/*.jpg`. The first `*` is any characters, also none and also slashes.
    pub from: String,
    /// What becomes of them: `/images/*.jpeg`. Its first `*` is what that of `from` was.
    pub to: String,
}

impl Function {
    /// What the function makes of a path; `None` if it leaves it alone.
    pub(super) fn rewrite(&self, path: &str) -> Option<String> {
        self.rewrites.iter().find_map(|rewrite| rewrite.apply(path))
    }
}

impl Rewrite {
    fn apply(&self, path: &str) -> Option<String> {
        let Some((before, after)) = self.from.split_once('*') else {
            return (path == self.from).then(|| self.to.replacen('*', "", 1));
        };
        let any = path.strip_prefix(before)?.strip_suffix(after)?;
        Some(self.to.replacen('*', any, 1))
    }
}

/// `CustomErrorResponse`: for how long an error is kept, and which page is shown instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomErrorResponse {
    /// `ErrorCode`.
    pub error_code: u16,
    /// `ErrorCachingMinTTL` in seconds; absent is CloudFront's 10.
    pub error_caching_min_ttl: Option<u32>,
    /// `ResponsePagePath`, e.g. `/errors/403.html`.
    pub response_page_path: Option<String>,
    /// `ResponseCode`; goes with the page.
    pub response_code: Option<u16>,
}

/// A distribution.
#[derive(Debug)]
pub struct Distribution {
    pub(crate) id: String,
    pub(crate) config: DistributionConfig,
    pub(crate) made: Timestamp,
    /// Oldest first.
    pub(crate) invalidations: Vec<Invalidation>,
    pub(crate) cache: Cache,
}

impl Distribution {
    /// The id, e.g. `E2QWRUHAPOMQZL`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it was made from, with every default filled in.
    pub fn config(&self) -> &DistributionConfig {
        &self.config
    }

    /// When it was made.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// The name viewers use.
    pub fn domain_name(&self) -> String {
        format!("{}.cloudfront.net", self.id.to_lowercase())
    }

    /// The tag of this configuration.
    pub fn etag(&self) -> String {
        name(hash(2, &[&format!("{:?}", self.config)]), 14)
    }

    /// Everything that was ever invalidated, oldest first.
    pub fn invalidations(&self) -> &[Invalidation] {
        &self.invalidations
    }

    pub(crate) fn snapshot(&self, now: Timestamp) -> Value {
        let invalidations = self.invalidations.iter();
        json!({
            "id": self.id,
            "domain_name": self.domain_name(),
            "config": self.config,
            "invalidations": invalidations.map(|invalidation| invalidation.snapshot(now)).collect::<Vec<_>>(),
            "cached": self.cache.snapshot(now),
        })
    }
}

impl DistributionConfig {
    /// Which origins serve a target: one, or the two of a group with the statuses that lead to the second.
    pub(crate) fn targets(&self, id: &str) -> (Option<&Origin>, Option<(&Origin, &[u16])>) {
        let Some(group) = self.origin_groups.iter().find(|group| group.id == id) else {
            return (self.origin(id), None);
        };
        let mut members = group.members.iter().filter_map(|member| self.origin(member));
        (members.next(), members.next().map(|second| (second, group.failover_statuses.as_slice())))
    }

    fn origin(&self, id: &str) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.id == id)
    }

    pub(super) fn check(&self) -> Result<(), ApiError> {
        for behavior in self.behaviors.iter().chain([&self.default_behavior]) {
            if self.targets(&behavior.target_origin_id).0.is_none() {
                let message = format!("no origin or origin group is called {}", behavior.target_origin_id);
                return Err(ApiError::new("NoSuchOrigin", 404, message));
            }
        }
        if self.behaviors.iter().any(|behavior| behavior.path_pattern.is_empty()) {
            return Err(invalid("a cache behavior needs a path_pattern"));
        }
        let behaviors = || self.behaviors.iter().chain([&self.default_behavior]);
        let functions = behaviors().flat_map(|behavior| behavior.viewer_request.iter().chain(&behavior.origin_request));
        if functions.flat_map(|function| &function.rewrites).any(|rewrite| !rewrite.to.starts_with('/')) {
            return Err(invalid("a function rewrites a path to one that begins with /"));
        }
        if self.origin_groups.iter().any(|group| group.members.len() != 2) {
            return Err(invalid("an origin group has two members"));
        }
        if self.origins.iter().any(|origin| origin.origin_path.ends_with('/')) {
            return Err(invalid("an origin_path does not end in /"));
        }
        Ok(())
    }
}

pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new("InvalidArgument", 400, message)
}

pub(crate) fn no_such_distribution() -> ApiError {
    ApiError::new("NoSuchDistribution", 404, "The specified distribution does not exist.")
}
