//! `GET /v1/distributions`: the distributions as thaw sees them when it publishes objects of a bucket.

use std::collections::BTreeSet;

use serde::Serialize;
use thaw_core::{Behaviour, Distribution, FunctionEvent, LeftOut, Origin, Problem, QueryStrings};

use crate::api::http::{self, Response};
use crate::ports::{Distributions, ReadDistributions};
use crate::publishing::distributions;
use crate::{Settings, StepError};

/// Answers for one archive bucket; for the first one if the request names none.
pub async fn run(request: &http::Request, cdn: &impl ReadDistributions, settings: &Settings) -> Response {
    get(request, cdn, settings).await.into()
}

async fn get(
    request: &http::Request,
    cdn: &impl ReadDistributions,
    settings: &Settings,
) -> Result<Response, StepError> {
    request.expect_queries(&["bucket"])?;
    let named =
        request.text_query("bucket").or(settings.archive_buckets.first().map(String::as_str)).unwrap_or_default();
    if !settings.archive_buckets.iter().any(|bucket| bucket == named) {
        return Err(Problem::foreign_bucket(named, &settings.archive_buckets).into());
    }
    let read = distributions::read(named, cdn, settings).await?;
    Ok(Response::json(200, &DistributionsView::of(named, &read, settings)))
}

/// The distributions in front of a bucket, and the settings of the stack that decide which they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DistributionsView {
    /// The bucket.
    pub bucket: String,
    /// All archive buckets of the stack.
    pub archive_buckets: Vec<String>,
    /// The stack's parameter DistributionIds. If empty, thaw finds the distributions by their origins.
    pub distribution_ids: Vec<String>,
    /// The distributions that are invalidated.
    pub distributions: Vec<DistributionView>,
    /// The distributions that are not invalidated, and why.
    pub left_out: Vec<LeftOutView>,
}

/// A distribution that is invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DistributionView {
    /// Its id.
    pub id: String,
    /// Its origins that are the bucket. A distribution without one shows nothing of the bucket.
    pub origins: Vec<OriginView>,
    /// Its behaviours that may show objects of the bucket, in order of precedence.
    pub behaviours: Vec<BehaviourView>,
    /// How long errors are cached, where the distribution says so. For other errors it is 10 seconds.
    pub error_caching: Vec<ErrorCachingView>,
}

/// An origin that is the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OriginView {
    /// Its id in the distribution.
    pub id: String,
    /// Its domain.
    pub domain: String,
    /// The origin path: what CloudFront puts before every path. Empty, or begins with a slash.
    pub path: String,
}

/// A behaviour that may show objects of the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BehaviourView {
    /// Its path pattern; `*` is the default behaviour.
    pub path_pattern: String,
    /// Which parameters of the query string are in the cache key. Whatever its headers and cookies were, an invalidation of
    /// a path clears it; with another query string it does not.
    pub query_strings: QueryStringsView,
    /// The parameters that `whitelist` and `all_except` name.
    pub query_string_names: Vec<String>,
    /// Whether a path may be cached several times, each with another query string. Then each path is invalidated with a
    /// wildcard for its query strings, too.
    pub has_variants: bool,
    /// The functions that may rewrite paths.
    pub functions: Vec<FunctionView>,
    /// Whether a function may change what is shown, and thaw does not know how. Then no wildcards are used here.
    pub has_unknown_function: bool,
    /// The HTTP codes on which CloudFront asks the second origin of the origin group.
    pub fails_over_on: Vec<u16>,
}

/// Which parameters of a query string are in a cache key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QueryStringsView {
    /// None.
    None,
    /// Those that are named.
    Whitelist,
    /// All but those that are named.
    AllExcept,
    /// All.
    All,
    /// CloudFront does not say: the cache policy is gone, or thaw may not read it.
    Unknown,
}

/// A function that may rewrite paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FunctionView {
    /// Its name.
    pub name: String,
    /// When it runs.
    pub event: FunctionEvent,
    /// Whether the stack's DirectoryIndex or PathRules say what it does.
    pub has_rule: bool,
}

/// How long an error is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorCachingView {
    /// The HTTP status.
    pub status: u16,
    /// Seconds.
    pub seconds: u64,
}

/// A distribution that is not invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftOutView {
    /// Its id; its domain, if only that is known; or the id of a continuous deployment policy, for `policy_denied`.
    pub distribution: String,
    /// The reason, for programs.
    pub reason: LeftOut,
    /// The reason, and what to do about it.
    pub says: String,
}

impl DistributionsView {
    fn of(bucket: &str, read: &Distributions, settings: &Settings) -> Self {
        let left_out = read.left_out.iter().map(|(distribution, why)| LeftOutView {
            distribution: distribution.clone(),
            reason: *why,
            says: why.says(distribution),
        });
        Self {
            bucket: bucket.to_owned(),
            archive_buckets: settings.archive_buckets.clone(),
            distribution_ids: settings.distribution_ids.clone(),
            distributions: read.shown.iter().map(|one| DistributionView::of(bucket, one)).collect(),
            left_out: left_out.collect(),
        }
    }
}

impl DistributionView {
    fn of(bucket: &str, distribution: &Distribution) -> Self {
        let origin = |origin: &Origin| OriginView {
            id: origin.id.clone(),
            domain: origin.domain.clone(),
            path: origin.path.clone(),
        };
        Self {
            id: distribution.id.clone(),
            origins: distribution.origins.iter().filter(|origin| origin.is_bucket(bucket)).map(origin).collect(),
            behaviours: distribution.behaviours_to(bucket).map(|one| BehaviourView::of(distribution, one)).collect(),
            error_caching: distribution
                .errors
                .iter()
                .map(|rule| ErrorCachingView { status: rule.code, seconds: rule.min_ttl })
                .collect(),
        }
    }
}

impl BehaviourView {
    fn of(distribution: &Distribution, behaviour: &Behaviour) -> Self {
        let without_rule: BTreeSet<_> =
            distribution.undeclared().into_iter().map(|one| (one.behaviour, one.event)).collect();
        let function = |name: Option<&String>, event: FunctionEvent| {
            let has_rule = !without_rule.contains(&(behaviour.pattern.as_str(), event));
            name.map(|name| FunctionView { name: name.clone(), event, has_rule })
        };
        let (query_strings, query_string_names) = QueryStringsView::of(&behaviour.query_strings);
        let viewer = distribution.viewer_functions.get(&behaviour.pattern);
        let origin = distribution.origin_functions.get(&behaviour.pattern);
        Self {
            path_pattern: behaviour.pattern.clone(),
            query_strings,
            query_string_names,
            has_variants: behaviour.query_strings.make_variants(),
            functions: [function(viewer, FunctionEvent::ViewerRequest), function(origin, FunctionEvent::OriginRequest)]
                .into_iter()
                .flatten()
                .collect(),
            has_unknown_function: behaviour.has_origin_function,
            fails_over_on: distribution.group(behaviour).map(|group| group.fails_over_on.clone()).unwrap_or_default(),
        }
    }
}

impl QueryStringsView {
    fn of(query_strings: &QueryStrings) -> (Self, Vec<String>) {
        match query_strings {
            QueryStrings::None => (Self::None, Vec::new()),
            QueryStrings::Whitelist(names) => (Self::Whitelist, names.iter().cloned().collect()),
            QueryStrings::AllExcept(names) => (Self::AllExcept, names.iter().cloned().collect()),
            QueryStrings::All => (Self::All, Vec::new()),
            QueryStrings::Unknown => (Self::Unknown, Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;
