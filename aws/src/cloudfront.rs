//! CloudFront.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::Builder;
use aws_sdk_cloudfront::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_cloudfront::error::ProvideErrorMetadata;
use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError;
use aws_sdk_cloudfront::types::{
    CacheBehaviors, CachePolicy, CachePolicyQueryStringBehavior, CachePolicyQueryStringsConfig, ConnectionMode,
    CustomErrorResponses, DistributionConfig, DistributionSummary, EventType, ForwardedValues, FunctionAssociations,
    InvalidationBatch, LambdaFunctionAssociations, OriginGroupMembers, OriginGroups, Origins, Paths,
    QueryStringCacheKeys, QueryStringNames, StatusCodes,
};
use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    Behaviour, CallError, DeploymentPolicies, Distribution, ErrorRule, Origin, OriginGroup, PathRules, QueryStrings,
    RateLimiter, Serving, paths_counted, trouble,
};
use thaw_steps::ports::{
    CreateInvalidations, Distributions, Invalidation, InvalidationStatus, PortError, ReadDistributions,
    ReadInvalidations,
};

use crate::error::{Answer, answer, element, port_error, unexpected};

/// How long a call waits until CloudFront accepts an invalidation, before that is left to the caller. A function for
/// events sends a few calls and has a minute.
const PATIENCE: Duration = Duration::from_secs(8);

/// Distributions that are read concurrently. CloudFront's API takes few calls a second.
const AT_ONCE: usize = 8;

/// How long distributions are cached. A change of one takes minutes to reach the edge locations.
pub(crate) const KEPT: Duration = Duration::from_secs(120);

/// CloudFront.
#[derive(Debug, Clone)]
pub struct Cdn {
    client: Client,
    patience: Duration,
    /// The rate limiter for paths. It lives as long as the function, so the next invocation begins at the rate of this
    /// one.
    pace: Arc<Mutex<RateLimiter>>,
    cache: Arc<Mutex<Cache>>,
}

impl Cdn {
    /// `keep` is how long distributions are cached.
    pub(crate) fn new(config: Builder, keep: Duration) -> Self {
        Self {
            client: Client::from_conf(config.retry_classifier(TooManyIsAnAnswer).build()),
            patience: PATIENCE,
            pace: Arc::new(Mutex::new(RateLimiter::of_invalidations(Timestamp::now()))),
            cache: Arc::new(Mutex::new(Cache { keep, ..Cache::default() })),
        }
    }

