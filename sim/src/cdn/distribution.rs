//! Distributions: which path goes to which origin, and for how long what is cached.

use super::edge::Cache;
use super::invalidation::Invalidation;
use crate::model::{Refusal, Sim, hash, name};
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
    /// `ContinuousDeploymentPolicyId`: [`Sim::put_continuous_deployment_policy`] makes one.
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
}

impl Default for Behavior {
    fn default() -> Self {
        Self { path_pattern: String::new(), target_origin_id: String::new(), default_ttl: 86_400, query_string: false }
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

impl Sim {
    /// Makes a distribution, or replaces the one with this id; its cache and invalidations stay. Answers its id.
    pub fn put_distribution(&mut self, config: DistributionConfig, now: Timestamp) -> Result<String, Refusal> {
        let config = self.complete(config)?;
        let id = match &config.id {
            Some(id) => id.clone(),
            None => format!("E{}", name(self.next_hash("distribution"), 13)),
        };
        let made = Distribution {
            id: id.clone(),
            config: DistributionConfig { id: Some(id.clone()), ..config.clone() },
            made: now,
            invalidations: Vec::new(),
            cache: Cache::default(),
        };
        self.distributions.entry(id.clone()).and_modify(|old| old.config = made.config.clone()).or_insert(made);
        Ok(id)
    }

    /// `GetDistribution` and `GetDistributionConfig`; a fault strikes both as `GetDistribution`.
    pub fn get_distribution(&mut self, id: &str) -> Result<&Distribution, Refusal> {
        self.call("GetDistribution", &[id], |sim| sim.distribution(id).map(|_| ()))?;
        self.distribution(id)
    }

    /// Makes a continuous deployment policy, or replaces the one with this id.
    pub fn put_continuous_deployment_policy(&mut self, policy: ContinuousDeploymentPolicy) {
        self.policies.insert(policy.id.clone(), policy);
    }

    /// `GetContinuousDeploymentPolicy`.
    pub fn get_continuous_deployment_policy(&mut self, id: &str) -> Result<ContinuousDeploymentPolicy, Refusal> {
        self.call("GetContinuousDeploymentPolicy", &[id], |sim| {
            let none = || Refusal::new("NoSuchContinuousDeploymentPolicy", 404, "The policy does not exist.");
            sim.policies.get(id).cloned().ok_or_else(none)
        })
    }

    /// `ListDistributions`, by id.
    pub fn list_distributions(&mut self) -> Result<Vec<&Distribution>, Refusal> {
        self.call("ListDistributions", &[], |_| Ok(()))?;
        Ok(self.distributions.values().collect())
    }

    /// A distribution, without a call being counted.
    pub fn distribution(&self, id: &str) -> Result<&Distribution, Refusal> {
        self.distributions.get(id).ok_or_else(no_such_distribution)
    }

    /// All distributions by id, without a call being counted.
    pub fn distributions(&self) -> impl Iterator<Item = &Distribution> {
        self.distributions.values()
    }

    /// Fills in what the config leaves to us, and refuses what refers to nothing.
    fn complete(&self, mut config: DistributionConfig) -> Result<DistributionConfig, Refusal> {
        let region = &self.settings.region;
        for origin in &mut config.origins {
            if origin.holding_page.is_some() {
                continue;
            }
            if origin.domain_name.is_empty() {
                origin.domain_name = format!("{}.s3.{region}.amazonaws.com", origin.bucket);
            } else if origin.bucket.is_empty() {
                // A bucket name may have dots, so the endpoint is cut off from the right.
                let name = origin.domain_name.split(".s3.").next().unwrap_or_default();
                origin.bucket = name.split(".s3-website").next().unwrap_or_default().to_owned();
            }
        }
        for origin in config.origins.iter_mut().filter(|origin| origin.domain_name.is_empty()) {
            origin.domain_name = format!("{}.example", origin.id);
        }
        let first = config.origins.first().map(|origin| origin.id.clone());
        let first = first.ok_or_else(|| invalid("a distribution needs an origin"))?;
        for behavior in config.behaviors.iter_mut().chain([&mut config.default_behavior]) {
            if behavior.target_origin_id.is_empty() {
                behavior.target_origin_id.clone_from(&first);
            }
        }
        config.check()?;
        Ok(config)
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

    fn check(&self) -> Result<(), Refusal> {
        for behavior in self.behaviors.iter().chain([&self.default_behavior]) {
            if self.targets(&behavior.target_origin_id).0.is_none() {
                let message = format!("no origin or origin group is called {}", behavior.target_origin_id);
                return Err(Refusal::new("NoSuchOrigin", 404, message));
            }
        }
        if self.behaviors.iter().any(|behavior| behavior.path_pattern.is_empty()) {
            return Err(invalid("a cache behavior needs a path_pattern"));
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

pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new("InvalidArgument", 400, message)
}

pub(crate) fn no_such_distribution() -> Refusal {
    Refusal::new("NoSuchDistribution", 404, "The specified distribution does not exist.")
}
