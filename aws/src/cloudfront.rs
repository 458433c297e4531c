//! CloudFront.

mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::Builder;
use aws_sdk_cloudfront::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_cloudfront::error::ProvideErrorMetadata;
use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError;
use aws_sdk_cloudfront::types::{CachePolicy, ConnectionMode, DistributionSummary, InvalidationBatch, Paths};
use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    CallError, DeploymentPolicies, Distribution, QueryStrings, RateLimiter, Serving, paths_counted, trouble,
};
use thaw_steps::ports::{
    CreateInvalidations, DescribeDistributions, Distributions, Invalidation, InvalidationStatus, PortError,
    ReadDistributions, ReadInvalidations,
};

use self::config::{cache_policies, of_cache_policy, read_config, read_origins};
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

impl DescribeDistributions for Cdn {
    async fn describe(&self, id: &str) -> Result<Option<(Distribution, Serving)>, PortError> {
        Ok(self.distribution(id).await?.map(|whole| (whole.distribution, whole.serving)))
    }

    async fn with_origin(&self, bucket: &str) -> Result<Vec<String>, PortError> {
        Self::with_origin(self, bucket).await
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

#[cfg(test)]
mod tests {
    use thaw_core::LeftOut;

    use super::*;

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