    /// The same for a function that has more time to wait until CloudFront accepts a call.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    fn pace<T>(&self, of: impl FnOnce(&mut RateLimiter, Timestamp) -> T) -> T {
        // A few numbers, which are valid also after a panic.
        of(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner), Timestamp::now())
    }

    /// For these cache policies, which part of the query string is in the cache key.
    async fn cache_policies(&self, ids: BTreeSet<String>) -> Result<BTreeMap<String, QueryStrings>, PortError> {
        let read = async |id: String| {
            let output = match self.client.get_cache_policy().id(&id).send().await {
                Ok(output) => output,
                // A stack of an earlier version may not read policies, and a policy may be deleted by now.
                Err(error) if answer(&error).is_some_and(|answer| matches!(answer.status, 403 | 404)) => {
                    return Ok((id, QueryStrings::Unknown));
                }
                Err(error) => return Err(port_error(format!("GetCachePolicy of {id}"), &error)),
            };
            let config = output.cache_policy().and_then(CachePolicy::cache_policy_config);
            let key = config.and_then(|config| config.parameters_in_cache_key_and_forwarded_to_origin());
            let query = key.and_then(|key| key.query_strings_config()).map(of_cache_policy);
            Ok((id, query.unwrap_or(QueryStrings::Unknown)))
        };
        stream::iter(ids).map(read).buffered(AT_ONCE).try_collect().await
    }

    /// Reads a distribution; `None` if it does not exist.
    async fn distribution(&self, id: &str) -> Result<Option<Whole>, PortError> {
        let what = || format!("GetDistribution of {id}");
        let output = match self.client.get_distribution().id(id).send().await {
            Ok(output) => output,
            Err(error) if answer(&error).is_some_and(|answer| answer.code == "NoSuchDistribution") => return Ok(None),
            Err(error) => return Err(port_error(what(), &error)),
        };
        let read = output.distribution().and_then(|read| Some((read.domain_name(), read.distribution_config()?)));
        let (domain, config) = read.ok_or_else(|| unexpected(what(), "CloudFront sent no config"))?;
        let policy = config.continuous_deployment_policy_id().filter(|id| !id.is_empty());
        Ok(Some(Whole {
            distribution: read_config(id, config),
            cache_policies: cache_policies(config),
            serving: Serving {
                enabled: config.enabled(),
                staging: config.staging() == Some(true),
                tenant_only: config.connection_mode() == Some(&ConnectionMode::TenantOnly),
                domain: domain.to_owned(),
            },
            policy: policy.map(str::to_owned),
        }))
    }

    /// The domains of the staging distributions to which a continuous deployment policy sends viewers; `None` if thaw may not
    /// read the policy.
    async fn staging_with_viewers(&self, policy: &str) -> Result<Option<Vec<String>>, PortError> {
        let output = match self.client.get_continuous_deployment_policy().id(policy).send().await {
            Ok(output) => output,
            Err(error) => {
                if answer(&error).is_some_and(|answer| answer.status == 404) {
                    return Ok(Some(Vec::new()));
                }
                let error = port_error(format!("GetContinuousDeploymentPolicy of {policy}"), &error);
                return if error.trouble == Some(CallError::Denied) { Ok(None) } else { Err(error) };
            }
        };
        let config =
            output.continuous_deployment_policy().and_then(|policy| policy.continuous_deployment_policy_config());
        let names = config.filter(|config| config.enabled()).and_then(|config| config.staging_distribution_dns_names());
        Ok(Some(names.map(|names| names.items().to_vec()).unwrap_or_default()))
    }

    /// Reads the distributions with these domains, as far as thaw may look for them and read them.
    async fn at(&self, mut domains: BTreeSet<String>) -> Result<Vec<(String, Option<Whole>)>, PortError> {
        if domains.is_empty() {
            return Ok(Vec::new());
        }
        let found = match self.listed(|summary| domains.remove(summary.domain_name())).await {
            Ok(found) => found,
            // The stack says that staging distributions are named.
            Err(PortError { trouble: Some(CallError::Denied), .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut read = Vec::new();
        for id in found {
            match self.distribution(&id).await {
                Ok(whole) => read.push((id, whole)),
                Err(PortError { trouble: Some(CallError::Denied), .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Reads the distributions with these ids and the staging distributions that get their viewers, or those with the bucket
    /// as an origin, without the cache.
    async fn read(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        let found = if ids.is_empty() { self.with_origin(bucket).await? } else { ids.to_vec() };
        let mut all: Vec<(String, Option<Whole>)> = stream::iter(found)
            .map(async |id| self.distribution(&id).await.map(|whole| (id, whole)))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        // A disabled distribution has no viewers that a policy could send anywhere.
        let answering = all.iter().filter_map(|(_, whole)| whole.as_ref()).filter(|whole| whole.serving.enabled);
        // A primary distribution has one, and a policy belongs to one primary distribution.
        let of_primaries: BTreeMap<String, String> =
            answering.filter_map(|whole| Some((whole.policy.clone()?, whole.distribution.id.clone()))).collect();
        let mut policies = DeploymentPolicies::default();
        for (policy, primary) in of_primaries {
            match self.staging_with_viewers(&policy).await? {
                Some(domains) => {
                    policies.with_viewers.extend(domains.into_iter().map(|domain| (domain, primary.clone())));
                }
                None => drop(policies.denied.insert(policy)),
            }
        }
        if !ids.is_empty() {
            let is_read = |domain: &String| {
                all.iter().any(|(_, whole)| whole.as_ref().is_some_and(|whole| whole.serving.domain == *domain))
            };
            let unread = policies.with_viewers.keys().filter(|domain| !is_read(domain)).cloned().collect();
            all.extend(self.at(unread).await?);
        }
        let wholes = || all.iter().filter_map(|(_, whole)| whole.as_ref());
        let cache_policies = wholes().flat_map(|whole| whole.cache_policies.values().cloned()).collect();
        let cache_policies = self.cache_policies(cache_policies).await?;
        for whole in all.iter_mut().filter_map(|(_, whole)| whole.as_mut()) {
            for behaviour in &mut whole.distribution.behaviours {
                let policy = whole.cache_policies.get(&behaviour.pattern);
                if let Some(query_strings) = policy.and_then(|policy| cache_policies.get(policy)) {
                    behaviour.query_strings.clone_from(query_strings);
                }
            }
        }
        let all = all.into_iter().map(|(id, whole)| (id, whole.map(|whole| (whole.distribution, whole.serving))));
        Ok(Distributions::sorted(bucket, all.collect(), &policies, !ids.is_empty()))
    }

    /// The ids of the distributions that have the bucket as an origin, or may have it under another name or for their tenants.
    async fn with_origin(&self, bucket: &str) -> Result<Vec<String>, PortError> {
        let may_have = |summary: &DistributionSummary| {
            let origins = Distribution { origins: read_origins(summary.origins()), ..Distribution::default() };
            origins.has_origin(bucket) || origins.may_have_origin(bucket) || origins.tenants_may_have_origin(bucket)
        };
        self.listed(may_have).await
    }

    /// The ids of those of the account's distributions that are wanted.
    async fn listed(&self, mut is_wanted: impl FnMut(&DistributionSummary) -> bool) -> Result<Vec<String>, PortError> {
        let (mut found, mut marker) = (Vec::new(), None);
        loop {
            let output = self.client.list_distributions().set_marker(marker).send().await;
            let output = output.map_err(|error| port_error("ListDistributions", &error))?;
            let Some(list) = output.distribution_list() else { return Ok(found) };
            let wanted = list.items().iter().filter(|summary| is_wanted(summary));
            found.extend(wanted.map(|summary| summary.id().to_owned()));
            match list.next_marker() {
                Some(next) if list.is_truncated() => marker = Some(next.to_owned()),
                _ => return Ok(found),
            }
        }
    }
}

impl ReadDistributions for Cdn {
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        let key = (bucket.to_owned(), ids.to_vec());
        if let Some(cached) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key, Instant::now()) {
            return Ok(cached);
        }
        let read = self.read(bucket, ids).await?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(key, &read, Instant::now());
        Ok(read)
    }
}

/// A distribution with all that is read of it.
struct Whole {
    distribution: Distribution,
    serving: Serving,
    /// The cache policies of its behaviours, by pattern.
    cache_policies: BTreeMap<String, String>,
    /// Its continuous deployment policy.
    policy: Option<String>,
}

/// A cache of distributions, by bucket and ids. Without it, a function for events would read them every few seconds,
/// and accounts have hundreds.
#[derive(Debug, Default)]
struct Cache {
    read: BTreeMap<(String, Vec<String>), (Instant, Distributions)>,
    keep: Duration,
}

impl Cache {
    fn get(&self, key: &(String, Vec<String>), now: Instant) -> Option<Distributions> {
        let (at, read) = self.read.get(key)?;
        (now.duration_since(*at) < self.keep).then(|| read.clone())
    }

    fn put(&mut self, key: (String, Vec<String>), read: &Distributions, now: Instant) {
        self.read.insert(key, (now, read.clone()));
    }
}

impl CreateInvalidations for Cdn {
    /// Sends the invalidation at the rate that CloudFront takes. If CloudFront does not accept it in time, the caller
    /// has to try later.
    async fn invalidate(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError> {
        let give_up = Instant::now() + self.patience;
        let slots = paths_counted(items);
        let mut refused = None;
        loop {
            let patience = give_up.saturating_duration_since(Instant::now());
            if patience.is_zero()
                && let Some(error) = refused
            {
                return Err(error);
            }
            let wait = match (self.pace(|pace, now| pace.admit_many(slots, now, patience)), refused) {
                (Ok(wait), _) => wait,
                // CloudFront's own error says more than the expected wait.
                (Err(_), Some(error)) => return Err(error),
                (Err(wait), None) => {
                    return Err(PortError {
                        what: format!("CreateInvalidation of {} paths in {distribution}", items.len()),
                        says: format!(
                            "CloudFront takes so few paths now that it would be sent in {} s",
                            wait.as_secs()
                        ),
                        trouble: Some(CallError::Throttled),
                    });
                }
            };
            if !wait.is_zero() {
                TokioSleep::new().sleep(wait).await;
            }
            let answer = self.invalidate_once(distribution, items, caller_reference).await;
            let is_throttled = |error: &PortError| match error.trouble {
                Some(CallError::Throttled | CallError::TooManyInvalidations) => true,
                Some(CallError::Unavailable | CallError::Denied | CallError::KeyDenied | CallError::WrongBucket)
                | None => false,
            };
            let throttled = answer.as_ref().is_err_and(is_throttled);
            self.pace(|pace, now| pace.answered_many(slots, now, throttled));
            match answer {
                Err(error) if throttled => refused = Some(error),
                answer => return answer,
            }
        }
    }
}

impl Cdn {
    async fn invalidate_once(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError> {
        let what = || format!("CreateInvalidation of {} paths in {distribution}", items.len());
        let call = self.client.create_invalidation().distribution_id(distribution);
        let batch = batch(items, caller_reference).map_err(|error| unexpected(what(), error))?;
        match call.invalidation_batch(batch).send().await {
            Ok(output) => {
                let invalidation = output.invalidation().ok_or_else(|| unexpected(what(), "CloudFront sent no id"))?;
                let completed = is_completed(invalidation.status());
                Ok(Invalidation::Accepted { id: invalidation.id().to_owned(), completed })
            }
            Err(error) => match answer(&error).filter(refuses) {
                Some(answer) if is_gone(&answer) => Ok(Invalidation::Gone { says: answer.to_string() }),
                Some(answer) => Ok(Invalidation::Refused { says: answer.to_string() }),
                None => Err(port_error(what(), &error)),
            },
        }
    }
}

impl ReadInvalidations for Cdn {
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError> {
        let what = || format!("GetInvalidation of {id} in {distribution}");
        let output = match self.client.get_invalidation().distribution_id(distribution).id(id).send().await {
            Ok(output) => output,
            Err(error) => {
                return match answer(&error).filter(is_gone) {
                    Some(answer) => Ok(InvalidationStatus::Gone { says: answer.to_string() }),
                    None => Err(port_error(what(), &error)),
                };
            }
        };
        let invalidation = output.invalidation().ok_or_else(|| unexpected(what(), "CloudFront sent none"))?;
        Ok(if is_completed(invalidation.status()) {
            InvalidationStatus::Completed
        } else {
            InvalidationStatus::InProgress
        })
    }
}

/// CloudFront answers `Throttling` to too many calls, and `TooManyInvalidationsInProgress` to too many paths in a
/// second or in progress. The SDK would retry the first at its own rate, and the second not at all, because it is a 400
/// that the model does not call retryable. The rate limiter has to learn from both.
#[derive(Debug)]
struct TooManyIsAnAnswer;

impl ClassifyRetry for TooManyIsAnAnswer {
    fn name(&self) -> &'static str {
        "TooManyIsAnAnswer"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let Some(error) = error.and_then(|error| error.downcast_ref::<CreateInvalidationError>()) else {
            return RetryAction::NoActionIndicated;
        };
        // The SDK only parses errors in the documented wrapping.
        let body = context.response().and_then(|response| std::str::from_utf8(response.body().bytes()?).ok());
        let code = error.code().or_else(|| element(body?, "Code"));
        match code.and_then(|code| trouble(0, code)) {
            Some(CallError::Throttled | CallError::TooManyInvalidations) => RetryAction::RetryForbidden,
            Some(CallError::Unavailable | CallError::Denied | CallError::KeyDenied | CallError::WrongBucket) | None => {
                RetryAction::NoActionIndicated
            }
        }
    }
}

fn batch(items: &[String], caller_reference: &str) -> Result<InvalidationBatch, aws_sdk_cloudfront::error::BuildError> {
    // The XML protocol needs the number of items too. It fits into `i32`: a call has at most a hundred paths.
    let quantity = i32::try_from(items.len()).unwrap_or(i32::MAX);
    let paths = Paths::builder().quantity(quantity).set_items(Some(items.to_vec())).build()?;
    InvalidationBatch::builder().paths(paths).caller_reference(caller_reference).build()
}

/// Whether CloudFront refuses this call for good (API Reference, "CreateInvalidation").
///
/// A reference that was used before for other paths is answered with `InvalidArgument`.
fn refuses(answer: &Answer<'_>) -> bool {
    match (answer.status, answer.code) {
        (
            _,
            "InvalidArgument"
            | "BatchTooLarge"
            | "InconsistentQuantities"
            | "MissingBody"
            | "NoSuchDistribution"
            | "InvalidationBatchAlreadyExists",
        ) => true,
        // Without a readable code the status decides.
        (404 | 413, "") => true,
        _ => false,
    }
}

/// Whether CloudFront does not know the named distribution or invalidation (API Reference, "GetInvalidation").
fn is_gone(answer: &Answer<'_>) -> bool {
    matches!((answer.code, answer.status), ("NoSuchDistribution" | "NoSuchInvalidation", _) | ("", 404))
}

fn is_completed(status: &str) -> bool {
    status == "Completed"
}

/// CloudFront's default if a config has no value (Developer Guide, "How CloudFront caches HTTP 4xx and 5xx").
const DEFAULT_ERROR_TTL: i64 = 10;

/// The part of a config that decides about paths and staleness.
#[expect(
    deprecated,
    reason = "behaviours without a cache policy are not deprecated, and say it with `ForwardedValues`"
)]
fn read_config(id: &str, config: &DistributionConfig) -> Distribution {
    let groups = config.origin_groups().map(OriginGroups::items).unwrap_or_default();
    let behaviours = config.cache_behaviors().map(CacheBehaviors::items).unwrap_or_default();
    let named = behaviours.iter().map(|behaviour| Behaviour {
        pattern: behaviour.path_pattern().to_owned(),
        target: behaviour.target_origin_id().to_owned(),
        has_origin_function: has_response_function(behaviour.lambda_function_associations()),
        query_strings: of_forwarded_values(behaviour.forwarded_values()),
    });
    let default = config.default_cache_behavior().map(|behaviour| Behaviour {
        pattern: "*".to_owned(),
        target: behaviour.target_origin_id().to_owned(),
        has_origin_function: has_response_function(behaviour.lambda_function_associations()),
        query_strings: of_forwarded_values(behaviour.forwarded_values()),
    });
    let of_default = config.default_cache_behavior().and_then(|behaviour| {
        let function = viewer_function(behaviour.lambda_function_associations(), behaviour.function_associations());
        function.map(|function| ("*".to_owned(), function))
    });
    let origin_of_default = config.default_cache_behavior().and_then(|behaviour| {
        origin_function(behaviour.lambda_function_associations()).map(|function| ("*".to_owned(), function))
    });
    let origin_functions = behaviours.iter().filter_map(|behaviour| {
        let function = origin_function(behaviour.lambda_function_associations())?;
        Some((behaviour.path_pattern().to_owned(), function))
    });
    let origin_functions = origin_functions.chain(origin_of_default).collect();
    let viewer_functions = behaviours.iter().filter_map(|behaviour| {
        let function = viewer_function(behaviour.lambda_function_associations(), behaviour.function_associations());
        function.map(|function| (behaviour.path_pattern().to_owned(), function))
    });
    let viewer_functions = viewer_functions.chain(of_default).collect();
    let errors = config.custom_error_responses().map(CustomErrorResponses::items).unwrap_or_default();
    let errors = errors.iter().filter_map(|error| {
        let seconds = error.error_caching_min_ttl().unwrap_or(DEFAULT_ERROR_TTL);
        // An invalid code or TTL makes no rule.
        Some(ErrorRule { code: error.error_code().try_into().ok()?, min_ttl: seconds.try_into().ok()? })
    });
    Distribution {
        id: id.to_owned(),
        primary: None,
        origins: read_origins(config.origins()),
        groups: groups
            .iter()
            .map(|group| {
                let members = group.members().map(OriginGroupMembers::items).unwrap_or_default();
                let codes = group.failover_criteria().and_then(|criteria| criteria.status_codes());
                let codes = codes.map(StatusCodes::items).unwrap_or_default();
                OriginGroup {
                    id: group.id().to_owned(),
                    members: members.iter().map(|member| member.origin_id().to_owned()).collect(),
                    fails_over_on: codes.iter().filter_map(|code| u16::try_from(*code).ok()).collect(),
                }
            })
            .collect(),
        behaviours: named.chain(default).collect(),
        default_root_object: config.default_root_object().unwrap_or_default().to_owned(),
        errors: errors.collect(),
        viewer_functions,
        origin_functions,
        rules: PathRules::default(),
    }
}

fn read_origins(origins: Option<&Origins>) -> Vec<Origin> {
    let read = |origin: &aws_sdk_cloudfront::types::Origin| Origin {
        id: origin.id().to_owned(),
        domain: origin.domain_name().to_owned(),
        path: origin.origin_path().unwrap_or_default().to_owned(),
    };
    origins.map(Origins::items).unwrap_or_default().iter().map(read).collect()
}

/// The name of the function that sees the requests of a behaviour before the cache, if there is one. It may rewrite the
/// path, and a CloudFront Function may also select another origin (Developer Guide, "Helper methods for origin
/// modification").
fn viewer_function(
    lambdas: Option<&LambdaFunctionAssociations>,
    functions: Option<&FunctionAssociations>,
) -> Option<String> {
    let functions = functions.map(FunctionAssociations::items).unwrap_or_default().iter();
    let functions = functions.map(|function| (function.event_type(), function.function_arn()));
    let lambdas = lambdas.map(LambdaFunctionAssociations::items).unwrap_or_default().iter();
    let lambdas = lambdas.map(|function| (function.event_type(), function.lambda_function_arn()));
    let (_, arn) = functions.chain(lambdas).find(|(event, _)| **event == EventType::ViewerRequest)?;
    name_of(arn)
}

/// The name of the function that sees the requests of a behaviour before the origin is asked, if there is one. It may rewrite
/// the path and select another origin.
fn origin_function(lambdas: Option<&LambdaFunctionAssociations>) -> Option<String> {
    let mut lambdas = lambdas.map(LambdaFunctionAssociations::items).unwrap_or_default().iter();
    name_of(lambdas.find(|function| *function.event_type() == EventType::OriginRequest)?.lambda_function_arn())
}

/// The name in a function's ARN: `…:function/name`, or `…:function:name:version`.
fn name_of(arn: &str) -> Option<String> {
    arn.rsplit_once("function").map(|(_, name)| name.trim_start_matches(['/', ':']).to_owned())
}

/// The cache policies of a config's behaviours, by path pattern.
fn cache_policies(config: &DistributionConfig) -> BTreeMap<String, String> {
    let named = config.cache_behaviors().map(CacheBehaviors::items).unwrap_or_default();
    let named = named.iter().map(|behaviour| (behaviour.path_pattern(), behaviour.cache_policy_id()));
    let default = config.default_cache_behavior().map(|behaviour| ("*", behaviour.cache_policy_id()));
    let all = named.chain(default).filter_map(|(pattern, id)| Some((pattern, id.filter(|id| !id.is_empty())?)));
    all.map(|(pattern, id)| (pattern.to_owned(), id.to_owned())).collect()
}

/// What a behaviour without a cache policy has in its cache key (API Reference, "ForwardedValues").
fn of_forwarded_values(values: Option<&ForwardedValues>) -> QueryStrings {
    let Some(values) = values.filter(|values| values.query_string()) else { return QueryStrings::None };
    let names = values.query_string_cache_keys().map(QueryStringCacheKeys::items).unwrap_or_default();
    if names.is_empty() { QueryStrings::All } else { QueryStrings::Whitelist(names.iter().cloned().collect()) }
}

fn of_cache_policy(config: &CachePolicyQueryStringsConfig) -> QueryStrings {
    let names = config.query_strings().map(QueryStringNames::items).unwrap_or_default().iter().cloned().collect();
    match config.query_string_behavior() {
        CachePolicyQueryStringBehavior::None => QueryStrings::None,
        CachePolicyQueryStringBehavior::Whitelist => QueryStrings::Whitelist(names),
        CachePolicyQueryStringBehavior::AllExcept => QueryStrings::AllExcept(names),
        CachePolicyQueryStringBehavior::All => QueryStrings::All,
        _ => QueryStrings::Unknown,
    }
}

/// Whether a function may change what the origin answers before it is cached.
fn has_response_function(functions: Option<&LambdaFunctionAssociations>) -> bool {
    let functions = functions.map(LambdaFunctionAssociations::items).unwrap_or_default();
    functions.iter().any(|function| *function.event_type() == EventType::OriginResponse)
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudfront::types::{
        CacheBehavior, CustomErrorResponse, DefaultCacheBehavior, FunctionAssociation, LambdaFunctionAssociation,
        OriginGroupFailoverCriteria, OriginGroupMember, ViewerProtocolPolicy,
    };

    use thaw_core::LeftOut;

    use super::*;

    fn origin(id: &str, domain: &str, path: &str) -> aws_sdk_cloudfront::types::Origin {
        aws_sdk_cloudfront::types::Origin::builder().id(id).domain_name(domain).origin_path(path).build().unwrap()
    }

    fn functions<const N: usize>(events: [EventType; N]) -> LambdaFunctionAssociations {
        let association = |event: EventType| {
            let arn = format!("arn:aws:lambda:us-east-1:111122223333:function:{}:3", event.as_str());
            LambdaFunctionAssociation::builder().lambda_function_arn(arn).event_type(event).build().unwrap()
        };
        let items = events.into_iter().map(association).collect();
        LambdaFunctionAssociations::builder().quantity(1).set_items(Some(items)).build().unwrap()
    }

    fn edge_function() -> FunctionAssociations {
        let arn = "arn:aws:cloudfront::111122223333:function/index";
        let association = FunctionAssociation::builder().function_arn(arn).event_type(EventType::ViewerRequest).build();
        FunctionAssociations::builder().quantity(1).items(association.unwrap()).build().unwrap()
    }

    fn error(code: i32, ttl: Option<i64>) -> CustomErrorResponse {
        CustomErrorResponse::builder().error_code(code).set_error_caching_min_ttl(ttl).build().unwrap()
    }

    fn group() -> aws_sdk_cloudfront::types::OriginGroup {
        let member = |id: &str| OriginGroupMember::builder().origin_id(id).build().unwrap();
        let members = OriginGroupMembers::builder().quantity(2).items(member("bucket")).items(member("spare"));
        let codes = StatusCodes::builder().quantity(2).items(403).items(404).build().unwrap();
        aws_sdk_cloudfront::types::OriginGroup::builder()
            .id("both")
            .members(members.build().unwrap())
            .failover_criteria(OriginGroupFailoverCriteria::builder().status_codes(codes).build())
            .build()
            .unwrap()
    }

    fn config() -> DistributionConfig {
        let origins = Origins::builder()
            .quantity(2)
            .items(origin("bucket", "archive.s3.eu-central-1.amazonaws.com", "/public"))
            .items(origin("spare", "example.com", ""));
        let behaviour = CacheBehavior::builder()
            .path_pattern("img/*")
            .target_origin_id("both")
            .viewer_protocol_policy(ViewerProtocolPolicy::AllowAll)
            .lambda_function_associations(functions([EventType::OriginResponse, EventType::OriginRequest]))
            .function_associations(edge_function());
        let default = DefaultCacheBehavior::builder()
            .target_origin_id("bucket")
            .viewer_protocol_policy(ViewerProtocolPolicy::AllowAll)
            .lambda_function_associations(functions([EventType::ViewerRequest]));
        let errors = CustomErrorResponses::builder().quantity(2).items(error(403, Some(0))).items(error(404, None));
        DistributionConfig::builder()
            .caller_reference("r")
            .comment("")
            .enabled(true)
            .origins(origins.build().unwrap())
            .origin_groups(OriginGroups::builder().quantity(1).items(group()).build().unwrap())
            .cache_behaviors(CacheBehaviors::builder().quantity(1).items(behaviour.build().unwrap()).build().unwrap())
            .default_cache_behavior(default.build().unwrap())
            .default_root_object("index.html")
            .custom_error_responses(errors.build().unwrap())
            .build()
            .unwrap()
    }

    #[test]
    fn a_config_keeps_what_decides_paths_and_staleness() {
        let read = read_config("E1", &config());
        let behaviour = |pattern: &str, target: &str, has_origin_function| Behaviour {
            pattern: pattern.to_owned(),
            target: target.to_owned(),
            has_origin_function,
            query_strings: QueryStrings::None,
        };
        let expected = Distribution {
            id: "E1".to_owned(),
            primary: None,
            origins: vec![
                Origin {
                    id: "bucket".to_owned(),
                    domain: "archive.s3.eu-central-1.amazonaws.com".to_owned(),
                    path: "/public".to_owned(),
                },
                Origin { id: "spare".to_owned(), domain: "example.com".to_owned(), path: String::new() },
            ],
            groups: vec![OriginGroup {
                id: "both".to_owned(),
                members: vec!["bucket".to_owned(), "spare".to_owned()],
                fails_over_on: vec![403, 404],
            }],
            behaviours: vec![behaviour("img/*", "both", true), behaviour("*", "bucket", false)],
            default_root_object: "index.html".to_owned(),
            errors: vec![ErrorRule { code: 403, min_ttl: 0 }, ErrorRule { code: 404, min_ttl: 10 }],
            viewer_functions: [("*", "viewer-request:3"), ("img/*", "index")]
                .map(|(pattern, function)| (pattern.to_owned(), function.to_owned()))
                .into(),
            origin_functions: [("img/*".to_owned(), "origin-request:3".to_owned())].into(),
            rules: PathRules::default(),
        };
        assert_eq!(read, expected);
        assert!(read.has_origin("archive"));
    }

    #[test]
    fn query_strings_in_the_cache_key_are_read_from_policies_and_forwarded_values() {
        let names = || ["v".to_owned()].into();
        let forwarded = |query_string, keys: &[&str]| {
            let keys = QueryStringCacheKeys::builder()
                .quantity(1)
                .set_items(Some(keys.iter().map(|key| (*key).to_owned()).collect()));
            let values = ForwardedValues::builder().query_string(query_string);
            of_forwarded_values(Some(&values.query_string_cache_keys(keys.build().unwrap()).build().unwrap()))
        };
        assert_eq!(of_forwarded_values(None), QueryStrings::None);
        assert_eq!(forwarded(false, &[]), QueryStrings::None);
        assert_eq!(forwarded(true, &[]), QueryStrings::All);
        assert_eq!(forwarded(true, &["v"]), QueryStrings::Whitelist(names()));
        for (behaviour, expected) in [
            ("none", QueryStrings::None),
            ("whitelist", QueryStrings::Whitelist(names())),
            ("allExcept", QueryStrings::AllExcept(names())),
            ("all", QueryStrings::All),
            ("some", QueryStrings::Unknown),
        ] {
            let listed = QueryStringNames::builder().quantity(1).items("v").build().unwrap();
            let config = CachePolicyQueryStringsConfig::builder().query_string_behavior(behaviour.into());
            assert_eq!(of_cache_policy(&config.query_strings(listed).build().unwrap()), expected, "{behaviour}");
        }
    }

    #[test]
    fn only_calls_that_no_retry_can_save_are_refused() {
        let check = |status, code, expected| {
            assert_eq!(refuses(&Answer { status, code, message: "", region: "" }), expected, "{status} {code}");
        };
        for code in ["InvalidArgument", "InconsistentQuantities", "InvalidationBatchAlreadyExists", "MissingBody"] {
            check(400, code, true);
        }
        check(413, "BatchTooLarge", true);
        check(404, "NoSuchDistribution", true);
        check(404, "", true);
        check(400, "TooManyInvalidationsInProgress", false);
        check(400, "Throttling", false);
        check(403, "AccessDenied", false);
        check(403, "", false);
        check(503, "ServiceUnavailable", false);
        check(400, "", false);
    }

    #[test]
    fn a_distribution_or_an_invalidation_that_is_gone_is_no_service_error() {
        let gone = |status, code| is_gone(&Answer { status, code, message: "", region: "" });
        assert!(gone(404, "NoSuchDistribution") && gone(404, "NoSuchInvalidation") && gone(404, ""));
        assert!(!gone(403, "AccessDenied") && !gone(400, "InvalidArgument") && !gone(413, "BatchTooLarge"));
    }

    #[test]
    fn a_batch_says_how_many_paths_it_has() {
        let batch = batch(&["/a".to_owned(), "/b*".to_owned()], "ref").unwrap();
        assert_eq!(batch.caller_reference(), "ref");
        let paths = batch.paths().unwrap();
        assert_eq!((paths.quantity(), paths.items()), (2, &["/a".to_owned(), "/b*".to_owned()][..]));
    }

    #[test]
    fn distributions_are_read_again_after_two_minutes() {
        let (mut cache, now) = (Cache { keep: KEPT, ..Cache::default() }, Instant::now());
        let read = Distributions { left_out: vec![("E1".to_owned(), LeftOut::Gone)], ..Distributions::default() };
        let key = ("archive".to_owned(), vec!["E1".to_owned()]);
        assert_eq!(cache.get(&key, now), None);
        cache.put(key.clone(), &read, now);
        assert_eq!(cache.get(&key, now + KEPT - Duration::from_secs(1)), Some(read));
        assert_eq!(cache.get(&key, now + KEPT), None);
        assert_eq!(cache.get(&("other".to_owned(), key.1), now), None);
    }
}
